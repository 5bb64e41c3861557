//! What can go wrong, each in one line that names the file or field.

use std::path::{Path, PathBuf};

use burn::tensor::backend::ExecutionError;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Images could not be read or made into examples.
    #[error(transparent)]
    Data(#[from] chimle_data::DataError),
    /// The name is neither that of a file, a run or a trained model.
    #[cfg(feature = "pretrained")]
    #[error("{name:?} is no run, no file and no trained model; the trained models are {}", known.join(", "))]
    UnknownModel {
        /// The name asked for.
        name: String,
        /// The names of all models.
        known: Vec<&'static str>,
    },
    /// A generator's configuration is impossible.
    #[error(transparent)]
    Generator(#[from] chimle_nn::ConfigError),
    /// A file of weights is missing, damaged, or another network's.
    #[error(transparent)]
    Weights(#[from] chimle_nn::WeightsError),
    /// The latent search failed.
    #[error(transparent)]
    Search(#[from] chimle_imle::SearchError),
    /// A measure could not be taken.
    #[error(transparent)]
    Metrics(#[from] chimle_metrics::MetricsError),
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
        field: &'static str,
        /// What it must be, and what it is.
        reason: String,
    },
    /// A device that failed at its work.
    #[error("the device failed: {reason}")]
    Device {
        /// In its driver's words.
        reason: String,
    },
    /// A worker that ended in an unexpected way.
    #[error("worker {worker} failed: {reason}")]
    Worker {
        /// The number of the worker in this process, from 1.
        worker: usize,
        /// What it said.
        reason: String,
    },
    /// A machine of the run that failed, or that does not fit the others.
    #[error("{name}: {reason}")]
    Node {
        /// The name of the machine, or the address of the orchestrator.
        name: String,
        /// What happened.
        reason: String,
    },
    /// The exchange between workers failed.
    #[error("the workers cannot exchange their results: {reason}")]
    Collective {
        /// What `burn-collective` said.
        reason: String,
    },
    /// A data set that changed since the run began.
    #[error(
        "the data changed since the run began ({changes}): --accept-data goes on with the new data"
    )]
    DataChanged {
        /// The files that were added, removed or changed.
        changes: String,
    },
    /// Not even one row fits.
    #[error(
        "the device has no memory left: make the image, the batch or the network smaller, train with `recompute`, or take bf16 for precision"
    )]
    OutOfMemory,
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
    /// A picture that could not be written.
    #[error("cannot write {path}: {reason}")]
    Picture {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A folder that already holds a run.
    #[error("{path} already holds a run: resume it, or choose another folder")]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// A run folder that another process is training.
    #[error("{path} is being trained by another process: wait until it ends, or stop it")]
    RunInUse {
        /// The folder.
        path: PathBuf,
    },
    /// A run of an old format, which cannot be resumed.
    #[error(
        "{path} was made in format {format}, which chimle {} cannot resume: its model can still be used, and --init {path} starts a new run from it", env!("CARGO_PKG_VERSION")
    )]
    OldRun {
        /// The folder.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// A folder that holds no run, or one without a checkpoint.
    #[error("{path} holds no {what}")]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
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
    #[error(
        "the loss at step {step} is {loss} (levels {levels:?}); the last good checkpoint is {checkpoint}: lower training.learning_rate in the run's config.toml and resume"
    )]
    Diverged {
        /// The step, from 1.
        step: u64,
        /// The loss.
        loss: f32,
        /// Its terms, by level.
        levels: Vec<f32>,
        /// Where the last good checkpoint lies.
        checkpoint: PathBuf,
    },
    /// A recipe that cannot be followed.
    #[error("recipe: {reason}")]
    Recipe {
        /// What is wrong with it, or what it does not fit.
        reason: String,
    },
    /// Work that its caller stopped.
    #[error("stopped")]
    Stopped,
    /// Weights that are NaN or infinite, which are never saved.
    #[error(
        "the weights after step {step} are not finite: lower training.learning_rate in the run's config.toml and resume"
    )]
    NotFinite {
        /// The step, from 1.
        step: u64,
    },
    /// None of the images of a round could be read.
    #[error("none of the {count} images drawn for the search could be read; the last: {last}")]
    NothingReadable {
        /// Images tried.
        count: usize,
        /// What the last one gave.
        last: String,
    },
}

impl Error {
    /// Returns whether a checkpoint is at fault that cannot be read or is damaged. An older checkpoint
    /// can take its place. A checkpoint of another network, or data that are gone, is no damage.
    pub(crate) fn is_damage(&self) -> bool {
        use chimle_nn::WeightsError;
        matches!(
            self,
            Self::Checkpoint { .. }
                | Self::File { .. }
                | Self::Weights(
                    WeightsError::Open { .. }
                        | WeightsError::Unreadable { .. }
                        | WeightsError::Values { .. }
                )
        )
    }

    /// For `map_err` on what a device should have done.
    pub(crate) fn device(error: ExecutionError) -> Self {
        Self::Device {
            reason: error.to_string(),
        }
    }

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
}
