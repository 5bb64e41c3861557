//! Training: draw a share of the data, search it, train on it with the codes held, and again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_data::{Batch, Dataset, Example};
use chimle_imle::{Chosen, SeededPool, Target};
use chimle_nn::{Compute, Generator, LatentCode, TrainingBackend};
use chimle_perceptual::Distance;

use crate::checkpoint::{self, Position};
use crate::config::RunConfig;
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::log::{CONFIG, Log};
use crate::memory::{Rows, USUAL_BYTES, bytes_per_distance, bytes_per_output};
use crate::model::{Model, check_precision};
use crate::optimizer::{self, GeneratorAdam, Groups};
use crate::seed::{Stream, derive};
use crate::share::{Member, Order, Share, drawn, load_examples};
use crate::validation::{Validation, has_strip};
use crate::whole_file::write_whole;

static INITIALIZATION: Mutex<()> = Mutex::new(());

/// A run of training: its folder, its data and its state.
///
/// The folder holds `config.toml`, `log.jsonl`, `checkpoints/` and `samples/`. On the CPU a run
/// that was stopped, at any moment and in any way, and resumed ends with the same weights, bit for
/// bit, as one that never stopped.
pub struct Trainer<B: TrainingBackend> {
    config: RunConfig,
    folder: PathBuf,
    device: B::Device,
    dataset: Dataset,
    /// Inputs `0..training` of the data set are trained on, the others held out.
    training: usize,
    validation: Validation<B::InnerBackend>,
    distance: Distance<B>,
    generator: Generator<B>,
    groups: Groups,
    optimizer: GeneratorAdam<B>,
    step: u64,
    share: Option<Share>,
    saved: Option<u64>,
    rows: Rows,
}

impl<B: TrainingBackend> Trainer<B> {
    /// A new run in `folder`, which is made if it does not exist.
    ///
    /// # Errors
    /// If the configuration is impossible, its data or weights cannot be read, or the folder
    /// already holds a run or cannot be written.
    pub fn create(
        config: RunConfig,
        folder: impl AsRef<Path>,
        device: B::Device,
    ) -> Result<Self, Error> {
        let folder = folder.as_ref();
        config.validate()?;
        if folder.join(CONFIG).exists() {
            return Err(Error::RunExists {
                path: folder.to_owned(),
            });
        }
        // Everything that can be wrong with the input is found before the folder is touched.
        let trainer = Self::assemble(config, folder, device)?;
        fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
        let path = folder.join(CONFIG);
        write_whole(&path, trainer.config.to_toml().as_bytes())?;
        Ok(trainer)
    }

    /// The run in `folder`, at its newest checkpoint, or at its beginning if it has none yet.
    ///
    /// # Errors
    /// If the folder holds no run, its data is no longer there, or its checkpoint is damaged.
    pub fn resume(folder: impl AsRef<Path>, device: B::Device) -> Result<Self, Error> {
        let folder = folder.as_ref();
        if !folder.join(CONFIG).is_file() {
            return Err(Error::NoRun {
                path: folder.to_owned(),
                what: "run (no config.toml)",
            });
        }
        let mut trainer = Self::assemble(RunConfig::read(&folder.join(CONFIG))?, folder, device)?;
        let Ok(newest) = checkpoint::newest(folder) else {
            return Ok(trainer);
        };
        let (generator, optimizer, position) = checkpoint::load(
            &newest,
            trainer.generator,
            trainer.optimizer,
            &trainer.device,
        )?;
        trainer.generator = generator;
        trainer.optimizer = optimizer;
        trainer.step = position.step;
        trainer.saved = Some(position.step);
        trainer.share = trainer.share_at(&newest, position)?;
        Ok(trainer)
    }

    fn assemble(config: RunConfig, folder: &Path, device: B::Device) -> Result<Self, Error> {
        let dataset = config.dataset(config.data.augment)?;
        let training = config.split(&dataset).0;
        let distance: Distance<B> = config.distance.load(&device)?;
        let validation = Validation::new(&config, distance.valid(), &device)?;

        let generator = {
            // A backend's random state is the process's: another run that begins at the same
            // time must not draw from it in between.
            let _alone = INITIALIZATION
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            B::seed(&device, derive(config.seed, Stream::Initialization, 0));
            config.generator.init::<B>(&device)
        };
        check_precision::<B>(config.training.precision, &device)?;
        let generator = generator.with_compute(Compute {
            precision: config.training.precision,
            recompute: config.training.recompute,
        });
        Ok(Self {
            rows: Rows::new(config.search.chunk, USUAL_BYTES),
            groups: Groups::of(&generator),
            optimizer: optimizer::adam((0.9, 0.999)),
            generator,
            validation,
            distance,
            training,
            dataset,
            device,
            folder: folder.to_owned(),
            config,
            step: 0,
            share: None,
            saved: None,
        })
    }

