//! The errors of this crate. Each message is one line.

use std::path::{Path, PathBuf};

/// An error in making or writing a page, a plot or an animation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file's extension is not that of a supported format.
    #[error("{path}: its extension must be {needed}")]
    Extension {
        /// The file.
        path: PathBuf,
        /// The supported extensions.
        needed: &'static str,
    },
    /// An image has no pixels.
    #[error("{what} has no pixels")]
    NoPixels {
        /// The name of the image.
        what: String,
    },
    /// No frames or no images were given.
    #[error("no {what} given: at least one is needed")]
    Nothing {
        /// What is missing: "frames" or "images".
        what: &'static str,
    },
    /// A frame differs in size from the first.
    #[error(
        "frame {index} is {}x{}, the first is {}x{}: frames must agree in size",
        .size.0, .size.1, .first.0, .first.1
    )]
    FrameSize {
        /// The index of the frame, from 0.
        index: usize,
        /// The width and height of this frame.
        size: (u32, u32),
        /// The width and height of the first frame.
        first: (u32, u32),
    },
    /// An image is larger than its format allows.
    #[error("{width}x{height} pixels are too many for {format}")]
    TooLarge {
        /// The width in pixels.
        width: u32,
        /// The height in pixels.
        height: u32,
        /// The format.
        format: &'static str,
    },
    /// An encoder or the renderer failed.
    #[error("cannot make {what}: {reason}")]
    Encode {
        /// The output that was requested.
        what: &'static str,
        /// The error of the encoder or renderer.
        reason: String,
    },
}

impl Error {
    /// Creates an error about writing a file.
    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    /// Returns a function that creates an error from the message of `what`'s encoder.
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

/// Returns the extension of `path` in lower case. It is empty if there is no extension.
pub(crate) fn extension(path: &Path) -> String {
    path.extension()
        .map(|extension| extension.to_string_lossy().to_lowercase())
        .unwrap_or_default()
}
