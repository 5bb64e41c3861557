//! An arena: its configuration, its folder, and the processes that run its jobs.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use chimle_core::data::{Example, Planes};
use chimle_kernels::{Kernels, TrainingBackend};

use crate::config::ArenaConfig;
use crate::error::Error;
use crate::folder::ArenaFolder;
use crate::job::{Entry, Job, make, write_json};
use crate::measure::Evaluator;
use crate::methods::Methods;
use crate::samples::{input_name, write_png};

/// The time between two checks of the processes.
const POLL: Duration = Duration::from_millis(200);
/// The name of the file that receives the output of a process.
const OUTPUT: &str = "output.txt";

/// An arena in its folder.
#[derive(Clone, Debug)]
pub struct Arena {
    /// The configuration.
    pub config: ArenaConfig,
    /// The folder.
    pub folder: ArenaFolder,
}

/// An event while the jobs run.
#[derive(Clone, Debug)]
pub enum Notice<'a> {
    /// The job was already done.
    WasDone(&'a Job),
    /// A process has started the job.
    Begun(&'a Job),
    /// The job is done.
    Done(&'a Job),
    /// The job failed, for this reason.
    Failed(&'a Job, &'a str),
}

impl Arena {
    /// Creates an arena in a folder, or continues an existing arena.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written, or holds an arena with a different configuration. Methods and foreign folders
    /// may be added or removed, and `at_once` and the settings of the page may differ.
    pub fn create(config: ArenaConfig, folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = ArenaFolder::at(folder.as_ref());
        let path = folder.config_path();
        if path.is_file() {
            let known = ArenaConfig::read(&path)?;
            if !continues(&known, &config) {
                let reason = format!(
                    "differs from {}, with which this arena was begun: use a different folder or the same configuration \
                     (methods and foreign folders can be added or removed)",
                    path.display()
                );
                return Err(Error::setting("config", reason));
            }
        }
        fs::create_dir_all(folder.path()).map_err(Error::file("make", folder.path()))?;
        chimle_files::write(&path, config.to_toml()).map_err(Error::file("write", &path))?;
        Ok(Self { config, folder })
    }

    /// Opens the arena in a folder.
    ///
    /// # Errors
    ///
    /// If the folder contains no arena.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = ArenaFolder::at(folder.as_ref());
        let config = ArenaConfig::read(&folder.config_path())?;
        Ok(Self { config, folder })
    }

    /// Returns all jobs, seed by seed, so that results of all methods are available early.
    pub fn jobs(&self) -> Vec<Job> {
        let methods = &self.config.methods;
        let trained = self.config.seeds.iter().flat_map(|&seed| {
            methods.keys().map(move |method| Job::Train {
                method: method.clone(),
                seed,
            })
        });
        let foreign = self.config.foreign.keys();
        let foreign = foreign.map(|name| Job::Foreign { name: name.clone() });
        trained.chain(foreign).collect()
    }

    /// Checks that every method can be made and that the images can be read, and writes the measured inputs and their true
    /// outputs. Other programs can then sample the same inputs.
    ///
    /// # Errors
    ///
    /// If the configuration does not fit a method or the images.
    pub fn prepare<B: TrainingBackend>(
        &self,
        methods: &Methods<B>,
        device: &B::Device,
    ) -> Result<(), Error> {
        for name in self.config.methods.keys() {
            make(&self.config, methods, device, name, self.config.seeds[0])?;
        }
        self.config.training_set()?;
        let evaluator = Evaluator::<B::InnerBackend>::new(&self.config, device)?;
        let examples = evaluator.examples();
        if examples.is_empty() {
            return Err(Error::setting(
                "data.test",
                "holds no image that can be read",
            ));
        }
        self.write_inputs(&examples)
    }

    fn write_inputs(&self, examples: &[Example]) -> Result<(), Error> {
        let mut names = std::collections::BTreeSet::new();
        for example in examples {
            let name = input_name(example);
            if !names.insert(name.clone()) {
                let reason = format!(
                    "holds two images with the name {name}, so their samples would be mixed"
                );
                return Err(Error::setting("data.test", reason));
            }
            let input: Planes = self.config.task.picture_of_input(&example.conditioning);
            write_png(&input.to_rgb(), &self.folder.input_path(&name))?;
            write_png(&example.truth().to_rgb(), &self.folder.truth_path(&name))?;
        }
        Ok(())
    }

    /// Runs all jobs that are not done, `at_once` of them at a time, each in its own process.
    ///
    /// `command` returns the command for a job: a program that calls [`Job::run`]. The process gets one thread
    /// (`RAYON_NUM_THREADS=1`). Its standard input stays open as long as this process lives, so a job can notice that this
    /// process is gone (see [`stop_with_parent`]). Its output goes to `output.txt` in the job's folder. When `stop` returns
    /// true, the standard inputs are closed, and the function waits for the processes to end.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] if `stop` returned true. [`Error::Failed`] if jobs failed; all other jobs are done by then.
    pub fn run(
        &self,
        command: &dyn Fn(&Job) -> Command,
        stop: &dyn Fn() -> bool,
        notice: &mut dyn FnMut(Notice<'_>),
    ) -> Result<(), Error> {
        let mut waiting: VecDeque<Job> = VecDeque::new();
        for job in self.jobs() {
            if job.is_done(&self.config, &self.folder) {
                notice(Notice::WasDone(&job));
            } else {
                waiting.push_back(job);
            }
        }
        let mut running: Vec<(Job, Child)> = Vec::new();
        let mut failures: Vec<String> = Vec::new();
        loop {
            let is_stopped = stop();
            if is_stopped {
                for (_, child) in &mut running {
                    drop(child.stdin.take());
                }
                waiting.clear();
            }
            while running.len() < self.config.at_once {
                let Some(job) = waiting.pop_front() else {
                    break;
                };
                let child = self.begin(command(&job), &job)?;
                notice(Notice::Begun(&job));
                running.push((job, child));
            }
            let mut still_running = Vec::new();
            for (job, mut child) in running {
                let status = child.try_wait();
                match status.map_err(Error::file("wait for the process of", job.name()))? {
                    None => still_running.push((job, child)),
                    Some(_) if job.is_done(&self.config, &self.folder) => {
                        notice(Notice::Done(&job));
                    }
                    Some(_) if stop() => {}
                    Some(status) => {
                        let reason = self.last_words(&job).unwrap_or_else(|| status.to_string());
                        notice(Notice::Failed(&job, &reason));
                        failures.push(format!("{}: {reason}", job.name()));
                    }
                }
            }
            running = still_running;
            if running.is_empty() && waiting.is_empty() {
                break;
            }
            sleep(POLL);
        }
        let all_done = self
            .jobs()
            .iter()
            .all(|job| job.is_done(&self.config, &self.folder));
        if all_done {
            return Ok(());
        }
        if failures.is_empty() {
            return Err(Error::Stopped);
        }
        Err(Error::Failed {
            count: failures.len(),
            list: failures.join("; "),
        })
    }

    /// Measures all samples of the arena again, including those of other programs, and replaces their measures.
    ///
    /// # Errors
    ///
    /// If samples or weights cannot be read.
    pub fn measure_again<B: Kernels>(&self, device: &B::Device) -> Result<(), Error> {
        let evaluator = Evaluator::<B>::new(&self.config, device)?;
        for job in self.jobs() {
            let paths = match &job {
                Job::Train { method, seed } => {
                    let points = self.config.points.iter();
                    points
                        .map(|&point| self.folder.measure_path(method, *seed, point))
                        .collect()
                }
                Job::Foreign { name } => vec![self.folder.foreign_measure_path(name)],
            };
            for path in paths.into_iter().filter(|path| path.is_file()) {
                let mut entry = Entry::read(&path)?;
                // The path of foreign samples is absolute, so `join` returns it unchanged.
                entry.measures = evaluator.measure(&self.folder.path().join(&entry.samples))?;
                write_json(&entry, &path)?;
            }
        }
        Ok(())
    }

    fn begin(&self, mut command: Command, job: &Job) -> Result<Child, Error> {
        let folder = job.log_path(&self.folder);
        fs::create_dir_all(&folder).map_err(Error::file("make", &folder))?;
        let path = folder.join(OUTPUT);
        let output = File::create(&path).map_err(Error::file("write", &path))?;
        let errors = output.try_clone().map_err(Error::file("write", &path))?;
        command
            .env("RAYON_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(Error::file("start", command.get_program()))
    }

    /// Returns the last line of a process's output.
    fn last_words(&self, job: &Job) -> Option<String> {
        let text = fs::read_to_string(job.log_path(&self.folder).join(OUTPUT)).ok()?;
        let last = text.lines().rev().find(|line| !line.trim().is_empty())?;
        Some(last.trim().trim_start_matches("error: ").to_owned())
    }
}

/// Returns whether an arena that was started with `known` can continue with `wanted`. Methods and foreign folders may be
/// added or removed. The settings of the page and `at_once` may differ.
fn continues(known: &ArenaConfig, wanted: &ArenaConfig) -> bool {
    let mut comparable = wanted.clone();
    comparable.methods.clone_from(&known.methods);
    comparable.foreign.clone_from(&known.foreign);
    comparable.at_once = known.at_once;
    comparable.measure.shown = known.measure.shown;
    comparable.measure.shown_samples = known.measure.shown_samples;
    let mut both = wanted
        .methods
        .iter()
        .filter_map(|(name, method)| Some((known.methods.get(name)?, method)));
    comparable == *known && both.all(|(before, now)| before == now)
}

/// Returns a flag that becomes true when standard input ends, that is, when the parent process is gone or asks this process
/// to stop. A job checks the flag between two steps.
pub fn stop_with_parent() -> std::sync::Arc<std::sync::atomic::AtomicBool> {
    use std::io::Read;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let flag = Arc::new(AtomicBool::new(false));
    let shared = Arc::clone(&flag);
    std::thread::spawn(move || {
        let mut rest = [0; 64];
        // The parent never writes, so an end of file or an error means that it is gone.
        while matches!(std::io::stdin().read(&mut rest), Ok(count) if count > 0) {}
        shared.store(true, Ordering::SeqCst);
    });
    flag
}