    /// The share that was in hand at a checkpoint, its examples made anew.
    fn share_at(&self, checkpoint: &Path, position: Position) -> Result<Option<Share>, Error> {
        if position.chosen.is_empty() {
            return Ok(None);
        }
        let slots: Vec<usize> = position.chosen.iter().map(|&(slot, _)| slot).collect();
        let drawn = drawn(&self.config, &self.dataset, self.training, position.round);
        if slots.iter().any(|&slot| slot >= drawn.len()) {
            return Err(Error::Checkpoint {
                path: checkpoint.to_owned(),
                reason: "its share is larger than config.toml says".to_owned(),
            });
        }
        let mut unreadable = Vec::new();
        let examples = load_examples(
            &self.config,
            &self.dataset,
            &drawn,
            Some(&slots),
            &mut |event: &Event| unreadable.push(event.clone()),
        )?;
        if let Some(Event::Skipped { reason, .. }) = unreadable.first() {
            return Err(Error::Checkpoint {
                path: checkpoint.to_owned(),
                reason: format!("an image of the share in hand can no longer be read: {reason}"),
            });
        }
        let members = examples.into_iter().zip(position.chosen);
        let members = members.map(|(loaded, (_, candidates))| Member { loaded, candidates });
        Ok(Some(Share {
            round: position.round,
            members: members.collect(),
            steps: position.steps_on_share,
        }))
    }

    /// Lets a batch of the search take at most so many bytes, by
    /// [an estimate](crate::bytes_per_output); 1 GiB otherwise. What is found does not depend on it.
    pub fn set_memory(&mut self, bytes: u64) {
        self.rows = Rows::new(self.config.search.chunk, bytes);
    }

    /// Its configuration.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Another number of steps in all, those done included, which the run's `config.toml` then has.
    ///
    /// # Errors
    /// If more are done already, or the file cannot be written.
    pub fn set_steps(&mut self, steps: u64) -> Result<(), Error> {
        if steps < self.step {
            return Err(Error::Setting {
                field: "steps",
                reason: format!("must be at least {}, as so many are done", self.step),
            });
        }
        self.config.training.set_steps(steps);
        write_whole(&self.folder.join(CONFIG), self.config.to_toml().as_bytes())
    }

    /// The examples that are not trained on (in a set too small to hold any out, its first).
    pub fn held_out(&self) -> &[Example] {
        self.validation.examples()
    }

    /// The generator as it stands.
    pub fn model(&self) -> Model<B::InnerBackend> {
        Model::new(self.generator.valid())
    }

