//! One method with one seed: training, sampling and measuring, in one process.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use burn::tensor::backend::AutodiffBackend;
use chimle_core::data::Example;
use chimle_kernels::TrainingBackend;
use serde::{Deserialize, Serialize};

use crate::clock::CpuClock;
use crate::config::{ArenaConfig, MethodConfig};
use crate::context::Context;
use crate::error::Error;
use crate::feed::Feed;
use crate::folder::ArenaFolder;
use crate::measure::{Evaluator, Measures};
use crate::method::{Costs, Method};
use crate::methods::Methods;
use crate::samples::write_samples;

/// The CPU time between two checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(30);
/// The CPU time between two lines of the log.
const LOG_EVERY: Duration = Duration::from_secs(2);
/// The longest time to wait for another process that works in the same folder.
const PATIENCE: Duration = Duration::from_secs(60);
/// The file name of a run's state in a checkpoint.
const STATE: &str = "state.json";
/// The prefix of a checkpoint's name.
const PREFIX: &str = "step-";

/// The work of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Trains, samples and measures a method with one seed.
    Train {
        /// The name of the method's section in the configuration.
        method: String,
        /// The seed.
        seed: u64,
    },
    /// Measures a folder of samples that another program made.
    Foreign {
        /// The name shown in the report.
        name: String,
    },
}

/// The measures of a method at one point of its training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The name of the method's section, or of the foreign folder.
    pub method: String,
    /// The name of the method itself. `None` for foreign samples.
    pub kind: Option<String>,
    /// The seed. `None` for foreign samples.
    pub seed: Option<u64>,
    /// The share of the CPU time, in (0, 1].
    pub point: f64,
    /// The CPU time of training so far, in seconds.
    pub cpu_seconds: Option<f64>,
    /// The number of training steps so far.
    pub steps: Option<u64>,
    /// The CPU time of one sample, in seconds.
    pub cpu_seconds_per_sample: Option<f64>,
    /// The costs of the method.
    pub costs: Option<Costs>,
    /// The folder of the samples. The path is relative to the arena's folder if the arena made the
    /// samples.
    pub samples: PathBuf,
    /// The measures, for each number of samples.
    pub measures: Vec<Measures>,
}

impl Entry {
    /// Reads the measures of a point.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is not a file of measures.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
        serde_json::from_str(&text).map_err(|error| Error::Config {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }
}

/// The part of a checkpoint that is not the method's own.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct State {
    cpu_seconds: f64,
    steps: u64,
    position: u64,
}

impl Job {
    /// Returns the name of the job, such as "chimle, seed 0".
    pub fn name(&self) -> String {
        match self {
            Self::Train { method, seed } => format!("{method}, seed {seed}"),
            Self::Foreign { name } => format!("{name} (measured only)"),
        }
    }

    /// Returns whether the whole job is done.
    pub fn is_done(&self, config: &ArenaConfig, folder: &ArenaFolder) -> bool {
        match self {
            Self::Train { method, seed } => config
                .points
                .iter()
                .all(|&point| folder.measure_path(method, *seed, point).is_file()),
            Self::Foreign { name } => folder.foreign_measure_path(name).is_file(),
        }
    }

    /// Returns the folder of the job's log.
    pub fn log_path(&self, folder: &ArenaFolder) -> PathBuf {
        match self {
            Self::Train { method, seed } => folder.run_path(method, *seed),
            Self::Foreign { name } => folder.measures_path().join(name),
        }
    }

    /// Runs the job, starting from its newest checkpoint. `stop` is called after every training step and after
    /// every sampled input.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] if `stop` returned true. Otherwise the error of training, sampling or measuring.
    pub fn run<B: TrainingBackend>(
        &self,
        config: &ArenaConfig,
        folder: &ArenaFolder,
        methods: &Methods<B>,
        device: &B::Device,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let path = self.log_path(folder);
        fs::create_dir_all(&path).map_err(Error::file("make", &path))?;
        let _lock = lock(&path)?;
        match self {
            Self::Train { method, seed } => {
                Training::new(config, folder, methods, device, method, *seed)?.run(stop)
            }
            Self::Foreign { name } => {
                let samples = config.foreign.get(name).ok_or_else(|| {
                    Error::setting(format!("foreign.{name}"), "is not in the configuration")
                })?;
                let evaluator = Evaluator::<B::InnerBackend>::new(config, device)?;
                let entry = Entry {
                    method: name.clone(),
                    kind: None,
                    seed: None,
                    point: 1.0,
                    cpu_seconds: None,
                    steps: None,
                    cpu_seconds_per_sample: None,
                    costs: None,
                    measures: evaluator.measure(samples)?,
                    samples: samples.clone(),
                };
                write_json(&entry, &folder.foreign_measure_path(name))
            }
        }
    }
}

