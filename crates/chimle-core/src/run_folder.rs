//! The folder of a run and all paths in it.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::checkpoint::Checkpoint;
use crate::config::RunConfig;
use crate::error::Error;
use crate::generator::NetworkConfig;
use crate::log::{self, RunLog};

const CONFIG: &str = "config.toml";
const LOG: &str = "log.jsonl";
const LOCK: &str = "lock";
const DATA: &str = "data.json";
const BEST: &str = "best.safetensors";
const CHECKPOINTS: &str = "checkpoints";
const STRIPS: &str = "samples";
const PAGE: &str = "page.html";
const PLOTS: &str = "plots";
const FILM: &str = "film.gif";
const TENSORBOARD: &str = "tensorboard";
const STRIP_PREFIX: &str = "step-";
const STRIP_SUFFIX: &str = ".png";

/// The age at which a temporary file counts as abandoned. A page of the run is written without the lock, so a
/// younger temporary file may still be in use.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The folder of a run.
///
/// | path | contents |
/// |---|---|
/// | `config.toml` | the settings needed to repeat the run ([`RunConfig`]) |
/// | `log.jsonl` | one line per [`Event`](crate::Event) |
/// | `checkpoints/` | the newest checkpoints |
/// | `best.safetensors` | the best model so far, by the measure `training.best_by` at a validation |
/// | `samples/` | strips: samples for held-out inputs at some steps |
/// | `tensorboard/` | the numbers of the log as TensorBoard event files, if they were requested |
/// | `page.html`, `plots/`, `film.gif` | the page, the plots and the film that the command line makes |
/// | `data.json` | the list of the files that the run is trained on, with their sizes |
/// | `lock` | the file that the process that trains the run locks |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

/// A guard for the lock of a run folder. The lock is released when the guard is dropped, and when the process
/// ends for any reason.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: File,
}

impl RunFolder {
    /// Creates a value for the run folder at a path. The folder need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the folder holds a run, that is, a configuration.
    pub fn holds_run(&self) -> bool {
        self.config_path().is_file()
    }

    /// Returns the path of the configuration.
    pub fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// [`Error::NoRun`] if the folder holds no configuration; otherwise as [`RunConfig::read`].
    pub fn read_config<C: NetworkConfig>(&self) -> Result<RunConfig<C>, Error> {
        if !self.holds_run() {
            return Err(Error::NoRun {
                path: self.path.clone(),
                what: "run (no config.toml)",
            });
        }
        RunConfig::read(&self.config_path())
    }

    /// Reads the events of the log; see [`Event`](crate::Event). Lines that are not events are skipped and
    /// listed in [`RunLog::skipped`]. An incomplete last line is ignored.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn read_log(&self) -> Result<RunLog, Error> {
        log::read(&self.log_path())
    }

    /// Returns the path of the log.
    pub fn log_path(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// Returns the path of the list of the data's files.
    pub(crate) fn data_path(&self) -> PathBuf {
        self.path.join(DATA)
    }

    /// Returns the complete checkpoints, oldest first.
    ///
    /// # Errors
    ///
    /// If the folder of checkpoints exists and cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        Checkpoint::list(&self.checkpoints_path())
    }

    /// Returns the newest checkpoint.
    ///
    /// # Errors
    ///
    /// [`Error::NoRun`] if there is no checkpoint.
    pub fn newest_checkpoint(&self) -> Result<Checkpoint, Error> {
        self.checkpoints()?.pop().ok_or_else(|| Error::NoRun {
            path: self.path.clone(),
            what: "checkpoint",
        })
    }

    /// Returns the path of the best model so far.
    pub fn best_path(&self) -> PathBuf {
        self.path.join(BEST)
    }

    pub(crate) fn checkpoints_path(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// Returns the path of the strip of samples after a step.
    pub fn strip_path(&self, step: u64) -> PathBuf {
        let name = format!("{STRIP_PREFIX}{step:08}{STRIP_SUFFIX}");
        self.path.join(STRIPS).join(name)
    }

    /// Returns the strips of samples with their steps, in order.
    ///
    /// # Errors
    ///
    /// If the folder of strips exists and cannot be read.
    pub fn strips(&self) -> Result<Vec<(u64, PathBuf)>, Error> {
        let folder = self.path.join(STRIPS);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file("read", folder)(error)),
        };
        let strips = entries.flatten().filter_map(|entry| {
            let path = entry.path();
            let name = path.file_name()?.to_str()?;
            let step = name
                .strip_prefix(STRIP_PREFIX)?
                .strip_suffix(STRIP_SUFFIX)?;
            Some((step.parse().ok()?, path))
        });
        let mut strips: Vec<(u64, PathBuf)> = strips.collect();
        strips.sort();
        Ok(strips)
    }

    /// Returns the path of the page that shows the run.
    pub fn page_path(&self) -> PathBuf {
        self.path.join(PAGE)
    }

    /// Returns the folder of the run's plots.
    pub fn plots_path(&self) -> PathBuf {
        self.path.join(PLOTS)
    }

    /// Returns the path of the film of the run.
    pub fn film_path(&self) -> PathBuf {
        self.path.join(FILM)
    }

    /// Returns the folder of TensorBoard event files.
    pub fn tensorboard_path(&self) -> PathBuf {
        self.path.join(TENSORBOARD)
    }

    /// Returns whether a file or folder of this name may be in a run folder.
    pub fn is_part_of_run(name: &str) -> bool {
        [
            CONFIG,
            LOG,
            LOCK,
            DATA,
            BEST,
            CHECKPOINTS,
            STRIPS,
            PAGE,
            PLOTS,
            FILM,
            TENSORBOARD,
        ]
        .contains(&name)
    }

    /// Removes the leftovers of killed processes: incomplete checkpoints, and abandoned temporary files. The
    /// folder must be locked. Returns an error for each file or folder that could not be removed.
    pub(crate) fn remove_unfinished(&self) -> Vec<Error> {
        let mut failures = Checkpoint::remove_unfinished(&self.checkpoints_path());
        for folder in [self.path.clone(), self.path.join(STRIPS)] {
            failures.extend(
                chimle_files::remove_temporary_files(&folder, ABANDONED)
                    .into_iter()
                    .map(|(path, error)| Error::file("remove", path)(error)),
            );
        }
        failures
    }

    /// Locks the folder for training. The folder must exist.
    pub(crate) fn lock(&self) -> Result<RunLock, Error> {
        let path = self.path.join(LOCK);
        let open = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = open.map_err(Error::file("write", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(RunLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::RunInUse {
                path: self.path.clone(),
            }),
            // Some network file systems have no locks. A run there is trained without a lock.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                Ok(RunLock { _file: file })
            }
            Err(TryLockError::Error(error)) => Err(Error::file("lock", path)(error)),
        }
    }
}
