//! Training: draw a round of the data, search its codes, train on it with the codes held, and repeat.

use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chimle_data::{Dataset, Example, Listing};
use chimle_imle::{SeededPool, Strategy};
use chimle_nn::{Compute, Generator, TrainingBackend};
use chimle_perceptual::ImageDistance;

use crate::checkpoint::Checkpoint;
use crate::config::{FORMAT, Measure, RunConfig, Split};
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::generator::{ImageGenerator, NetworkConfig, TrainableDistance, TrainableGenerator};
use crate::log::Log;
use crate::memory::{Rows, USUAL_BYTES, chunks};
use crate::model::{Model, check_precision, load_weights};
use crate::model_file::{TrainedFor, save_generator};
use crate::optimizer::{self, Groups};
use crate::parameters::{averaged, numbered};
use crate::position::Position;
use crate::round::{Round, Searched, Unreadable};
use crate::run_folder::{RunFolder, RunLock};
use crate::seed::{Stream, derive};
use crate::times::{Times, timed};
use crate::validation::{Validation, has_strip};
#[cfg(feature = "collective")]
use crate::workers::NodesConfig;
use crate::workers::{
    Examples, Exchange, Found, Noise, Peers, SearchSummary, Worker, part, together,
};

static INITIALIZATION: Mutex<()> = Mutex::new(());

/// The decay rates of Adam's moments.
const BETAS: (f32, f32) = (0.9, 0.999);

/// A run of training: its folder, its data and its state.
///
/// On the CPU, a run that is stopped at any moment and in any way, and then resumed, ends with the same
/// weights, bit for bit, as a run that is never stopped. [`RunFolder`] lists the files in the folder.
///
/// Use [`create`](Self::create) and [`resume`](Self::resume) with the built-in network and distances. Use
/// [`create_with`](Self::create_with) and [`resume_with`](Self::resume_with) with your own generator `G` or
/// distance `D`.
///
/// # Examples
///
/// ```
/// use burn::backend::Autodiff;
/// use burn_flex::Flex;
/// use chimle_core::{Colorization, Preset, RunConfig, Silent, Trainer};
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("run");
///
/// let mut config = RunConfig::new(Colorization, Preset::Tiny); // on procedural scenes
/// config.training.steps = 2;
/// config.training.round = 4;
/// config.training.batch = 2;
/// let mut trainer = Trainer::<Autodiff<Flex>>::create(config, &folder, Default::default())?;
/// trainer.run(&mut Silent)?;
/// assert_eq!(trainer.step(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Trainer<B, G = Generator<B>, D = ImageDistance<B>>
where
    B: TrainingBackend,
    G: TrainableGenerator<B>,
    D: TrainableDistance<B>,
{
    config: RunConfig<G::Config>,
    folder: RunFolder,
    dataset: Dataset,
    listing: Listing,
    /// A description of the changes of the data since the run began, until they are accepted.
    data_changes: Option<String>,
    split: Split,
    validation: Validation<B::InnerBackend, D::Evaluated>,
    groups: Groups,
    /// One worker per device. All workers have the same weights. Those of the first worker are saved and
    /// sampled.
    workers: Vec<Worker<B, G, D>>,
    #[cfg(feature = "collective")]
    nodes: Option<NodesConfig>,
    /// The moving average of the weights, if the configuration asks for one.
    average: Option<G::Evaluated>,
    step: u64,
    round: Option<Round>,
    /// The index of the next round to draw.
    next_round: u64,
    /// The next round, which is loaded during the training on the current round.
    ahead: Option<Ahead>,
    /// The lowest value so far of the measure by which the best model is kept.
    best: Option<f64>,
    saved: Option<u64>,
    /// The step after which this trainer last measured the held-out examples.
    validated: Option<u64>,
    /// The number of candidates of the search that are evaluated at once.
    rows: Rows,
    /// The number of examples of a step that a worker evaluates at once.
    step_rows: Rows,
    /// The largest number of bytes of a batch of the search, and of the kept features of targets.
    memory: u64,
    /// Problems found when the run was opened. They are reported when the run continues.
    warnings: Vec<String>,
    times: Times,
    lock: Option<RunLock>,
}

impl<B: TrainingBackend> Trainer<B> {
    /// Creates a run in `folder`. The folder is created if it does not exist.
    ///
    /// # Errors
    ///
    /// If the configuration is not valid, if its data or weights cannot be read, or if the folder already
    /// holds a run or cannot be written.
    pub fn create(
        config: RunConfig,
        folder: impl AsRef<Path>,
        device: B::Device,
    ) -> Result<Self, Error> {
        config.validate()?;
        let distance = config.distance.load(&device)?;
        Self::create_with(config, distance, folder, device)
    }