/// Makes a method from its section of the configuration.
///
/// # Errors
///
/// If the configuration has no such section, or the method's settings are not valid.
pub(crate) fn make<B: TrainingBackend>(
    config: &ArenaConfig,
    methods: &Methods<B>,
    device: &B::Device,
    name: &str,
    seed: u64,
) -> Result<Box<dyn Method>, Error> {
    let section = section(config, name)?;
    let context = Context {
        task: config.task.clone(),
        sizes: config.sizes()?,
        backbone: config.backbone.clone(),
        distance: config.distance.clone(),
        vgg16: config.weights.vgg16.clone(),
        device: device.clone(),
        seed,
    };
    let kind = section.kind.as_deref().unwrap_or(name);
    methods.make(kind, &section.settings, &context)
}

fn section<'a>(config: &'a ArenaConfig, name: &str) -> Result<&'a MethodConfig, Error> {
    config
        .methods
        .get(name)
        .ok_or_else(|| Error::setting(format!("methods.{name}"), "is not in the configuration"))
}

/// The training of one method.
struct Training<'a, B: AutodiffBackend<InnerBackend: chimle_kernels::Kernels>> {
    config: &'a ArenaConfig,
    folder: &'a ArenaFolder,
    name: &'a str,
    seed: u64,
    method: Box<dyn Method>,
    feed: Feed,
    clock: CpuClock,
    steps: u64,
    device: &'a B::Device,
}

impl<'a, B: TrainingBackend> Training<'a, B> {
    /// Makes the method, and loads its newest checkpoint if there is one.
    fn new(
        config: &'a ArenaConfig,
        folder: &'a ArenaFolder,
        methods: &Methods<B>,
        device: &'a B::Device,
        name: &'a str,
        seed: u64,
    ) -> Result<Self, Error> {
        let mut method = make(config, methods, device, name, seed)?;
        let dataset = config.training_set()?;
        let newest = newest_checkpoint(&folder.checkpoints_path(name, seed))?;
        let state = match newest {
            Some(path) => {
                method.load(&path)?;
                read_state(&path.join(STATE))?
            }
            None => State::default(),
        };
        Ok(Self {
            config,
            folder,
            name,
            seed,
            method,
            feed: Feed::at(dataset, seed, state.position),
            clock: CpuClock::at(Duration::from_secs_f64(state.cpu_seconds)),
            steps: state.steps,
            device,
        })
    }

    /// Returns the share of the CPU time or of the steps that has been used.
    fn progress(&self, section: &MethodConfig) -> f64 {
        match section.steps {
            Some(steps) => self.steps as f64 / steps as f64,
            None => {
                let minutes = section.cpu_minutes.unwrap_or(self.config.cpu_minutes);
                self.clock.spent().as_secs_f64() / (60.0 * minutes)
            }
        }
    }

    fn run(mut self, stop: &dyn Fn() -> bool) -> Result<(), Error> {
        let section = section(self.config, self.name)?.clone();
        let mut evaluator = None;
        for &point in &self.config.points {
            let measured = self.folder.measure_path(self.name, self.seed, point);
            if measured.is_file() {
                continue;
            }
            self.train_to(point, &section, stop)?;
            let evaluator = match &mut evaluator {
                Some(evaluator) => evaluator,
                none => none.insert(Evaluator::<B::InnerBackend>::new(self.config, self.device)?),
            };
            let samples = self.folder.samples_path(self.name, self.seed, point);
            let seconds = self.sample(&evaluator.examples(), &samples, stop)?;
            let entry = Entry {
                method: self.name.to_owned(),
                kind: Some(section.kind.clone().unwrap_or_else(|| self.name.to_owned())),
                seed: Some(self.seed),
                point,
                cpu_seconds: Some(self.clock.spent().as_secs_f64()),
                steps: Some(self.steps),
                cpu_seconds_per_sample: Some(seconds),
                costs: Some(self.method.costs()),
                measures: evaluator.measure(&samples)?,
                samples: samples
                    .strip_prefix(self.folder.path())
                    .map_or(samples.clone(), Path::to_owned),
            };
            write_json(&entry, &measured)?;
        }
        Ok(())
    }

    /// Trains until a share of the CPU time has been used, and saves a checkpoint.
    fn train_to(
        &mut self,
        point: f64,
        section: &MethodConfig,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let mut saved = self.clock.spent();
        let mut losses = Losses::open(&self.folder.run_path(self.name, self.seed))?;
        let mut is_stopped = false;
        self.clock.start();
        while self.progress(section) < point {
            if stop() {
                is_stopped = true;
                break;
            }
            let progress = self.progress(section).min(1.0);
            let loss = self.method.step(&mut self.feed, progress)?;
            self.steps += 1;
            if !loss.is_finite() {
                return Err(Error::Diverged {
                    method: self.name.to_owned(),
                    step: self.steps,
                    loss,
                });
            }
            losses.push(loss, self.steps, self.clock.spent())?;
            if self.clock.spent() >= saved + CHECKPOINT_EVERY {
                // Writing a checkpoint does not count as training.
                self.clock.stop();
                self.save()?;
                saved = self.clock.spent();
                self.clock.start();
            }
        }
        self.clock.stop();
        self.save()?;
        if is_stopped {
            Err(Error::Stopped)
        } else {
            Ok(())
        }
    }

