//! Training: draw a round of the data, search it, train on it with the codes held, and repeat.

use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use chimle_data::{Dataset, Example};
use chimle_imle::{Candidate, Chosen, CodePool, ExampleId, SeededPool};
use chimle_nn::{Compute, Generator, TrainingBackend, differentiate_alone};
use chimle_perceptual::ImageDistance;

use crate::checkpoint::Checkpoint;
use crate::config::{FORMAT, Measure, RunConfig, Split};
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::generator::{ImageGenerator, NetworkConfig, TrainableDistance, TrainableGenerator};
use crate::log::Log;
use crate::memory::{Rows, USUAL_BYTES};
use crate::model::{Model, check_precision, load_weights};
use crate::model_file::save_generator;
use crate::optimizer::{self, Accumulated, Groups, ModuleAdam};
use crate::parameters::{averaged, numbered};
use crate::position::Position;
use crate::round::{Round, Step, Unreadable};
use crate::run_folder::{RunFolder, RunLock};
use crate::seed::{Stream, derive};
use crate::validation::{Validation, has_strip};

static INITIALIZATION: Mutex<()> = Mutex::new(());

/// The decay rates of Adam's moments.
const BETAS: (f32, f32) = (0.9, 0.999);

/// A run of training: its folder, its data and its state.
///
/// On the CPU, a run that was stopped at any moment and in any way, and then resumed, ends with the
/// same weights, bit for bit, as a run that never stopped. [`RunFolder`] says what the folder holds.
///
/// A trainer of the built-in network and distance is made by [`create`](Self::create) and
/// [`resume`](Self::resume). One of your own generator `G` or distance `D` is made by
/// [`create_with`](Self::create_with) and [`resume_with`](Self::resume_with).
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
    B: AutodiffBackend,
    G: TrainableGenerator<B>,
    D: TrainableDistance<B>,
{
    config: RunConfig<G::Config>,
    folder: RunFolder,
    device: B::Device,
    dataset: Dataset,
    split: Split,
    validation: Validation<B::InnerBackend, D::Evaluated>,
    distance: D,
    generator: G,
    groups: Groups,
    optimizer: ModuleAdam<B, G>,
    /// The moving average of the weights, if it is wanted.
    average: Option<G::Evaluated>,
    step: u64,
    round: Option<Round>,
    /// The next round, which is loaded while the present one is trained on.
    ahead: Option<Ahead>,
    /// The lowest value so far of the measure by which the best model is kept.
    best: Option<f64>,
    saved: Option<u64>,
    /// The step after which the held-out examples were measured last, by this trainer.
    validated: Option<u64>,
    rows: Rows,
    /// What was wrong when the run was opened, to be reported when it goes on.
    warnings: Vec<String>,
    lock: Option<RunLock>,
}

impl<B: TrainingBackend> Trainer<B> {
    /// Creates a run in `folder`, which is made if it does not exist.
    ///
    /// # Errors
    ///
    /// If the configuration is impossible, its data or weights cannot be read, or the folder already
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

    /// Opens the run in `folder` at its newest checkpoint, or at its beginning if it was stopped
    /// before the first one. If the newest checkpoint is damaged, the run goes on from an older one,
    /// and says so when it does ([`Event::Warning`]).
    ///
    /// # Errors
    ///
    /// If the folder holds no run, the run is being trained elsewhere or has an old format, its data
    /// is no longer there, or its checkpoints are damaged or missing.
    pub fn resume(folder: impl AsRef<Path>, device: B::Device) -> Result<Self, Error> {
        let run = RunFolder::at(folder.as_ref());
        let config: RunConfig = run.read_config()?;
        let distance = config.distance.load(&device)?;
        Self::resume_with(distance, folder, device)
    }
}

