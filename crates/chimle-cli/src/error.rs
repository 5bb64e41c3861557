//! The errors of commands. Each is one line that names the file or flag at fault.

use std::path::{Path, PathBuf};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Core(#[from] chimle_core::Error),
    #[error(transparent)]
    Arena(#[from] chimle_arena::Error),
    #[error(transparent)]
    Show(#[from] chimle_show::Error),
    #[error(transparent)]
    Verify(#[from] chimle_verify::Error),
    #[error("{flag}: {reason}")]
    Flag { flag: &'static str, reason: String },
    #[cfg(not(all(feature = "cuda", feature = "wgpu")))]
    #[error(
        "--device: this build has no {feature} device; build it with `cargo build --release -p chimle-cli --features {feature}`"
    )]
    NotCompiledIn { feature: &'static str },
    #[error("--device {device}: {reason}")]
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    NoDevice { device: String, reason: String },
    #[error("cannot {action} {path}: {source}")]
    File {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} already exists: {remedy}")]
    Exists { path: PathBuf, remedy: &'static str },
    #[error(
        "{path}: an output of {width}x{height} pixels needs about {needed_mib} MiB of memory, but only {available_mib} MiB are free: reduce the image with --size"
    )]
    Memory {
        path: PathBuf,
        width: u32,
        height: u32,
        needed_mib: u64,
        available_mib: u64,
    },
    #[error("{path}: {reason}")]
    Recipe { path: PathBuf, reason: String },
    #[error("none of the {count} images in {folder} could be sampled")]
    NothingSampled { folder: PathBuf, count: usize },
    #[error(
        "cannot download {url}: {reason}. Run this command again to continue after the {kept} bytes already received, or download the file in another way and save it as {path}"
    )]
    Download {
        url: String,
        reason: String,
        kept: u64,
        path: PathBuf,
    },
    #[error(
        "{path} is not {name} as published: its SHA-256 is {found} instead of {expected}; {remedy}"
    )]
    Checksum {
        path: PathBuf,
        name: &'static str,
        expected: &'static str,
        found: String,
        remedy: &'static str,
    },
    #[error("this user has no cache folder: set the environment variable {variable} to a folder")]
    NoCache { variable: &'static str },
    /// The failure was already printed on standard output.
    #[error("failed")]
    Reported,
}

impl Failure {
    /// Returns a function for `map_err` on a file operation. `action` is the verb in "cannot write FILE".
    pub fn file(
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

impl From<chimle_core::data::DataError> for Failure {
    fn from(error: chimle_core::data::DataError) -> Self {
        Self::Core(error.into())
    }
}

impl From<chimle_core::nn::WeightsError> for Failure {
    fn from(error: chimle_core::nn::WeightsError) -> Self {
        Self::Core(error.into())
    }
}
