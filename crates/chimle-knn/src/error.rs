//! What can be wrong with points, a query or a setting.

use thiserror::Error;

/// Why an index was not built or a query has no answer.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum KnnError {
    /// Points were said to have no coordinates.
    #[error("points have dimension 0")]
    ZeroDimension,
    /// Values do not fill whole points.
    #[error("{values} values do not make whole points of dimension {dimension}")]
    Ragged {
        /// Values given.
        values: usize,
        /// Coordinates of a point.
        dimension: usize,
    },
    /// A coordinate is infinite or not a number.
    #[error("coordinate {coordinate} of point {point} is {value}, which is not finite")]
    NonFinite {
        /// Index of the point among those given; 0 for a single query.
        point: usize,
        /// Index of the coordinate within the point.
        coordinate: usize,
        /// What was found there.
        value: f32,
    },
    /// Points or queries differ in dimension from the index.
    #[error("dimension {found} given where the index has {expected}")]
    Dimension {
        /// Dimension of the index.
        expected: usize,
        /// Dimension given.
        found: usize,
    },
    /// Neighbors were asked of an index without points.
    #[error("the index is empty")]
    Empty,
    /// The number of neighbors asked for is 0 or above the number of points.
    #[error("{k} neighbors asked for among {points} points")]
    NeighborCount {
        /// Neighbors asked for.
        k: usize,
        /// Points in the index.
        points: usize,
    },
    /// The dimension is above what the structure is made for.
    #[error("dimension {dimension} is above {limit}, the most a k-d tree is built for")]
    DimensionTooHigh {
        /// Dimension given.
        dimension: usize,
        /// Highest dimension possible.
        limit: usize,
    },
    /// There are more points than the structure can number.
    #[error("{points} points are more than the {limit} that the structure can number")]
    TooManyPoints {
        /// Points there would be.
        points: usize,
        /// Most points possible.
        limit: usize,
    },
    /// A point's projection does not fit in f32: the point's norm is beyond the largest f32.
    #[error("point {point} is too far from the origin to be projected")]
    ProjectionOverflow {
        /// Index of the point among those given; 0 for a single query.
        point: usize,
    },
    /// A setting is out of its range.
    #[error("{setting} is {value}, expected {expected}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What it was set to.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
}
