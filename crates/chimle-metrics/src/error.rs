//! The errors of this crate.

use std::path::PathBuf;

use chimle_knn::KnnError;
use thiserror::Error;

/// The reason why a measure cannot be computed.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum MetricsError {
    /// Two images have different numbers of values.
    #[error("images differ in length: {first} and {second} values")]
    Length {
        /// The number of values of the first image.
        first: usize,
        /// The number of values of the second image.
        second: usize,
    },
    /// The number of values is not channels x height x width.
    #[error("{found} values were given for an image of {channels} x {height} x {width}")]
    Shape {
        /// The number of planes.
        channels: usize,
        /// The number of rows.
        height: usize,
        /// The number of columns.
        width: usize,
        /// The number of values given.
        found: usize,
    },
    /// Two images have different shapes `[channels, height, width]`.
    #[error("images differ in shape: {first:?} and {second:?} (channels, height, width)")]
    Shapes {
        /// The shape of the first image.
        first: [usize; 3],
        /// The shape of the second image.
        second: [usize; 3],
    },
    /// An image is smaller than the measure's window.
    #[error("an image of {height} x {width} px is smaller than the window of {window} px")]
    SmallerThanWindow {
        /// The number of rows.
        height: usize,
        /// The number of columns.
        width: usize,
        /// The smallest side that the measure needs.
        window: usize,
    },
    /// There are too few values, samples or rows.
    #[error("{found} samples given, at least {needed} needed")]
    TooFew {
        /// The number of samples given.
        found: usize,
        /// The number of samples needed.
        needed: usize,
    },
    /// The index of a sample's nearest output is out of range.
    #[error("sample {sample} is nearest to output {output}, but there are only {outputs} outputs")]
    NoSuchOutput {
        /// The index of the sample.
        sample: usize,
        /// The index of the output.
        output: usize,
        /// The number of known outputs.
        outputs: usize,
    },
    /// The number of values is not a multiple of the number of features.
    #[error("{found} values cannot be split into rows of {dimension} features")]
    Ragged {
        /// The number of values given.
        found: usize,
        /// The number of features in a row.
        dimension: usize,
    },
    /// Rows of two sets have different numbers of features.
    #[error("the two sets have different numbers of features: {first} and {second}")]
    Dimensions {
        /// The number of features in the first set.
        first: usize,
        /// The number of features in the second set.
        second: usize,
    },
    /// A feature is infinite or NaN.
    #[error("row {row} has a feature that is not finite")]
    NotFinite {
        /// The index of the row.
        row: usize,
    },
    /// The draws of a bootstrap were made for a set of a different size.
    #[error(
        "{images} images with {rows_per_image} rows each were drawn, but there are {rows} rows"
    )]
    Draws {
        /// The number of images that the draws were made for.
        images: usize,
        /// The number of rows per image.
        rows_per_image: usize,
        /// The number of rows in the set.
        rows: usize,
    },
    /// The computation of eigenvalues or singular values did not converge.
    #[error("the covariance could not be decomposed")]
    Decomposition,
    /// The bandwidth is not above 0.
    #[error("the bandwidth must be above 0")]
    Bandwidth,
    /// The search for nearest neighbors failed.
    #[error(transparent)]
    Neighbors(#[from] KnnError),
    /// A file of statistics cannot be read or written.
    #[error("{path} {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file.
        reason: String,
    },
}
