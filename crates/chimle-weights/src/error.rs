//! What can be wrong with a file of weights.

use std::path::PathBuf;

use thiserror::Error;

/// Why weights could not be read or written. Each prints as one line that names the file.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file is missing or may not be read.
    #[error("cannot open weights {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system answered.
        source: std::io::Error,
    },
    /// The name ends in none of the known extensions.
    #[error("weights {path}: unknown kind of file, expected .safetensors, .pth or .pt")]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The file is cut short, damaged, or not of the kind its extension says.
    #[error("weights {path} are damaged or not of the kind the extension says: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the parser answered.
        reason: String,
    },
    /// The file is whole, but not what is needed.
    #[error("weights {path}: {reason}")]
    Unsuitable {
        /// The file.
        path: PathBuf,
        /// What is missing or does not fit.
        reason: String,
    },
    /// The file holds no parameter of that name.
    #[error("weights {path} hold no parameter `{parameter}`")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The name looked for.
        parameter: String,
    },
    /// The parameter has another shape than the network needs.
    #[error("weights {path}: `{parameter}` has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The parameter.
        parameter: String,
        /// The shape the network needs.
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
        /// What the operating system answered.
        source: std::io::Error,
    },
    /// The parameter is listed, but its values cannot be read.
    #[error("weights {path}: the values of `{parameter}` cannot be read: {reason}")]
    Values {
        /// The file.
        path: PathBuf,
        /// The parameter.
        parameter: String,
        /// What is wrong with them.
        reason: String,
    },
}