    /// Opens the run in `folder` at its newest checkpoint. A run that was stopped before its first
    /// checkpoint starts from the beginning. If the newest checkpoint is damaged, the run continues from an
    /// older checkpoint, and an [`Event::Warning`] reports this when training continues.
    ///
    /// # Errors
    ///
    /// If the folder holds no run, if another process is training the run, if the run has an old format, if
    /// its data are missing, or if all its checkpoints are damaged or missing.
    pub fn resume(folder: impl AsRef<Path>, device: B::Device) -> Result<Self, Error> {
        let run = RunFolder::at(folder.as_ref());
        let config: RunConfig = run.read_config()?;
        let distance = config.distance.load(&device)?;
        Self::resume_with(distance, folder, device)
    }
}

impl<B, G, D> Trainer<B, G, D>
where
    B: TrainingBackend,
    G: TrainableGenerator<B>,
    D: TrainableDistance<B>,
{
    /// Creates a run with any generator and distance; otherwise as [`create`](Trainer::create).
    ///
    /// The generator is created from `config.generator`. `distance` is used for training, and
    /// `config.distance` only records its name.
    ///
    /// # Errors
    ///
    /// As [`create`](Trainer::create).
    pub fn create_with(
        config: RunConfig<G::Config>,
        distance: D,
        folder: impl AsRef<Path>,
        device: B::Device,
    ) -> Result<Self, Error> {
        let run = RunFolder::at(folder.as_ref());
        config.validate()?;
        if run.holds_run() {
            return Err(Error::RunExists {
                path: run.path().to_owned(),
            });
        }
        // All input is checked before the folder is touched.
        let mut trainer = Self::assemble(config, distance, run, device)?;
        trainer.start()?;
        let path = trainer.folder.path();
        fs::create_dir_all(path).map_err(Error::file("make", path))?;
        trainer.lock = Some(trainer.folder.lock()?);
        trainer.save_config()?;
        Ok(trainer)
    }

    /// Opens a run with any generator and distance; otherwise as [`resume`](Trainer::resume).
    ///
    /// # Errors
    ///
    /// As [`resume`](Trainer::resume).
    pub fn resume_with(
        distance: D,
        folder: impl AsRef<Path>,
        device: B::Device,
    ) -> Result<Self, Error> {
        let run = RunFolder::at(folder.as_ref());
        let config: RunConfig<G::Config> = run.read_config()?;
        if config.format != FORMAT {
            return Err(Error::OldRun {
                path: run.path().to_owned(),
                format: config.format,
            });
        }
        let lock = run.lock()?;
        let left = run.remove_unfinished();
        let mut trainer = Self::assemble(config, distance, run, device)?;
        trainer.lock = Some(lock);
        trainer.warn(left);
        let checkpoints = trainer.folder.checkpoints()?;
        match &checkpoints[..] {
            [older @ .., newest] => trainer.continue_from_newest(newest, older)?,
            [] if trainer.has_begun() => {
                return Err(trainer
                    .folder
                    .newest_checkpoint()
                    .err()
                    .unwrap_or(Error::NoRun {
                        path: trainer.folder.path().to_owned(),
                        what: "checkpoint",
                    }));
            }
            [] => trainer.start()?,
        }
        trainer.best = trainer.best_so_far();
        Ok(trainer)
    }

    fn assemble(
        config: RunConfig<G::Config>,
        distance: D,
        folder: RunFolder,
        device: B::Device,
    ) -> Result<Self, Error> {
        let dataset = config.dataset(config.data.augment)?;
        let listing = dataset.listing()?;
        let split = config.split(&dataset);
        let mut config = config;
        config.training.steps = config.training.steps_for(split.training.len());
        let validation = Validation::new(&config, distance.evaluated(), &device)?;
        check_precision::<B>(config.training.precision, &device)?;
        let generator = {
            // The random state of a backend belongs to the whole process. Another run that begins at the
            // same time must not draw from it between the seeding and the initialization.
            let _alone = INITIALIZATION
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            B::seed(&device, derive(config.seed, Stream::Initialization, 0));
            numbered(G::from_config(&config.generator, &device))
        };
        let generator = generator.with_compute(Compute {
            precision: config.training.precision,
            recompute: config.training.recompute,
        });
        Ok(Self {
            rows: Rows::new(config.search.chunk, USUAL_BYTES),
            step_rows: Rows::new(
                config.training.batch.div_ceil(config.training.accumulate),
                u64::MAX,
            ),
            memory: USUAL_BYTES,
            times: Times::default(),
            groups: Groups::of(&generator),
            workers: vec![Worker::new(
                device,
                distance,
                generator,
                optimizer::adam(BETAS),
            )],
            #[cfg(feature = "collective")]
            nodes: None,
            validation,
            split,
            dataset,
            listing,
            data_changes: None,
            folder,
            config,
            average: None,
            step: 0,
            round: None,
            next_round: 0,
            ahead: None,
            best: None,
            saved: None,
            validated: None,
            warnings: Vec::new(),
            lock: None,
        })
    }

    /// Loads the weights from which the run starts, if `config.init` names them.
    fn start(&mut self) -> Result<(), Error> {
        let Some(path) = self.config.init.clone() else {
            return Ok(());
        };
        let file = load_weights(&path)?;
        let task = &*self.config.task;
        let found = <G as ImageGenerator<B>>::config_of_file(&file, Some(task))?;
        if found != self.config.generator {
            return Err(Error::Setting {
                field: "init",
                reason: format!(
                    "names {}, whose generator has a different configuration than this run: {found:?}",
                    path.display()
                ),
            });
        }
        let worker = &mut self.workers[0];
        let generator = ImageGenerator::load(worker.generator().clone(), &file)?;
        worker.set_state(generator, worker.optimizer().clone());
        Ok(())
    }

    /// Returns the lowest value in the log of the measure that decides which model is the best one.
    fn best_so_far(&mut self) -> Option<f64> {
        if !self.folder.best_path().exists() {
            return None;
        }
        let events = self.events();
        let values = events.iter().filter_map(|event| self.measured(event));
        values.min_by(f64::total_cmp)
    }

    /// Returns the events in the log. A log that cannot be read is only reported as a warning, because it
    /// is not needed for training.
    fn events(&mut self) -> Vec<Event> {
        if !self.folder.log_path().exists() {
            return Vec::new();
        }
        let log = match self.folder.read_log() {
            Ok(log) => log,
            Err(error) => {
                self.warn([error]);
                return Vec::new();
            }
        };
        if let Some(first) = log.skipped.first() {
            self.warnings.push(format!(
                "{}: {} lines were skipped, the first of them line {}: {}",
                self.folder.log_path().display(),
                log.skipped.len(),
                first.line,
                first.reason
            ));
        }
        log.events
    }

    /// Records errors that do not stop the run. They are reported when the run continues.
    fn warn(&mut self, errors: impl IntoIterator<Item = Error>) {
        let messages = errors.into_iter().map(|error| error.to_string());
        self.warnings.extend(messages);
    }

    /// Returns the value, in a validation event, of the measure that decides which model is the best one.
    fn measured(&self, event: &Event) -> Option<f64> {
        let Event::Validated {
            best, mean, sets, ..
        } = event
        else {
            return None;
        };
        let value = match self.config.training.best_by {
            Measure::Best => *best,
            Measure::Mean => *mean,
            Measure::Frechet => sets.as_ref()?.frechet,
        };
        value.is_finite().then_some(value)
    }

    /// Continues from the newest checkpoint that is not damaged. Once it is loaded, the damaged newer
    /// checkpoints are set aside.
    fn continue_from_newest(
        &mut self,
        newest: &Checkpoint,
        older: &[Checkpoint],
    ) -> Result<(), Error> {
        let mut damaged = Vec::new();
        for checkpoint in [newest].into_iter().chain(older.iter().rev()) {
            match self.continue_from(checkpoint) {
                Ok(()) => {
                    for (damaged, error) in damaged {
                        self.set_aside(damaged, &error)?;
                    }
                    let keep = self.config.training.keep;
                    let left = checkpoint.remove_others(&self.folder.checkpoints_path(), keep);
                    self.warn(left);
                    return Ok(());
                }
                Err(error) if error.is_damage() => damaged.push((checkpoint, error)),
                Err(error) => return Err(error),
            }
        }
        // All checkpoints are damaged. The error of the newest checkpoint is the most useful one.
        damaged
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    fn set_aside(&mut self, damaged: &Checkpoint, error: &Error) -> Result<(), Error> {
        let path = damaged.set_aside()?;
        self.warnings.push(format!(
            "{error}; the run continues from step {}, and the damaged checkpoint is now {}",
            self.step,
            path.display()
        ));
        Ok(())
    }

    fn continue_from(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        checkpoint.check()?;
        let worker = &self.workers[0];
        let (generator, optimizer, position) = checkpoint.load(
            worker.generator().clone(),
            worker.optimizer().clone(),
            worker.device(),
        )?;
        let average = checkpoint.load_average(generator.valid())?;
        let changed = position
            .data
            .filter(|data| *data != self.listing.fingerprint());
        let data_changes = changed.map(|_| self.changes_of_data());
        let next_round = position.round.as_ref().map_or(0, |round| round.index + 1);
        // A round of the old data cannot be drawn again from the new data.
        let round = position.round.filter(|_| data_changes.is_none());
        let round = round.map(|round| {
            Round::resume(&self.config, &self.dataset, &self.split, round).map(|(round, _)| round)
        });
        let round = round.transpose().map_err(|error| match error {
            // The data are at fault, so an older checkpoint would fail in the same way.
            Error::Setting { field: "data", .. } => error,
            error => Error::Checkpoint {
                path: checkpoint.path().to_owned(),
                reason: error.to_string(),
            },
        })?;
        self.workers[0].set_state(generator, optimizer);
        self.average = average;
        self.step = position.step;
        self.saved = Some(position.step);
        self.data_changes = data_changes;
        self.next_round = next_round;
        self.round = round;
        Ok(())
    }

    /// Describes the changes of the data since the list in the run folder was written.
    fn changes_of_data(&self) -> String {
        let Ok(bytes) = fs::read(self.folder.data_path()) else {
            return "the list of its files is missing".to_owned();
        };
        let Ok(before) = serde_json::from_slice::<Listing>(&bytes) else {
            return "the list of its files is damaged".to_owned();
        };
        let changes = self.listing.changes(&before);
        if changes.is_empty() {
            "the list of its files does not fit the checkpoint".to_owned()
        } else {
            changes
        }
    }

    /// Accepts data that changed since the run began. The next step then begins a new round.
    pub fn accept_data(&mut self) {
        self.data_changes = None;
    }

    /// Returns whether the log has an event that a checkpoint was written.
    fn has_begun(&mut self) -> bool {
        let saved = |event: &Event| matches!(event, Event::Saved { .. });
        self.events().iter().any(saved)
    }

    /// Sets the largest number of bytes of a batch of the search, by the estimates of
    /// [`NetworkConfig::bytes_per_output`] and [`DistanceConfig::bytes_per_image`]. The default is 1 GiB.
    /// The chosen codes do not depend on this number.
    ///
    /// The features of a round's targets are kept for all its steps if they also fit into this number of
    /// bytes.
    ///
    /// [`DistanceConfig::bytes_per_image`]: crate::DistanceConfig::bytes_per_image
    pub fn set_memory(&mut self, bytes: u64) {
        self.rows = Rows::new(self.config.search.chunk, bytes);
        self.memory = bytes;
    }

    /// Adds a worker on another device, or another worker on the same device. Each worker searches its part
    /// of a round and trains on its part of every batch. `distance` is the run's distance on the new
    /// device.
    ///
    /// The chosen codes do not depend on the number of workers. The weights equal those of a run with one
    /// worker up to rounding.
    ///
    /// # Errors
    ///
    /// If there are more workers than examples in a batch, or the device cannot hold the generator.
    #[cfg(feature = "collective")]
    pub fn add_worker(&mut self, device: B::Device, distance: D) -> Result<(), Error> {
        let worker = self.workers[0].replica(device, distance)?;
        self.workers.push(worker);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (cores / self.workers.len()).max(1);
        for worker in &mut self.workers {
            worker.set_threads(threads)?;
        }
        self.check_workers(self.workers.len())
    }

    /// Trains the run on several machines, which an [`Orchestrator`](crate::Orchestrator) connects. All
    /// machines must have the same configuration and the same data. Each machine has its own run folder.
    #[cfg(feature = "collective")]
    pub fn set_nodes(&mut self, nodes: NodesConfig) {
        self.nodes = Some(nodes);
    }

    #[cfg(feature = "collective")]
    fn check_workers(&self, workers: usize) -> Result<(), Error> {
        let batch = self.config.training.batch;
        if workers > batch {
            return Err(Error::Setting {
                field: "training.batch",
                reason: format!("is {batch}, which is less than the number of workers, {workers}"),
            });
        }
        Ok(())
    }

    /// Connects the workers of the run.
    #[cfg(feature = "collective")]
    fn connect(&self) -> Result<Peers, Error> {
        use crate::workers::{Joining, Membership};
        let membership = match &self.nodes {
            None if self.workers.len() == 1 => return Ok(Peers::alone()),
            None => None,
            Some(nodes) => {
                let config = serde_json::to_value(&self.config);
                let joining = Joining {
                    name: nodes.name.clone(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    config: config.expect("a configuration is plain data"),
                    data: self.listing.fingerprint(),
                    step: self.step,
                    workers: self.workers.len(),
                };
                Some(Membership::join(nodes, joining)?)
            }
        };
        let devices: Vec<B::Device> = self.workers.iter().map(|w| w.device().clone()).collect();
        let peers = Peers::connect::<B::InnerBackend>(&devices, membership)?;
        self.check_workers(peers.count())?;
        Ok(peers)
    }

    #[cfg(not(feature = "collective"))]
    fn connect(&self) -> Result<Peers, Error> {
        Ok(Peers::alone())
    }

    /// Returns the configuration.
    pub fn config(&self) -> &RunConfig<G::Config> {
        &self.config
    }

    /// Returns the run folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Returns the number of steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Returns the time that each part of the training has taken since the trainer was created.
    pub fn times(&self) -> Times {
        let worker = self.workers[0].times();
        Times {
            data: self.times.data + worker.data,
            codes: worker.codes,
            search: worker.search,
            gradients: worker.gradients,
            optimizer: self.times.optimizer + worker.optimizer,
            exchange: worker.exchange,
            ..self.times
        }
    }

    /// Changes the total number of steps, including the steps already done. The run's `config.toml` is
    /// changed too.
    ///
    /// # Errors
    ///
    /// If more steps are already done, or the file cannot be written.
    pub fn set_steps(&mut self, steps: u64) -> Result<(), Error> {
        if steps < self.step {
            return Err(Error::Setting {
                field: "steps",
                reason: format!(
                    "must be at least {}, the number of steps already done",
                    self.step
                ),
            });
        }
        let mut training = self.config.training.clone();
        training.set_steps(steps);
        training.validate()?;
        self.config.training = training;
        self.save_config()
    }

    fn save_config(&self) -> Result<(), Error> {
        let path = self.folder.config_path();
        chimle_files::write(&path, self.config.to_toml().as_bytes())
            .map_err(Error::file("write", &path))
    }

    /// Returns the held-out examples, which are not trained on. If the data set is too small to hold any
    /// input out, these are the examples of its first input.
    pub fn held_out(&self) -> &[Example] {
        self.validation.examples()
    }

    /// Returns a model with the current weights. If the run has a moving average of the weights, the model
    /// has the averaged weights.
    pub fn model(&self) -> Model<B::InnerBackend, G::Evaluated> {
        Model::new(self.evaluated(), self.config.task.clone())
    }

    fn evaluated(&self) -> G::Evaluated {
        match &self.average {
            Some(average) => average.clone(),
            None => self.generator().valid(),
        }
    }

    fn generator(&self) -> &G {
        self.workers[0].generator()
    }

    /// Trains to the end of the schedule.
    ///
    /// # Errors
    ///
    /// If the data can no longer be read, if the folder can no longer be written, or if the loss is not
    /// finite. Files saved before the error stay.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        self.run_until(&|| false, observer)
    }

    /// Trains until the schedule ends or `limit` has passed, and then saves a checkpoint.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_for(&mut self, limit: Duration, observer: &mut dyn Observer) -> Result<(), Error> {
        let begun = Instant::now();
        self.run_until(&|| begun.elapsed() >= limit, observer)
    }

    /// Trains until the schedule ends or `stop` returns true, and then saves a checkpoint. `stop` is called
    /// after every step and after every batch of the search. An interrupted search continues when the run
    /// is resumed.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_until(
        &mut self,
        stop: &dyn Fn() -> bool,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let begun = Instant::now();
        if let Some(changes) = &self.data_changes {
            return Err(Error::DataChanged {
                changes: changes.clone(),
            });
        }
        let peers = &self.connect()?;
        let log = &mut Log::open(self.folder.log_path(), observer)?;
        self.announce(log);
        self.save_listing()?;
        if self.config.training.average.is_some() && self.average.is_none() {
            self.average = Some(self.generator().valid());
        }
        if self.saved.is_none() {
            self.validate(log)?;
            self.save_strip()?;
            self.save(log)?;
        }
        let mut interrupted = false;
        // Several machines must stop after the same step. Each machine therefore sends, in the exchange of a
        // step or a search, whether it was asked to stop. If one machine was asked, all stop.
        let mut stops = !peers.are_on_nodes() && stop();
        while self.step < self.config.training.steps && !stops {
            if self.needs_round() {
                self.draw_round(log)?;
            }
            if !self.search(peers, stop, log)? {
                interrupted = true;
                break;
            }
            stops = self.train_step(peers, stop, log)?;
            if has_strip(self.step) {
                self.save_strip()?;
            }
            let schedule = &self.config.training;
            let validates = self.step.is_multiple_of(schedule.validate_every);
            let saves = self.step.is_multiple_of(schedule.checkpoint_every);
            if validates {
                self.validate(log)?;
            }
            if saves {
                self.save(log)?;
            }
            log.check()?;
        }
        if self.saved != Some(self.step) && self.validated != Some(self.step) {
            self.validate(log)?;
        }
        if self.saved != Some(self.step) || interrupted {
            self.save(log)?;
        }
        self.save_strip()?;
        peers.done();
        self.times.total += begun.elapsed();
        log.notice(&Event::Finished {
            step: self.step,
            seconds: begun.elapsed().as_secs_f64(),
        });
        log.check()
    }

    fn announce(&mut self, log: &mut Log) {
        let examples = |inputs: &[usize]| -> usize {
            let observed = inputs
                .iter()
                .map(|&input| self.dataset.observed(input).len());
            observed.sum()
        };
        let training = examples(&self.split.training);
        log.notice(&Event::Started {
            step: self.step,
            steps: self.config.training.steps,
            examples: training,
            held_out: self.dataset.len() - training,
            skipped: self.dataset.skipped().len(),
            parameters: self.generator().num_params(),
        });
        for message in self.warnings.drain(..) {
            log.notice(&Event::Warning { message });
        }
        for skipped in self.dataset.skipped() {
            log.notice(&Event::Skipped {
                name: skipped.name.clone(),
                reason: skipped.reason.to_string(),
            });
        }
    }

    /// Returns whether the next step needs a new round.
    fn needs_round(&self) -> bool {
        let steps = self.config.training.steps_per_search;
        self.round
            .as_ref()
            .is_none_or(|round| round.is_searched() && round.steps() >= steps)
    }

    fn draw_round(&mut self, log: &mut Log) -> Result<(), Error> {
        let index = self.next_round;
        let begun = Instant::now();
        let (round, unreadable) = match self.ahead.take() {
            Some(ahead) if ahead.index == index => ahead.wait()?,
            _ => Round::draw(&self.config, &self.dataset, &self.split, index)?,
        };
        self.times.data += begun.elapsed();
        for Unreadable { name, reason } in unreadable {
            log.notice(&Event::Skipped { name, reason });
        }
        self.round = Some(round);
        self.next_round = index + 1;
        Ok(())
    }

    /// Writes the list of the data's files, unless the folder already has the same list.
    fn save_listing(&self) -> Result<(), Error> {
        let path = self.folder.data_path();
        let json = serde_json::to_vec(&self.listing).expect("a listing is plain data");
        if fs::read(&path).is_ok_and(|before| before == json) {
            return Ok(());
        }
        chimle_files::write(&path, &json).map_err(Error::file("write", &path))
    }

    /// Searches the codes of the current round that are not found yet. Returns false if the search was
    /// stopped before all codes were found.
    fn search(
        &mut self,
        peers: &Peers,
        stop: &dyn Fn() -> bool,
        log: &mut Log,
    ) -> Result<bool, Error> {
        if self.round_at_hand().is_searched() {
            return Ok(true);
        }
        let begun = Instant::now();
        for worker in &mut self.workers {
            worker.prepare_search();
        }
        let level_bytes = bytes_per_candidate(&self.config);
        let mut summary = SearchSummary::default();
        let mut stops = !peers.are_on_nodes() && stop();
        while !self.round_at_hand().is_searched() && !stops {
            self.announce_search(log);
            let asked_to_stop = peers.are_on_nodes() && stop();
            let (found, agreed_to_stop) = self.search_next(peers, &level_bytes, asked_to_stop)?;
            summary.add(&found);
            let candidates = found.into_iter().map(|found| found.candidates);
            self.round
                .as_mut()
                .expect("a round is drawn")
                .take(candidates);
            stops = if peers.are_on_nodes() {
                agreed_to_stop
            } else {
                stop()
            };
        }
        for worker in &mut self.workers {
            worker.end_search();
        }
        let round = self.round_at_hand();
        if !round.is_searched() {
            return Ok(false);
        }
        self.announce_search(log);
        log.notice(&summary.event(self.step, round.index(), begun.elapsed()));
        let (next, schedule) = (round.index() + 1, &self.config.training);
        if self.step + schedule.steps_per_search < schedule.steps {
            self.ahead = Some(Ahead::start(&self.config, &self.dataset, &self.split, next));
        }
        Ok(true)
    }

    fn round_at_hand(&self) -> &Round {
        self.round.as_ref().expect("a round is drawn")
    }

    fn announce_search(&self, log: &mut Log) {
        let round = self.round_at_hand();
        log.notice(&Event::Searching {
            done: round.found(),
            total: round.len(),
        });
    }

    /// Searches the next examples of the round. Each worker searches its part. Returns the codes found by
    /// all workers on all machines, and whether one of the machines was asked to stop.
    fn search_next(
        &mut self,
        peers: &Peers,
        level_bytes: &[u64],
        asked_to_stop: bool,
    ) -> Result<(Vec<Found>, bool), Error> {
        let (config, rows) = (&self.config, &self.rows);
        let round = self.round.as_ref().expect("a round is drawn");
        let bytes = level_bytes.iter().copied().max().unwrap_or(0);
        let inputs = config
            .search()
            .with_chunk(rows.fitting(bytes))
            .inputs_at_once();
        let parts = round.next_to_search(inputs, peers.count());
        let results = together(&mut self.workers, peers, |index, worker| {
            let part = &parts[peers.rank(index)];
            let device = worker.device().clone();
            let found = match part.len() {
                0 => Vec::new(),
                _ => rows.attempt::<B, _>(&device, bytes, |chunk| {
                    let search = config.search().with_chunks(chunks(chunk, level_bytes));
                    worker.search(&search, part, round.pool())
                })?,
            };
            let own: Vec<Found> = found.iter().map(Found::of).collect();
            if !peers.are_on_nodes() {
                return Ok((own, false));
            }
            let exchange = Exchange {
                levels: config.generator.levels(),
                compared: match config.search.strategy {
                    Strategy::Hierarchical { .. } => config.generator.levels(),
                    Strategy::Flat { .. } => 1,
                },
                sizes: parts.iter().map(Searched::len).collect(),
            };
            exchange.run::<B>(peers, index, &own, asked_to_stop, &device)
        })?;
        if peers.are_on_nodes() {
            // After the exchange, every worker has the results of all workers.
            return Ok(results.into_iter().next().expect("there is a worker"));
        }
        let found = results.into_iter().flat_map(|(found, _)| found);
        Ok((found.collect(), false))
    }

    /// Takes one step of Adam on the next batch of the round, with the codes held. Returns whether the
    /// run should stop.
    fn train_step(
        &mut self,
        peers: &Peers,
        stop: &dyn Fn() -> bool,
        log: &mut Log,
    ) -> Result<bool, Error> {
        let begun = Instant::now();
        let round = self.round.as_mut().expect("a search comes before a step");
        let schedule = &self.config.training;
        let keeps = keeps_features(
            &self.config,
            round.len(),
            self.memory / self.workers.len() as u64,
        );
        let number = round.index();
        let step = round.next_step(schedule.batch, self.config.seed, schedule.order);
        let noise = Noise {
            deviation: schedule.perturbation,
            pool: SeededPool::new(derive(self.config.seed, Stream::Perturbation, self.step)),
        };
        let rate = schedule.rate_at(self.step);
        let most = schedule
            .batch
            .div_ceil(schedule.accumulate)
            .div_ceil(peers.count());
        let (groups, folder, step_rows) = (&self.groups, &self.folder, &self.step_rows);
        let done = self.step;
        let asked_to_stop = peers.are_on_nodes() && stop();
        let results = together(&mut self.workers, peers, |index, worker| {
            worker.keep_features(number, keeps);
            let examples = Examples {
                training: schedule,
                groups,
                noise: &noise,
                range: part(peers.rank(index), peers.count(), schedule.batch),
            };
            let device = worker.device().clone();
            let (mut gradients, mut levels) = step_rows.attempt::<B, _>(&device, 0, |rows| {
                worker.gradients(&step, &examples, rows.min(most))
            })?;
            let mut stops = false;
            if peers.count() > 1 {
                // The request to stop is sent together with the losses.
                levels.push(if asked_to_stop { 1.0 } else { 0.0 });
                levels = worker.exchange(index, peers, &mut gradients, levels)?;
                stops = levels.pop().is_some_and(|votes| votes > 0.0);
            }
            let loss: f32 = levels.iter().sum();
            if !loss.is_finite() {
                return Err(Error::Diverged {
                    step: done + 1,
                    loss,
                    levels,
                    checkpoint: folder.newest_checkpoint()?.path().to_owned(),
                });
            }
            worker.step(gradients, rate, rate * schedule.mapping_rate);
            Ok((levels, stops))
        })?;
        let (levels, stops) = results.into_iter().next().expect("there is a worker");
        self.step += 1;
        if let (Some(decay), Some(average)) = (schedule.average, self.average.take()) {
            // The decay is smaller in the first steps, so the initial weights soon leave the average.
            let decay = decay.min(self.step as f64 / (self.step as f64 + 9.0));
            let newest = self.workers[0].generator().valid();
            let average = timed(&mut self.times.optimizer, || {
                averaged(average, &newest, decay)
            });
            self.average = Some(average);
        }
        log.notice(&Event::Step {
            step: self.step,
            loss: levels.iter().sum(),
            levels,
            learning_rate: rate,
            seconds: begun.elapsed().as_secs_f64(),
        });
        Ok(if peers.are_on_nodes() { stops } else { stop() })
    }

    /// Measures the held-out examples and saves the model if it is the best so far.
    fn validate(&mut self, log: &mut Log) -> Result<(), Error> {
        let begun = Instant::now();
        let model = self.model();
        let event = self.validation.run(&model, self.step)?;
        self.times.validation += begun.elapsed();
        log.notice(&event);
        self.validated = Some(self.step);
        let Some(value) = self.measured(&event) else {
            return Ok(());
        };
        if self.best.is_none_or(|best| value < best) {
            let path = self.folder.best_path();
            save_generator(&self.evaluated(), &TrainedFor::from(&self.config), &path)?;
            self.best = Some(value);
        }
        Ok(())
    }

    fn save_strip(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        let (model, step) = (self.model(), self.step);
        self.validation.save_strip(&model, step, &self.folder)?;
        self.times.validation += begun.elapsed();
        Ok(())
    }

    fn save(&mut self, log: &mut Log) -> Result<(), Error> {
        let begun = Instant::now();
        let position = Position {
            step: self.step,
            round: self.round.as_ref().map(Round::position),
            data: Some(self.listing.fingerprint()),
        };
        let (checkpoint, warnings) = Checkpoint::save(
            &self.folder.checkpoints_path(),
            self.workers[0].generator(),
            self.average.as_ref(),
            &TrainedFor::from(&self.config),
            self.workers[0].optimizer(),
            &position,
            self.config.training.keep,
        )?;
        self.times.saving += begun.elapsed();
        for warning in warnings {
            log.notice(&Event::Warning {
                message: warning.to_string(),
            });
        }
        self.saved = Some(self.step);
        let path: PathBuf = checkpoint.path().to_owned();
        log.notice(&Event::Saved {
            step: self.step,
            path,
        });
        Ok(())
    }
}

