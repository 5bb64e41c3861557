//! The errors of the arena. Each message is one line that names the file, the method or the
//! setting.

use std::path::{Path, PathBuf};

/// An error of the arena.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part of the library failed.
    #[error(transparent)]
    Core(#[from] chimle_core::Error),
    /// A page or a plot could not be made.
    #[error(transparent)]
    Show(#[from] chimle_show::Error),
    /// A configuration file is not valid.
    #[error("{path}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting has an impossible value.
    #[error("`{field}` {reason}")]
    Setting {
        /// The field of the configuration.
        field: String,
        /// The valid values, and the value found.
        reason: String,
    },
    /// A method does not apply to a task.
    #[error("{method} does not apply to {task}: {reason}")]
    DoesNotApply {
        /// The method.
        method: &'static str,
        /// The task.
        task: String,
        /// The reason.
        reason: &'static str,
    },
    /// A file or folder could not be written or read.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// The operation that failed, such as "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A checkpoint cannot be used.
    #[error("checkpoint {path}: {reason}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A loss is not finite.
    #[error(
        "{method}: the loss at step {step} is {loss}: lower the method's learning rate in the configuration"
    )]
    Diverged {
        /// The method.
        method: String,
        /// The step, from 1.
        step: u64,
        /// The loss.
        loss: f32,
    },
    /// Another process is training the same run.
    #[error("{path} is in use by another process: wait until it ends, or stop it")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A sample is missing.
    #[error("{folder} holds no sample {file}: every input needs the files 0.png to {last}.png")]
    MissingSample {
        /// The folder of samples.
        folder: PathBuf,
        /// The missing file, relative to the folder.
        file: PathBuf,
        /// The number of the last sample that is needed.
        last: usize,
    },
    /// Some jobs failed. The other jobs are done.
    #[error("{count} of the methods failed, and the others are done: {list}")]
    Failed {
        /// The number of jobs that failed.
        count: usize,
        /// The names of these jobs, with the reasons.
        list: String,
    },
    /// The arena was interrupted.
    #[error("stopped: repeat the same command to continue")]
    Stopped,
}

impl Error {
    /// Returns a closure for `map_err` after an operation on a file.
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

    /// Creates an error about a setting.
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
