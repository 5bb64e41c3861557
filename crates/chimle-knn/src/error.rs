//! The errors of this crate.

use thiserror::Error;

/// The reason why an index could not be built or a query could not be answered.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum KnnError {
    /// The dimension of points is 0.
    #[error("points have dimension 0")]
    ZeroDimension,
    /// The number of values is not a multiple of the dimension.
    #[error("{values} values cannot be split into points of dimension {dimension}")]
    Ragged {
        /// The number of values given.
        values: usize,
        /// The dimension of the points.
        dimension: usize,
    },
    /// A coordinate is infinite or NaN.
    #[error("coordinate {coordinate} of point {point} is {value}, which is not finite")]
    NonFinite {
        /// The index of the point among those given. It is 0 for a single query.
        point: usize,
        /// The index of the coordinate within the point.
        coordinate: usize,
        /// The value of the coordinate.
        value: f32,
    },
    /// Points or queries differ in dimension from the index.
    #[error("the dimension is {found}, but the index has dimension {expected}")]
    Dimension {
        /// The dimension of the index.
        expected: usize,
        /// The dimension given.
        found: usize,
    },
    /// An index without points was queried.
    #[error("the index is empty")]
    Empty,
    /// The requested number of neighbors is 0 or above the number of points.
    #[error("{k} neighbors were requested from an index of {points} points")]
    NeighborCount {
        /// The requested number of neighbors.
        k: usize,
        /// The number of points in the index.
        points: usize,
    },
    /// The dimension is too high for a k-d tree.
    #[error("dimension {dimension} is above {limit}, the highest dimension of a k-d tree")]
    DimensionTooHigh {
        /// The dimension given.
        dimension: usize,
        /// The highest dimension possible.
        limit: usize,
    },
    /// There are more points than the index can hold.
    #[error("{points} points are too many: the index can hold at most {limit}")]
    TooManyPoints {
        /// The number of points that the index would have.
        points: usize,
        /// The largest number of points possible.
        limit: usize,
    },
    /// The projection of a point overflows f32, because the point is too far from the origin.
    #[error("point {point} is too far from the origin to be projected")]
    ProjectionOverflow {
        /// The index of the point among those given. It is 0 for a single query.
        point: usize,
    },
    /// A setting is out of its range.
    #[error("{setting} is {value}, expected {expected}")]
    Setting {
        /// The name of the setting.
        setting: &'static str,
        /// The value of the setting.
        value: f64,
        /// The range of permitted values.
        expected: &'static str,
    },
}
