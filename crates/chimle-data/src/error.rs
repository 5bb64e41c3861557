//! What can go wrong between a folder of photographs and a batch, one line each.

use std::path::{Path, PathBuf};

/// An error in a data set, naming the file, folder or setting at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file or folder cannot be opened or read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The content is in none of the formats that can be read, whatever the file is called.
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
        /// What the decoder said.
        reason: String,
    },
    /// The image has fewer pixels than the examples that are to be made from it.
    #[error("{path} is too small: {width}x{height}, needs at least {needed_width}x{needed_height}")]
    TooSmall {
        /// The file.
        path: PathBuf,
        /// Width in pixels, after the orientation in the file is applied.
        width: u32,
        /// Height in pixels, after the orientation in the file is applied.
        height: u32,
        /// The smallest width that would do.
        needed_width: u32,
        /// The smallest height that would do.
        needed_height: u32,
    },
    /// The image, decoded, exceeds [`MAX_IMAGE_BYTES`](crate::MAX_IMAGE_BYTES) or 65535 pixels a side.
    #[error("{path} is too large: {reason}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Which limit it exceeds.
        reason: String,
    },
    /// The two images of a pair differ in aspect ratio, so no crop of one corresponds to a crop of the other.
    #[error(
        "{input} and {output} are no pair: {input_size} and {output_size} differ in aspect ratio"
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
    /// The folder holds no file with the extension of an image.
    #[error(
        "no images in folder {folder} (looked for jpg, jpeg, png, webp, tif, tiff, bmp, in subfolders too)"
    )]
    EmptyFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// Every file was passed over; the first one's reason stands for the rest.
    #[error("none of the {count} images can be used; the first: {first}")]
    NothingUsable {
        /// How many files (or pairs) were passed over.
        count: usize,
        /// Why the first one was.
        first: Box<DataError>,
    },
    /// Some inputs have no output of the same name, or the reverse.
    #[error("{count} files have no partner in the other folder ({input} and {output}): {names}")]
    UnmatchedPairs {
        /// The folder of inputs.
        input: PathBuf,
        /// The folder of outputs.
        output: PathBuf,
        /// How many files are alone.
        count: usize,
        /// Up to three of their names, without extension.
        names: String,
    },
    /// Two files of one folder differ in extension alone, so that a pair's partner is ambiguous.
    #[error("two files in {folder} are called {name}: give each a name of its own")]
    AmbiguousPair {
        /// The folder.
        folder: PathBuf,
        /// The name that occurs twice, without extension.
        name: String,
    },
    /// The output's height or width cannot be halved as often as the levels need.
    #[error(
        "{side_name} {side} does not fit {levels} levels: it must be a multiple of {multiple}, for example {nearby}"
    )]
    Indivisible {
        /// `height` or `width`.
        side_name: &'static str,
        /// The side asked for.
        side: usize,
        /// The number of levels asked for.
        levels: usize,
        /// What the side must be a multiple of.
        multiple: usize,
        /// The nearest side that works.
        nearby: usize,
    },
    /// A setting is out of its range.
    #[error("{field} is {value}: it must be {needed}")]
    Setting {
        /// The field of [`DatasetConfig`](crate::DatasetConfig) or [`Source`](crate::Source), or the argument.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it must be.
        needed: &'static str,
    },
    /// The task and the source do not go together, for example colorization of pairs of folders.
    #[error("{task} cannot use {source_kind}: {needed}")]
    WrongSource {
        /// The name of the task.
        task: String,
        /// The kind of source.
        source_kind: &'static str,
        /// What would do.
        needed: &'static str,
    },
    /// No task has this name.
    #[error("no task is called {name:?}: use one of {}", known.join(", "))]
    UnknownTask {
        /// The name given.
        name: String,
        /// The names of the known tasks.
        known: Vec<String>,
    },
    /// A task of this name is known already.
    #[error("a task called {name:?} is registered already")]
    TaskExists {
        /// The name.
        name: String,
    },
    /// The number of values is not channels x height x width, or two images that must agree in shape do not.
    #[error("an image of {expected} values was expected, {found} were given")]
    Shape {
        /// Values expected.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// An image could not be compressed as a JPEG, which has at most 65535 pixels a side and at least one.
    #[error("cannot compress as a JPEG: {reason}")]
    Jpeg {
        /// What the encoder or decoder said.
        reason: String,
    },
    /// Decoding failed in a way that its library does not report (it panicked).
    #[error("reading {name} failed inside a decoder: {reason}")]
    Decoder {
        /// The example's name.
        name: String,
        /// The panic's message.
        reason: String,
    },
}

impl DataError {
    /// An input/output error on `path`.
    pub(crate) fn unreadable(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }
}