/// A round that a separate thread is loading.
struct Ahead {
    index: u64,
    loading: JoinHandle<Result<(Round, Vec<Unreadable>), Error>>,
}

impl Ahead {
    fn start<C: NetworkConfig>(
        config: &RunConfig<C>,
        dataset: &Dataset,
        split: &Split,
        index: u64,
    ) -> Self {
        let (config, dataset, split) = (config.clone(), dataset.clone(), split.clone());
        let loading = std::thread::spawn(move || Round::draw(&config, &dataset, &split, index));
        Self { index, loading }
    }

    fn wait(self) -> Result<(Round, Vec<Unreadable>), Error> {
        let loaded = self.loading.join();
        loaded.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// The side below which the estimate of a distance's memory no longer shrinks with the image. Perceptual
/// networks enlarge smaller images.
const SMALLEST_SIDE: usize = 16;

/// Estimates how many bytes one candidate of the search takes, per level.
fn bytes_per_candidate<C: NetworkConfig>(config: &RunConfig<C>) -> Vec<u64> {
    let (height, width) = (config.data.height, config.data.width);
    let precision = config.training.precision;
    let mut levels = config.generator.level_bytes(precision, height, width);
    levels.resize(config.generator.levels(), 0);
    let sizes = config.sizes().map(|sizes| sizes.targets());
    for (bytes, (height, width)) in levels.iter_mut().zip(sizes.unwrap_or_default()) {
        let sides = [height, width].map(|side| side.max(SMALLEST_SIDE));
        *bytes = (*bytes).max(config.distance.bytes_per_image(sides[0], sides[1]));
    }
    levels
}

/// Returns whether the features of a round's targets fit into `bytes`, so that they are kept for all steps of
/// the round.
fn keeps_features<C: NetworkConfig>(config: &RunConfig<C>, examples: usize, bytes: u64) -> bool {
    let sizes = config.sizes().map(|sizes| sizes.targets());
    let sizes = sizes.unwrap_or_default().into_iter();
    let each: Option<u64> = sizes
        .map(|(height, width)| config.distance.feature_bytes(height, width))
        .sum();
    each.is_some_and(|each| each.saturating_mul(examples as u64) <= bytes)
}
