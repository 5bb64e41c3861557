//! What can be wrong with what is to be measured.

use thiserror::Error;

/// Why a measure has no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MetricsError {
    /// Two images have different numbers of values.
    #[error("images differ in length: {first} and {second} values")]
    Length {
        /// Values of the first image.
        first: usize,
        /// Values of the second image.
        second: usize,
    },
    /// An image's values do not fill its shape.
    #[error("an image of {channels} x {height} x {width} has {found} values")]
    Shape {
        /// Planes.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Values given.
        found: usize,
    },
    /// Two images have different shapes, given as [channels, height, width].
    #[error("images differ in shape: {first:?} and {second:?} (channels, height, width)")]
    Shapes {
        /// Shape of the first image.
        first: [usize; 3],
        /// Shape of the second image.
        second: [usize; 3],
    },
    /// An image is smaller than the window it is measured through.
    #[error("an image of {height} x {width} px is smaller than the window of {window} px")]
    SmallerThanWindow {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Side of the window.
        window: usize,
    },
    /// There are too few values or samples.
    #[error("{found} samples given, at least {needed} needed")]
    TooFew {
        /// Samples given.
        found: usize,
        /// Samples needed.
        needed: usize,
    },
    /// A sample is said to be nearest to an output that does not exist.
    #[error("sample {sample} is nearest to output {output}, but there are {outputs}")]
    NoSuchOutput {
        /// Index of the sample.
        sample: usize,
        /// The output named.
        output: usize,
        /// Number of known outputs.
        outputs: usize,
    },
}
