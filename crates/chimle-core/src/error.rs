//! The errors of this crate. Each message is one line and names the file or the field at fault.

use std::path::{Path, PathBuf};

use burn::tensor::backend::ExecutionError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Images cannot be read or turned into examples.
    #[error(transparent)]
    Data(#[from] chimle_data::DataError),
    /// A name is not the name of a run, a file, or a trained model.
    #[cfg(feature = "pretrained")]
    #[error("{name:?} is not a run, a file or a trained model; the trained models are {}", known.join(", "))]
    UnknownModel {
        /// The name.
        name: String,
        /// The names of all trained models.
        known: Vec<&'static str>,
    },
    /// The configuration of a generator is not valid.
    #[error(transparent)]
    Generator(#[from] chimle_nn::ConfigError),
    /// A file of weights is missing, is damaged, or belongs to another network.
    #[error(transparent)]
    Weights(#[from] chimle_nn::WeightsError),
    /// The latent search failed.
    #[error(transparent)]
    Search(#[from] chimle_imle::SearchError),
    /// A measure cannot be computed.
    #[error(transparent)]
    Metrics(#[from] chimle_metrics::MetricsError),
    /// A file has no configuration, or its configuration is not valid.
    #[error("{path}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// A setting or an argument has a value that is not allowed.
    #[error("`{field}` {reason}")]
    Setting {
        /// The field of the configuration, or the argument.
        field: &'static str,
        /// The allowed values, and the value found.
        reason: String,
    },
    /// The device failed during a computation.
    #[error("the device failed: {reason}")]
    Device {
        /// The message of its driver.
        reason: String,
    },
    /// A worker panicked.
    #[error("worker {worker} failed: {reason}")]
    Worker {
        /// The number of the worker in this process, from 1.
        worker: usize,
        /// The message of the panic.
        reason: String,
    },
    /// A machine of the run failed, or does not agree with the others.
    #[error("{name}: {reason}")]
    Node {
        /// The name of the machine, or the address of the orchestrator.
        name: String,
        /// The problem.
        reason: String,
    },
    /// The exchange between workers failed.
    #[error("the workers cannot exchange their results: {reason}")]
    Collective {
        /// The message of `burn-collective`.
        reason: String,
    },
    /// The data set changed since the run began.
    #[error(
        "the data changed since the run began ({changes}): use --accept-data to continue with the new data"
    )]
    DataChanged {
        /// The files that were added, removed or changed.
        changes: String,
    },
    /// The device does not have enough memory for a single row of a batch.
    #[error(
        "the device has no memory left: make the image, the batch or the network smaller, train with `recompute`, or set the precision to bf16"
    )]
    OutOfMemory,
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// The operation, such as "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A picture cannot be written.
    #[error("cannot write {path}: {reason}")]
    Picture {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// The folder already holds a run.
    #[error("{path} already holds a run: resume it, or choose another folder")]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// Another process is training the run.
    #[error("{path} is being trained by another process: wait until it ends, or stop it")]
    RunInUse {
        /// The folder.
        path: PathBuf,
    },
    /// The run has an old format and cannot be resumed.
    #[error(
        "{path} has format {format}, which chimle {} cannot resume: its model can still be used, and --init {path} starts a new run from it", env!("CARGO_PKG_VERSION")
    )]
    OldRun {
        /// The folder.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The folder holds no run, or a run without a checkpoint.
    #[error("{path} holds no {what}")]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// The missing part: a run or a checkpoint.
        what: &'static str,
    },
    /// A checkpoint is incomplete or damaged.
    #[error("checkpoint {path}: {reason}")]
    Checkpoint {
        /// The checkpoint or the file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// The loss is NaN or infinite.
    #[error(
        "the loss at step {step} is {loss} (levels {levels:?}); the last good checkpoint is {checkpoint}: lower training.learning_rate in the run's config.toml and resume"
    )]
    Diverged {
        /// The step, from 1.
        step: u64,
        /// The loss.
        loss: f32,
        /// The term of the loss at each level.
        levels: Vec<f32>,
        /// The path of the last good checkpoint.
        checkpoint: PathBuf,
    },
    /// A recipe is not valid, or does not fit the model or the input.
    #[error("recipe: {reason}")]
    Recipe {
        /// The problem.
        reason: String,
    },
    /// The caller stopped the work.
    #[error("stopped")]
    Stopped,
    /// The weights are NaN or infinite. Such weights are never saved.
    #[error(
        "the weights after step {step} are not finite: lower training.learning_rate in the run's config.toml and resume"
    )]
    NotFinite {
        /// The step, from 1.
        step: u64,
    },
    /// None of the images of a round could be read.
    #[error(
        "none of the {count} images drawn for the search could be read; the last error: {last}"
    )]
    NothingReadable {
        /// The number of images tried.
        count: usize,
        /// The error of the last image.
        last: String,
    },
}

impl Error {
    /// Returns whether the error means that a checkpoint is damaged or cannot be read. An older checkpoint
    /// can then replace it. Errors about a checkpoint of another network, or about missing data, do not
    /// count as damage.
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

    /// Converts an error of a device, for `map_err`.
    pub(crate) fn device(error: ExecutionError) -> Self {
        Self::Device {
            reason: error.to_string(),
        }
    }

    /// Converts an error of a file operation, for `map_err`.
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
