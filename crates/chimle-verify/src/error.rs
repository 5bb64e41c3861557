//! The errors of this crate.

use std::path::{Path, PathBuf};

use burn::tensor::backend::ExecutionError;
use chimle_core::data::DataError;
use chimle_core::imle::SearchError;
use chimle_core::metrics::MetricsError;
use chimle_core::nn::{ConfigError, WeightsError};

/// The reason why a check or a timing could not be made. A wrong number is not an error; it gives a failed
/// [`Check`](crate::Check).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of `chimle-core`.
    #[error(transparent)]
    Core(#[from] chimle_core::Error),
    /// A photograph that cannot be read or degraded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A configuration that does not describe a valid network.
    #[error(transparent)]
    Generator(#[from] ConfigError),
    /// A file of weights or numbers that is missing, is damaged, or has unexpected shapes.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A latent search that failed.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A measure that cannot be computed.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A reference file or configuration with the wrong contents.
    #[error("{path}: {reason}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with the name of the field or tensor.
        reason: String,
    },
    /// A setting with an impossible value.
    #[error("`{field}` {reason}")]
    Setting {
        /// The field of the configuration.
        field: &'static str,
        /// What the value must be.
        reason: String,
    },
    /// A device that fails, or computes wrong numbers.
    #[error("the device failed: {reason}")]
    Device {
        /// The driver's message, or a description of the failure.
        reason: String,
    },
    /// A folder in which no check found its files. A verification that compares nothing must not count as a
    /// success.
    #[error(
        "nothing was checked: {path} has none of the reference files, such as tim_*.json with its .pth and _io.safetensors, or img_*.safetensors"
    )]
    NothingChecked {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder that cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The answer of the operating system.
        source: std::io::Error,
    },
}

impl Error {
    /// Wraps the error of a device, for `map_err`.
    pub(crate) fn device(error: ExecutionError) -> Self {
        Self::Device {
            reason: error.to_string(),
        }
    }

    /// Wraps the error of reading `path`, for `map_err`.
    pub(crate) fn read(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Read { path, source }
    }
}
