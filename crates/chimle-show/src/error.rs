//! What can go wrong between images and a file, one line each.

use std::path::{Path, PathBuf};

/// An error in making or writing a page, a plot or an animation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file's extension names no format that can be written.
    #[error("{path}: its extension must be {needed}")]
    Extension {
        /// The file.
        path: PathBuf,
        /// The extensions that would do.
        needed: &'static str,
    },
    /// An image has no pixels.
    #[error("{what} has no pixels")]
    NoPixels {
        /// Which image.
        what: String,
    },
    /// An animation of no frames, or images side by side of which there are none.
    #[error("no {what} given: at least one is needed")]
    Nothing {
        /// What there is none of.
        what: &'static str,
    },
    /// A frame differs in size from the first.
    #[error(
        "frame {index} is {}x{}, the first is {}x{}: frames must agree in size",
        .size.0, .size.1, .first.0, .first.1
    )]
    FrameSize {
        /// Which frame, counted from 0.
        index: usize,
        /// Its width and height.
        size: (u32, u32),
        /// Width and height of the first frame.
        first: (u32, u32),
    },
    /// An image is larger than its format allows.
    #[error("{width}x{height} pixels are too many for {format}")]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Which format.
        format: &'static str,
    },
    /// An encoder or renderer refused.
    #[error("cannot make {what}: {reason}")]
    Encode {
        /// What was to be made.
        what: &'static str,
        /// What the encoder said.
        reason: String,
    },
}

impl Error {
    /// Makes an error of writing a file.
    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    /// What `what`'s encoder said.
    pub(crate) fn encode(what: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Self {
        move |reason| Self::Encode {
            what,
            reason: reason.to_string(),
        }
    }
}

/// Writes `bytes` to `path`, whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    chimle_files::write(path, bytes).map_err(|source| Error::write(path, source))
}

/// The extension of `path` in lower case, empty where there is none.
pub(crate) fn extension(path: &Path) -> String {
    path.extension()
        .map(|extension| extension.to_string_lossy().to_lowercase())
        .unwrap_or_default()
}
