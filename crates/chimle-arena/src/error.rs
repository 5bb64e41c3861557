//! What can go wrong, each in one line that names the file, the method or the setting.

use std::path::{Path, PathBuf};

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part of the library failed.
    #[error(transparent)]
    Core(#[from] chimle_core::Error),
    /// A page or a plot could not be made.
    #[error(transparent)]
    Show(#[from] chimle_show::Error),
    /// A configuration file that is not one.
    #[error("{path}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting that cannot work.
    #[error("`{field}` {reason}")]
    Setting {
        /// The field of the configuration.
        field: String,
        /// What it must be, and what it is.
        reason: String,
    },
    /// A method that has no meaning for a task.
    #[error("{method} does not apply to {task}: {reason}")]
    DoesNotApply {
        /// The method.
        method: &'static str,
        /// The task.
        task: String,
        /// Why.
        reason: &'static str,
    },
    /// A file or folder that could not be written or read.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried, as in "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system answered.
        source: std::io::Error,
    },
    /// A checkpoint whose parts do not fit.
    #[error("checkpoint {path}: {reason}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A loss that is not a number.
    #[error("{method}: the loss at step {step} is {loss}: lower its rate in the configuration")]
    Diverged {
        /// The method.
        method: String,
        /// The step, from 1.
        step: u64,
        /// The loss.
        loss: f32,
    },
    /// A run that another process trains.
    #[error("{path} is being worked on by another process: wait until it ends, or stop it")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Samples that are not there.
    #[error("{folder} holds no sample {file}: every input needs the files 0.png to {last}.png")]
    MissingSample {
        /// The folder of samples.
        folder: PathBuf,
        /// The file that is missing, below the folder.
        file: PathBuf,
        /// The number of the last sample that is needed.
        last: usize,
    },
    /// Methods that failed while others went on.
    #[error("{count} of the methods failed, and the others are done: {list}")]
    Failed {
        /// The number of methods.
        count: usize,
        /// Their names with the reasons.
        list: String,
    },
    /// A process of the arena that was interrupted.
    #[error("stopped: the same command continues where the arena was")]
    Stopped,
}

impl Error {
    /// For `map_err` on an operation on a file.
    pub(crate) fn file(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    /// An error of a setting.
    pub(crate) fn setting(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Setting {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

impl From<chimle_core::data::DataError> for Error {
    fn from(error: chimle_core::data::DataError) -> Self {
        Self::Core(error.into())
    }
}

impl From<chimle_core::nn::WeightsError> for Error {
    fn from(error: chimle_core::nn::WeightsError) -> Self {
        Self::Core(error.into())
    }
}
