//! The errors of this crate. Each message is one line.

use std::path::{Path, PathBuf};

/// An error in a data set. It names the file, folder or setting at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file or folder cannot be opened or read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The message of the operating system.
        reason: String,
    },
    /// The file's content has none of the supported formats. Its name is not considered.
    #[error("{path} is not a JPEG, PNG, WebP, TIFF or BMP image")]
    NotAnImage {
        /// The file.
        path: PathBuf,
    },
    /// The file ends before its image does.
    #[error("{path} is truncated: it ends before its image does")]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// The image's format is known but its content cannot be decoded.
    #[error("{path} is damaged or of an unsupported kind: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The decoder's message.
        reason: String,
    },
    /// The image is too small to make an example from it.
    #[error("{path} is too small: {width}x{height}, needs at least {needed_width}x{needed_height}")]
    TooSmall {
        /// The file.
        path: PathBuf,
        /// The width in pixels, after the file's orientation is applied.
        width: u32,
        /// The height in pixels, after the file's orientation is applied.
        height: u32,
        /// The smallest sufficient width.
        needed_width: u32,
        /// The smallest sufficient height.
        needed_height: u32,
    },
    /// Decoding the image takes more than [`MAX_IMAGE_BYTES`](crate::MAX_IMAGE_BYTES), or a side
    /// exceeds 65535 pixels.
    #[error("{path} is too large: {reason}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit that the image exceeds.
        reason: String,
    },
    /// The two images of a pair differ in aspect ratio, so no crop of one corresponds to a crop of the
    /// other.
    #[error(
        "{input} and {output} are not a pair: {input_size} and {output_size} differ in aspect ratio"
    )]
    PairShapes {
        /// The input image.
        input: PathBuf,
        /// The output image.
        output: PathBuf,
        /// `WxH` of the input image.
        input_size: String,
        /// `WxH` of the output image.
        output_size: String,
    },
    /// The folder contains no file with the extension of an image.
    #[error(
        "no images in folder {folder} (looked for jpg, jpeg, png, webp, tif, tiff, bmp, in subfolders too)"
    )]
    EmptyFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// Every file was skipped. The error gives the reason for the first one.
    #[error("none of the {count} images can be used; the first: {first}")]
    NothingUsable {
        /// The number of files (or pairs) that were skipped.
        count: usize,
        /// The reason why the first one was skipped.
        first: Box<DataError>,
    },
    /// Some inputs have no output with the same name, or some outputs have no input.
    #[error("{count} files have no partner in the other folder ({input} and {output}): {names}")]
    UnmatchedPairs {
        /// The folder of inputs.
        input: PathBuf,
        /// The folder of outputs.
        output: PathBuf,
        /// The number of files without a partner.
        count: usize,
        /// Up to three of their names, without extension.
        names: String,
    },
    /// Two files of one folder differ only in their extension, so the partner in a pair is ambiguous.
    #[error(
        "two files in {folder} are called {name}, with different extensions: rename one of them"
    )]
    AmbiguousPair {
        /// The folder.
        folder: PathBuf,
        /// The name that occurs twice, without extension.
        name: String,
    },
    /// The output's height or width cannot be halved as often as the levels require.
    #[error(
        "{side_name} {side} does not fit {levels} levels: it must be a multiple of {multiple}, for example {nearby}"
    )]
    Indivisible {
        /// `height` or `width`.
        side_name: &'static str,
        /// The requested side.
        side: usize,
        /// The requested number of levels.
        levels: usize,
        /// The number that must divide the side.
        multiple: usize,
        /// The nearest side that works.
        nearby: usize,
    },
    /// A setting is out of its range.
    #[error("{field} is {value}: it must be {needed}")]
    Setting {
        /// The field of [`DatasetConfig`](crate::DatasetConfig) or [`Source`](crate::Source), or the argument.
        field: &'static str,
        /// The value.
        value: String,
        /// The range of permitted values.
        needed: &'static str,
    },
    /// The task cannot use the source: for example, colorization cannot use folders of pairs.
    #[error("{task} cannot use {source_kind}: {needed}")]
    WrongSource {
        /// The name of the task.
        task: String,
        /// The kind of source.
        source_kind: &'static str,
        /// What the task needs.
        needed: &'static str,
    },
    /// No task has this name.
    #[error("no task is called {name:?}: use one of {}", known.join(", "))]
    UnknownTask {
        /// The given name.
        name: String,
        /// The names of the known tasks.
        known: Vec<String>,
    },
    /// A task with this name is already known.
    #[error("a task called {name:?} is already registered")]
    TaskExists {
        /// The name.
        name: String,
    },
    /// The number of values is not channels x height x width, or two images differ in shape.
    #[error("an image of {expected} values was expected, but {found} were given")]
    Shape {
        /// The expected number of values.
        expected: usize,
        /// The given number of values.
        found: usize,
    },
    /// An image could not be compressed as a JPEG. The side of a JPEG is between 1 and 65535 pixels.
    #[error("cannot compress as a JPEG: {reason}")]
    Jpeg {
        /// The message of the encoder or decoder.
        reason: String,
    },
    /// A decoder panicked.
    #[error("reading {name} failed inside a decoder: {reason}")]
    Decoder {
        /// The name of the example or the file.
        name: String,
        /// The panic's message.
        reason: String,
    },
}

impl DataError {
    /// Wraps an input/output error on `path`.
    pub(crate) fn unreadable(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }
}
