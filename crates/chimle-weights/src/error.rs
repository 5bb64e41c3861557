//! The errors of files of weights.

use std::path::PathBuf;

use thiserror::Error;

/// The reason why weights could not be read or written. Each error prints as one line that names
/// the file.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file is missing or cannot be opened.
    #[error("cannot open weights {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The extension of the file's name is unknown.
    #[error("weights {path}: unknown kind of file, expected .safetensors, .pth or .pt")]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The file is truncated or damaged, or its content does not match its extension.
    #[error("weights {path} are damaged, or do not match the extension of the file: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason, from the parser.
        reason: String,
    },
    /// The file is complete, but it is not suitable.
    #[error("weights {path}: {reason}")]
    Unsuitable {
        /// The file.
        path: PathBuf,
        /// The part that is missing or does not fit.
        reason: String,
    },
    /// The file holds no parameter with this name.
    #[error("weights {path} hold no parameter `{parameter}`")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The requested name.
        parameter: String,
    },
    /// The parameter does not have the shape that the network needs.
    #[error("weights {path}: `{parameter}` has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The parameter.
        parameter: String,
        /// The shape that the network needs.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// The parameter is not made of floating-point numbers.
    #[error("weights {path}: `{parameter}` is of type {found}, expected a float of 16 to 64 bits")]
    ElementType {
        /// The file.
        path: PathBuf,
        /// The parameter.
        parameter: String,
        /// The type in the file.
        found: String,
    },
    /// The file cannot be written.
    #[error("cannot write weights {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The parameter is listed, but its values cannot be read.
    #[error("weights {path}: the values of `{parameter}` cannot be read: {reason}")]
    Values {
        /// The file.
        path: PathBuf,
        /// The parameter.
        parameter: String,
        /// The reason.
        reason: String,
    },
}