    /// Trains to the end of the schedule.
    ///
    /// # Errors
    /// If the data can no longer be read, the folder no longer be written, or the loss is not
    /// finite. What was saved before stays.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        self.run_for(Duration::MAX, observer)
    }

    /// Trains until the schedule ends or the time is up, whichever comes first, and saves.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_for(&mut self, limit: Duration, observer: &mut dyn Observer) -> Result<(), Error> {
        let begun = Instant::now();
        let log = &mut Log::open(&self.folder, observer)?;
        log.notice(&Event::Started {
            step: self.step,
            steps: self.config.training.steps,
            examples: self.dataset.observed(self.training - 1).end,
            held_out: self.dataset.len() - self.dataset.observed(self.training - 1).end,
            skipped: self.dataset.skipped().len(),
            parameters: burn::module::Module::num_params(&self.generator),
        });
        for skipped in self.dataset.skipped() {
            log.notice(&Event::Skipped {
                name: skipped.name.clone(),
                reason: skipped.reason.to_string(),
            });
        }
        if self.saved.is_none() {
            self.validate(log)?;
            self.save_strip()?;
            self.save(log)?;
        }
        let schedule = self.config.training.clone();
        while self.step < schedule.steps && begun.elapsed() < limit {
            if self
                .share
                .as_ref()
                .is_none_or(|share| share.steps == schedule.steps_per_search)
            {
                self.search(log)?;
            }
            self.train_step(log)?;
            if has_strip(self.step) {
                self.save_strip()?;
            }
            if self.step.is_multiple_of(schedule.validate_every) {
                self.validate(log)?;
            }
            if self.step.is_multiple_of(schedule.checkpoint_every) {
                self.save(log)?;
            }
            log.check()?;
        }
        if self.saved != Some(self.step) {
            self.validate(log)?;
            self.save(log)?;
        }
        self.save_strip()?;
        log.notice(&Event::Finished {
            step: self.step,
            seconds: begun.elapsed().as_secs_f64(),
        });
        log.check()
    }

    /// Draws the next share and finds each example's nearest code.
    fn search(&mut self, log: &mut Log) -> Result<(), Error> {
        let begun = Instant::now();
        let round = self.share.as_ref().map_or(0, |share| share.round + 1);
        let drawn = drawn(&self.config, &self.dataset, self.training, round);
        let examples = load_examples(&self.config, &self.dataset, &drawn, None, log)?;

        let generator = self.generator.valid().fold();
        let distance = self.distance.valid();
        let pool = pool(&self.config, round);
        let mut found: Vec<Chosen> = Vec::with_capacity(examples.len());
        while found.len() < examples.len() {
            log.notice(&Event::Searching {
                done: found.len(),
                total: examples.len(),
            });
            let rest = &examples[found.len()..];
            let bytes = self.bytes_per_candidate(&distance);
            let chosen = self.rows.attempt::<B, _>(&self.device, bytes, |chunk| {
                let search = self.config.search().with_chunk(chunk);
                let first = rest[0].input;
                let group =
                    rest.partition_point(|next| next.input < first + search.inputs_at_once());
                let group = &rest[..group];
                let inputs: Vec<&Example> = group
                    .chunk_by(|a, b| a.input == b.input)
                    .map(|outputs| &outputs[0].example)
                    .collect();
                let outputs: Vec<&Example> = group.iter().map(|loaded| &loaded.example).collect();
                let target = Target::of_sets(
                    &distance,
                    Batch::collate(&outputs, &self.device).targets,
                    group.iter().map(|loaded| loaded.input - first).collect(),
                );
                let conditioning = Batch::collate(&inputs, &self.device).conditioning;
                Ok(search.run(&generator, &distance, conditioning, &target, &pool, first)?)
            })?;
            found.extend(chosen);
        }
        log.notice(&Event::Searching {
            done: found.len(),
            total: examples.len(),
        });

        log.notice(&Event::Searched {
            step: self.step,
            round,
            examples: found.len(),
            chosen: mean_over_examples(found.iter().map(Chosen::nearest)),
            pool: mean_over_examples(
                found
                    .iter()
                    .map(|chosen| chosen.distances.iter().map(|pool| mean(pool)).collect()),
            ),
            seconds: begun.elapsed().as_secs_f64(),
        });
        let members = examples.into_iter().zip(found);
        let members = members.map(|(loaded, chosen)| Member {
            loaded,
            candidates: chosen.candidates,
        });
        self.share = Some(Share {
            round,
            members: members.collect(),
            steps: 0,
        });
        Ok(())
    }

    /// About what one candidate of the search takes.
    fn bytes_per_candidate(&self, distance: &Distance<B::InnerBackend>) -> u64 {
        let RunConfig {
            data, generator, ..
        } = &self.config;
        let precision = self.config.training.precision;
        let output = bytes_per_output(generator, precision, data.height, data.width);
        output.max(bytes_per_distance(distance, data.height, data.width))
    }

    /// One step of Adam on the next batch of the share, with the codes held.
    fn train_step(&mut self, log: &mut Log) -> Result<(), Error> {
        let begun = Instant::now();
        let share = self
            .share
            .as_mut()
            .expect("a search comes before the first step");
        let schedule = &self.config.training;
        let order = Order::new(
            share.members.len(),
            derive(self.config.seed, Stream::Batches, share.round),
        );
        let first = share.steps * schedule.batch as u64;
        let places = order.stretch(first..first + schedule.batch as u64);

        let examples: Vec<&Example> = places
            .iter()
            .map(|&place| &share.members[place].loaded.example)
            .collect();
        let batch = Batch::<B>::collate(&examples, &self.device);
        let targets = batch.targets.into_iter().map(Tensor::inner).collect();
        let target = Target::from_inner(Target::new(&self.distance.valid(), targets));
        let [.., height, width] = batch.conditioning[0].dims();
        let codes = self
            .config
            .generator
            .code_sizes([height, width])
            .into_iter()
            .enumerate();
        let codes = codes.map(|(level, size)| {
            held_code(
                &self.config,
                share,
                &places,
                self.step,
                level,
                size,
                &self.device,
            )
        });

        let losses = schedule.objective.losses(
            &self.generator,
            &self.distance,
            batch.conditioning,
            codes.collect(),
            &target,
        );
        let terms: Vec<Tensor<B, 1>> = losses.into_iter().map(Tensor::mean).collect();
        let levels: Vec<f32> = Tensor::cat(terms.clone(), 0)
            .inner()
            .into_data()
            .iter::<f32>()
            .collect();
        let loss: f32 = levels.iter().sum();
        if !loss.is_finite() {
            let checkpoint = checkpoint::newest(&self.folder)?;
            return Err(Error::Diverged {
                step: self.step + 1,
                loss,
                levels,
                checkpoint,
            });
        }
        let total = terms
            .into_iter()
            .reduce(|sum, term| sum + term)
            .expect("a generator has levels");
        let gradients = total.backward();
        let rate = learning_rate(schedule, self.step);
        self.generator = optimizer::step(
            &mut self.optimizer,
            self.generator.clone(),
            gradients,
            &self.groups,
            rate,
            rate * schedule.mapping_rate,
        );
        share.steps += 1;
        self.step += 1;
        let seconds = begun.elapsed().as_secs_f64();
        log.notice(&Event::Step {
            step: self.step,
            loss,
            levels,
            learning_rate: rate,
            seconds,
        });
        Ok(())
    }

    fn validate(&self, log: &mut Log) -> Result<(), Error> {
        let event = self.validation.run(&self.model(), self.step)?;
        log.notice(&event);
        Ok(())
    }

    /// A strip that is there already is of the same weights and codes.
    fn save_strip(&self) -> Result<(), Error> {
        let (model, step) = (self.model(), self.step);
        self.validation.save_strip(&model, step, &self.folder)
    }

    fn save(&mut self, log: &mut Log) -> Result<(), Error> {
        let position = Position::of(self.step, self.share.as_ref());
        let path = checkpoint::save(
            &self.folder,
            &self.generator,
            &self.optimizer,
            &position,
            self.config.training.keep,
        )?;
        self.saved = Some(self.step);
        log.notice(&Event::Saved {
            step: self.step,
            path,
        });
        Ok(())
    }
}

