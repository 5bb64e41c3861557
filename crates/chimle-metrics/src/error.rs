//! What can be wrong with what is to be measured.

use std::path::PathBuf;

use chimle_knn::KnnError;
use thiserror::Error;

/// Why a measure has no value.
#[derive(Clone, Debug, PartialEq, Error)]
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
    /// Values do not fill whole rows of features.
    #[error("{found} values do not fill rows of {dimension} features")]
    Ragged {
        /// Values given.
        found: usize,
        /// Features in a row.
        dimension: usize,
    },
    /// Rows of two sets have different numbers of features.
    #[error("features differ in number: {first} and {second}")]
    Dimensions {
        /// Features of the first set.
        first: usize,
        /// Features of the second set.
        second: usize,
    },
    /// A feature is infinite or not a number.
    #[error("row {row} holds a feature that is not finite")]
    NotFinite {
        /// The row.
        row: usize,
    },
    /// Resampling was drawn for another set.
    #[error(
        "{images} images with {rows_per_image} rows each were drawn, but there are {rows} rows"
    )]
    Draws {
        /// Images drawn from.
        images: usize,
        /// Rows for each.
        rows_per_image: usize,
        /// Rows of the set.
        rows: usize,
    },
    /// Eigenvalues or singular values that do not converge.
    #[error("the covariance could not be decomposed")]
    Decomposition,
    /// A bandwidth that is not above 0.
    #[error("the bandwidth must be above 0")]
    Bandwidth,
    /// Neighbours could not be searched.
    #[error(transparent)]
    Neighbors(#[from] KnnError),
    /// A file of statistics that cannot be read or written.
    #[error("{path} {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