    /// Writes a checkpoint under a temporary name, renames it when it is complete, and removes older ones.
    fn save(&self) -> Result<(), Error> {
        let parent = self.folder.checkpoints_path(self.name, self.seed);
        fs::create_dir_all(&parent).map_err(Error::file("make", &parent))?;
        let writing = tempfile::Builder::new()
            .prefix(".writing-")
            .tempdir_in(&parent)
            .map_err(Error::file("write", &parent))?;
        self.method.save(writing.path())?;
        let state = State {
            cpu_seconds: self.clock.spent().as_secs_f64(),
            steps: self.steps,
            position: self.feed.position(),
        };
        write_json(&state, &writing.path().join(STATE))?;
        let path = parent.join(format!("{PREFIX}{:08}", self.steps));
        if path.exists() {
            // The existing checkpoint is from the same step of the same run.
            return Ok(());
        }
        fs::rename(writing.keep(), &path).map_err(Error::file("write", &path))?;
        chimle_files::sync_folder(&parent).map_err(Error::file("write", &parent))?;
        for older in checkpoints(&parent)? {
            if older != path {
                fs::remove_dir_all(&older).map_err(Error::file("remove", &older))?;
            }
        }
        Ok(())
    }

    /// Writes samples of all inputs into a folder, and returns the CPU time of one sample in seconds.
    fn sample(
        &self,
        examples: &[Example],
        folder: &Path,
        stop: &dyn Fn() -> bool,
    ) -> Result<f64, Error> {
        let count = self.config.most_samples();
        let mut clock = CpuClock::default();
        for example in examples {
            if stop() {
                return Err(Error::Stopped);
            }
            clock.start();
            let drawn = self.method.sample(&[example], count, self.seed)?;
            clock.stop();
            write_samples(folder, example, &drawn[0])?;
        }
        let samples = (examples.len() * count).max(1);
        Ok(clock.spent().as_secs_f64() / samples as f64)
    }
}

/// The log of losses, `log.jsonl`. Each line has the mean loss of an interval of CPU time.
struct Losses {
    path: PathBuf,
    file: File,
    sum: f64,
    count: u64,
    since: Option<Duration>,
}

#[derive(Serialize)]
struct Line {
    cpu_seconds: f64,
    step: u64,
    loss: f64,
}

impl Losses {
    fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("log.jsonl");
        let file = File::options().create(true).append(true).open(&path);
        Ok(Self {
            file: file.map_err(Error::file("write", &path))?,
            path,
            sum: 0.0,
            count: 0,
            since: None,
        })
    }

    fn push(&mut self, loss: f32, step: u64, spent: Duration) -> Result<(), Error> {
        self.sum += f64::from(loss);
        self.count += 1;
        let since = *self.since.get_or_insert(spent);
        if spent < since + LOG_EVERY {
            return Ok(());
        }
        let line = Line {
            cpu_seconds: spent.as_secs_f64(),
            step,
            loss: self.sum / self.count as f64,
        };
        (self.sum, self.count, self.since) = (0.0, 0, Some(spent));
        let mut text = serde_json::to_string(&line).expect("a line is plain data");
        text.push('\n');
        let written = self.file.write_all(text.as_bytes());
        written.map_err(Error::file("write", &self.path))
    }
}

/// Locks a folder against other processes until the returned file is closed. If an arena was killed, its
/// remaining processes end soon, so the function waits for them.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(Error::file("write", &path))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::InUse {
                    path: folder.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(Error::file("lock", &path)(source)),
        }
    }
}

/// Returns the complete checkpoints of a folder, oldest first.
fn checkpoints(parent: &Path) -> Result<Vec<PathBuf>, Error> {
    if !parent.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(parent).map_err(Error::file("read", parent))? {
        let path = entry.map_err(Error::file("read", parent))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(PREFIX)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn newest_checkpoint(parent: &Path) -> Result<Option<PathBuf>, Error> {
    Ok(checkpoints(parent)?.pop())
}

fn read_state(path: &Path) -> Result<State, Error> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    serde_json::from_str(&text).map_err(|error| Error::Checkpoint {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// Writes a value as JSON, completely or not at all, and creates the parent folders.
pub(crate) fn write_json(value: &impl Serialize, path: &Path) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
    }
    let json = serde_json::to_string_pretty(value).expect("plain data");
    chimle_files::write(path, json).map_err(Error::file("write", path))
}