impl<B, G, D> Trainer<B, G, D>
where
    B: AutodiffBackend,
    G: TrainableGenerator<B>,
    D: TrainableDistance<B>,
{
    /// Creates a run of any generator and distance; otherwise as [`create`](Trainer::create).
    ///
    /// The generator is made from `config.generator`. The setting `config.distance` only names the
    /// distance.
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

    /// Opens a run of any generator and distance; otherwise as [`resume`](Trainer::resume).
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
        let split = config.split(&dataset);
        let mut config = config;
        config.training.steps = config.training.steps_for(split.training.len());
        let validation = Validation::new(&config, distance.valid(), &device)?;
        check_precision::<B>(config.training.precision, &device)?;
        let generator = {
            // A backend's random state belongs to the process. Another run that begins at the same
            // time must not draw from it in between.
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
            groups: Groups::of(&generator),
            optimizer: optimizer::adam(BETAS),
            generator,
            validation,
            distance,
            split,
            dataset,
            device,
            folder,
            config,
            average: None,
            step: 0,
            round: None,
            ahead: None,
            best: None,
            saved: None,
            validated: None,
            warnings: Vec::new(),
            lock: None,
        })
    }

    /// Takes the weights from which the run starts, if the configuration names some.
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
                    "names {}, whose generator has another configuration than this run's: {found:?}",
                    path.display()
                ),
            });
        }
        self.generator = ImageGenerator::load(self.generator.clone(), &file)?;
        Ok(())
    }

    /// The lowest value in the log of the measure by which the best model is kept.
    fn best_so_far(&mut self) -> Option<f64> {
        if !self.folder.best_path().exists() {
            return None;
        }
        let events = self.events();
        let values = events.iter().filter_map(|event| self.measured(event));
        values.min_by(f64::total_cmp)
    }

    /// The events in the log. Whatever is wrong with the log, it is no reason not to train.
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

    /// Keeps errors that do not stop the run, to be reported when it goes on.
    fn warn(&mut self, errors: impl IntoIterator<Item = Error>) {
        let messages = errors.into_iter().map(|error| error.to_string());
        self.warnings.extend(messages);
    }

    /// The measure by which the best model is kept, of a validation.
    fn measured(&self, event: &Event) -> Option<f64> {
        let Event::Validated { best, mean, .. } = event else {
            return None;
        };
        let value = match self.config.training.best_by {
            Measure::Best => *best,
            Measure::Mean => *mean,
        };
        value.is_finite().then_some(value)
    }

    /// Continues from the newest checkpoint, or from the newest older one that is not damaged.
    /// Damaged ones are set aside once another is loaded.
    fn continue_from_newest(
        &mut self,
        newest: &Checkpoint,
        older: &[Checkpoint],
    ) -> Result<(), Error> {
        let mut damaged = Vec::new();
        let mut first = None;
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
                Err(error) if error.is_damage() => {
                    first.get_or_insert_with(|| error.to_string());
                    damaged.push((checkpoint, error));
                }
                Err(error) => return Err(error),
            }
        }
        // The newest one is the one to restore.
        damaged
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    fn set_aside(&mut self, damaged: &Checkpoint, error: &Error) -> Result<(), Error> {
        let path = damaged.set_aside()?;
        self.warnings.push(format!(
            "{error}; the run goes on from step {}, and the damaged checkpoint is now {}",
            self.step,
            path.display()
        ));
        Ok(())
    }

    fn continue_from(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        checkpoint.check()?;
        let (generator, optimizer, position) =
            checkpoint.load(self.generator.clone(), self.optimizer.clone(), &self.device)?;
        let average = checkpoint.load_average(generator.valid())?;
        let round = position.round.map(|round| {
            Round::resume(&self.config, &self.dataset, &self.split, round).map(|(round, _)| round)
        });
        let round = round.transpose().map_err(|error| match error {
            // The data are at fault, and would be at an older checkpoint, too.
            Error::Setting { field: "data", .. } => error,
            error => Error::Checkpoint {
                path: checkpoint.path().to_owned(),
                reason: error.to_string(),
            },
        })?;
        self.generator = generator;
        self.optimizer = optimizer;
        self.average = average;
        self.step = position.step;
        self.saved = Some(position.step);
        self.round = round;
        Ok(())
    }

    /// Whether the log says that checkpoints were written.
    fn has_begun(&mut self) -> bool {
        let saved = |event: &Event| matches!(event, Event::Saved { .. });
        self.events().iter().any(saved)
    }

    /// Sets how many bytes a batch of the search may take, by the estimates of
    /// [`NetworkConfig::bytes_per_output`] and [`DistanceConfig::bytes_per_image`]. The default is
    /// 1 GiB. What is found does not depend on it.
    ///
    /// [`DistanceConfig::bytes_per_image`]: crate::DistanceConfig::bytes_per_image
    pub fn set_memory(&mut self, bytes: u64) {
        self.rows = Rows::new(self.config.search.chunk, bytes);
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

    /// Changes the number of steps in all, including those done. The run's `config.toml` is changed
    /// too.
    ///
    /// # Errors
    ///
    /// If more steps are done already, or the file cannot be written.
    pub fn set_steps(&mut self, steps: u64) -> Result<(), Error> {
        if steps < self.step {
            return Err(Error::Setting {
                field: "steps",
                reason: format!("must be at least {}, which are done already", self.step),
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

    /// Returns the examples that are not trained on. In a set too small to hold any out, these are
    /// the examples of its first input.
    pub fn held_out(&self) -> &[Example] {
        self.validation.examples()
    }

    /// Returns the generator in its present state, ready to be sampled: with the moving average of its
    /// weights, if the run has one.
    pub fn model(&self) -> Model<B::InnerBackend, G::Evaluated> {
        Model::new(self.evaluated(), self.config.task.clone())
    }

    fn evaluated(&self) -> G::Evaluated {
        match &self.average {
            Some(average) => average.clone(),
            None => self.generator.valid(),
        }
    }

    /// Trains to the end of the schedule.
    ///
    /// # Errors
    ///
    /// If the data can no longer be read, the folder can no longer be written, or the loss is not
    /// finite. What was saved before stays.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        self.run_until(&|| false, observer)
    }

    /// Trains until the schedule ends or the time is up, and saves.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_for(&mut self, limit: Duration, observer: &mut dyn Observer) -> Result<(), Error> {
        let begun = Instant::now();
        self.run_until(&|| begun.elapsed() >= limit, observer)
    }

    /// Trains until the schedule ends or `stop` returns true, and saves. `stop` is asked after every
    /// step, and after every batch of the search: a search that is interrupted continues when the
    /// run is resumed.
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
        let log = &mut Log::open(self.folder.log_path(), observer)?;
        self.announce(log);
        if self.config.training.average.is_some() && self.average.is_none() {
            self.average = Some(self.generator.valid());
        }
        if self.saved.is_none() {
            self.validate(log)?;
            self.save_strip()?;
            self.save(log)?;
        }
        let mut interrupted = false;
        while self.step < self.config.training.steps && !stop() {
            if self.needs_round() {
                self.draw_round(log)?;
            }
            if !self.search(stop, log)? {
                interrupted = true;
                break;
            }
            self.train_step(log)?;
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
            parameters: self.generator.num_params(),
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

    /// Whether the next step needs a new round.
    fn needs_round(&self) -> bool {
        let steps = self.config.training.steps_per_search;
        self.round
            .as_ref()
            .is_none_or(|round| round.is_searched() && round.steps() >= steps)
    }

    fn draw_round(&mut self, log: &mut Log) -> Result<(), Error> {
        let index = self.round.as_ref().map_or(0, |round| round.index() + 1);
        let (round, unreadable) = match self.ahead.take() {
            Some(ahead) if ahead.index == index => ahead.wait()?,
            _ => Round::draw(&self.config, &self.dataset, &self.split, index)?,
        };
        for Unreadable { name, reason } in unreadable {
            log.notice(&Event::Skipped { name, reason });
        }
        self.round = Some(round);
        Ok(())
    }

    /// Finds the codes of the round at hand that are not found yet. Returns false if it was stopped
    /// before all were found.
    fn search(&mut self, stop: &dyn Fn() -> bool, log: &mut Log) -> Result<bool, Error> {
        let round = self
            .round
            .as_mut()
            .expect("a round is drawn before its search");
        if round.is_searched() {
            return Ok(true);
        }
        let begun = Instant::now();
        let generator = self.generator.valid().prepared();
        let distance = self.distance.valid();
        let bytes = bytes_per_candidate(&self.config);
        let mut summary = SearchSummary::default();
        while !round.is_searched() {
            log.notice(&Event::Searching {
                done: round.found(),
                total: round.len(),
            });
            if stop() {
                return Ok(false);
            }
            let found = self.rows.attempt::<B, _>(&self.device, bytes, |chunk| {
                let search = self.config.search().with_chunk(chunk);
                let next = round.next_to_search(search.inputs_at_once());
                Ok(search.run(
                    &generator,
                    &distance,
                    next.conditioning(&self.device),
                    &next.target(&distance, &self.device),
                    round.pool(),
                    &next.identities(),
                )?)
            })?;
            summary.add(&found);
            round.take(&found);
        }
        log.notice(&Event::Searching {
            done: round.found(),
            total: round.len(),
        });
        log.notice(&Event::Searched {
            step: self.step,
            round: round.index(),
            examples: summary.examples,
            chosen: summary.mean(&summary.chosen),
            pool: summary.mean(&summary.pool),
            seconds: begun.elapsed().as_secs_f64(),
        });
        let (next, schedule) = (round.index() + 1, &self.config.training);
        if self.step + schedule.steps_per_search < schedule.steps {
            self.ahead = Some(Ahead::start(&self.config, &self.dataset, &self.split, next));
        }
        Ok(true)
    }

    /// Takes one step of Adam on the next batch of the round, with the codes held.
    fn train_step(&mut self, log: &mut Log) -> Result<(), Error> {
        let begun = Instant::now();
        let round = self.round.as_mut().expect("a search comes before a step");
        let schedule = &self.config.training;
        let step = round.next_step(schedule.batch, self.config.seed);
        let noise = Noise {
            deviation: schedule.perturbation,
            pool: SeededPool::new(derive(self.config.seed, Stream::Perturbation, self.step)),
        };
        let alone = differentiate_alone();
        let mut gradients = Accumulated::new();
        let mut levels: Vec<f32> = Vec::new();
        let size = schedule.batch.div_ceil(schedule.accumulate);
        for first in (0..schedule.batch).step_by(size) {
            let part = step.part(first..(first + size).min(schedule.batch));
            let batch = part.batch::<B>(&self.device);
            let target = Step::target(&self.distance, batch.targets);
            let losses = schedule.objective.losses(
                &self.generator,
                &self.distance,
                batch.conditioning,
                |level, state| {
                    let len = self.generator.code_len(state);
                    let codes = part.codes(level, len, &self.device);
                    let codes = noise.added_to(codes, level, first, &self.device);
                    self.generator.code(state, codes)
                },
                &target,
            );
            // The mean over the whole batch, level by level.
            let weight = 1.0 / schedule.batch as f64;
            let terms = losses.into_iter().map(|loss| loss.sum().mul_scalar(weight));
            let terms: Vec<Tensor<B, 1>> = terms.collect();
            let values = Tensor::cat(terms.clone(), 0).inner().into_data();
            levels.resize(terms.len(), 0.0);
            for (sum, value) in levels.iter_mut().zip(values.iter::<f32>()) {
                *sum += value;
            }
            let total = terms.into_iter().reduce(|sum, term| sum + term);
            let total = total.expect("a generator has levels");
            gradients.add::<B>(&self.generator, total.backward(), &self.groups);
        }
        drop(alone);
        let loss: f32 = levels.iter().sum();
        if !loss.is_finite() {
            return Err(Error::Diverged {
                step: self.step + 1,
                loss,
                levels,
                checkpoint: self.folder.newest_checkpoint()?.path().to_owned(),
            });
        }
        let rate = schedule.rate_at(self.step);
        self.generator = gradients.step::<B>(
            &mut self.optimizer,
            self.generator.clone(),
            rate,
            rate * schedule.mapping_rate,
        );
        self.step += 1;
        if let (Some(decay), Some(average)) = (schedule.average, self.average.take()) {
            // Early on, the average of few steps: the first weights do not linger in it.
            let decay = decay.min(self.step as f64 / (self.step as f64 + 9.0));
            self.average = Some(averaged(average, &self.generator.valid(), decay));
        }
        log.notice(&Event::Step {
            step: self.step,
            loss,
            levels,
            learning_rate: rate,
            seconds: begun.elapsed().as_secs_f64(),
        });
        Ok(())
    }

    /// Measures the held-out examples, and keeps the model if it is the best so far.
    fn validate(&mut self, log: &mut Log) -> Result<(), Error> {
        let event = self.validation.run(&self.model(), self.step)?;
        log.notice(&event);
        self.validated = Some(self.step);
        let Some(value) = self.measured(&event) else {
            return Ok(());
        };
        if self.best.is_none_or(|best| value < best) {
            let path = self.folder.best_path();
            save_generator(&self.evaluated(), &self.config.task, &path)?;
            self.best = Some(value);
        }
        Ok(())
    }

    fn save_strip(&self) -> Result<(), Error> {
        let (model, step) = (self.model(), self.step);
        self.validation.save_strip(&model, step, &self.folder)
    }

    fn save(&mut self, log: &mut Log) -> Result<(), Error> {
        let position = Position {
            step: self.step,
            round: self.round.as_ref().map(Round::position),
        };
        let (checkpoint, warnings) = Checkpoint::save(
            &self.folder.checkpoints_path(),
            &self.generator,
            self.average.as_ref(),
            &self.config.task,
            &self.optimizer,
            &position,
            self.config.training.keep,
        )?;
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

/// A round that is loaded on a thread of its own.
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

/// Estimates what one candidate of the search takes.
fn bytes_per_candidate<C: NetworkConfig>(config: &RunConfig<C>) -> u64 {
    let (height, width) = (config.data.height, config.data.width);
    let precision = config.training.precision;
    let output = config.generator.bytes_per_output(precision, height, width);
    output.max(config.distance.bytes_per_image(height, width))
}

/// The noise that is added to chosen codes at one step.
struct Noise {
    deviation: f64,
    pool: SeededPool,
}

impl Noise {
    fn added_to<B: AutodiffBackend>(
        &self,
        codes: Tensor<B, 2>,
        level: usize,
        first: usize,
        device: &B::Device,
    ) -> Tensor<B, 2> {
        if self.deviation == 0.0 {
            return codes;
        }
        let rows: Vec<Candidate> = (first..first + codes.dims()[0])
            .map(|index| Candidate {
                example: ExampleId(0),
                index,
            })
            .collect();
        let noise: Tensor<B, 2> = self.pool.draw(level, &rows, codes.dims()[1], device);
        codes + noise.mul_scalar(self.deviation)
    }
}

/// Sums of what a search found, for its report.
#[derive(Default)]
struct SearchSummary {
    examples: usize,
    chosen: Vec<f64>,
    pool: Vec<f64>,
}

impl SearchSummary {
    fn add(&mut self, found: &[Chosen]) {
        for chosen in found {
            self.examples += 1;
            let nearest = chosen.nearest();
            self.chosen.resize(nearest.len(), 0.0);
            self.pool.resize(nearest.len(), 0.0);
            for (sum, value) in self.chosen.iter_mut().zip(nearest) {
                *sum += f64::from(value);
            }
            for (sum, distances) in self.pool.iter_mut().zip(&chosen.distances) {
                *sum += mean_of_measured(distances);
            }
        }
    }

    fn mean(&self, sums: &[f64]) -> Vec<f32> {
        sums.iter()
            .map(|sum| (sum / self.examples as f64) as f32)
            .collect()
    }
}

/// The mean of the distances that were measured.
fn mean_of_measured(distances: &[f32]) -> f64 {
    let measured = distances.iter().filter(|distance| !distance.is_nan());
    let (sum, count) = measured.fold((0.0, 0), |(sum, count), &distance| {
        (sum + f64::from(distance), count + 1)
    });
    sum / f64::from(count)
}