/// Multi-step decay.
fn learning_rate(schedule: &crate::config::TrainingConfig, step: u64) -> f64 {
    let passed = schedule
        .milestones
        .iter()
        .filter(|&&milestone| milestone <= step)
        .count();
    schedule.learning_rate * schedule.decay.powi(passed as i32)
}

/// The candidates of a round. Examples are known to it by their input's place in the share.
fn pool(config: &RunConfig, round: u64) -> SeededPool {
    SeededPool::new(&config.generator, derive(config.seed, Stream::Pool, round))
}

/// The chosen codes of a batch at one level, with the step's own noise if there is to be any.
fn held_code<B: Backend>(
    config: &RunConfig,
    share: &Share,
    places: &[usize],
    step: u64,
    level: usize,
    size: [usize; 2],
    device: &B::Device,
) -> LatentCode<B> {
    let members = places.iter().map(|&place| &share.members[place]);
    let rows = members.map(|member| (member.loaded.input, member.candidates[level]));
    let code = pool(config, share.round).codes(level, rows, size, device);
    let deviation = config.training.perturbation;
    if deviation == 0.0 {
        return code;
    }
    let noise = SeededPool::new(
        &config.generator,
        derive(config.seed, Stream::Perturbation, step),
    );
    let noise: LatentCode<B> =
        noise.codes(level, (0..places.len()).map(|row| (row, 0)), size, device);
    LatentCode {
        global: code.global + noise.global.mul_scalar(deviation),
        local: code.local + noise.local.mul_scalar(deviation),
    }
}

/// The mean of a pool's distances, of those that were measured.
fn mean(values: &[f32]) -> f32 {
    let measured: Vec<f32> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    measured.iter().sum::<f32>() / measured.len() as f32
}

/// The mean of each entry over rows of one length.
fn mean_over_examples(rows: impl Iterator<Item = Vec<f32>>) -> Vec<f32> {
    let rows: Vec<Vec<f32>> = rows.collect();
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns)
        .map(|k| rows.iter().map(|row| row[k]).sum::<f32>() / rows.len() as f32)
        .collect()
}
