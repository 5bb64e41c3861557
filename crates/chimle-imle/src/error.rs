//! The errors of the latent search.

use chimle_knn::KnnError;

use crate::code::ExampleId;

/// An error of the latent search.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// A distance is NaN or infinite: the generator or the distance has diverged.
    #[error(
        "the distance of candidate {candidate} of level {level} to example {example} is {value}"
    )]
    NotFinite {
        /// The identity of the input.
        example: ExampleId,
        /// The level, from 1.
        level: usize,
        /// The candidate's index in its pool.
        candidate: usize,
        /// The distance.
        value: f32,
    },
    /// The strategy does not fit the generator.
    #[error("search: pools for {pools} levels, but the generator has {levels}")]
    Levels {
        /// The number of levels in the strategy.
        pools: usize,
        /// The number of levels in the generator.
        levels: usize,
    },
    /// A shortlist needs a distance with an [embedding](crate::Distance::embed).
    #[error("search: a shortlist needs the L2 distance or LPIPS, whose features can be projected")]
    NotEuclidean,
    /// A setting of the shortlist is invalid.
    #[error("search: {0}")]
    Shortlist(#[from] KnnError),
    /// The shortlist would hold no candidates.
    #[error("search: `measured` must be at least 1")]
    NothingMeasured,
    /// A pool holds no candidates.
    #[error("search: the pool of level {level} is empty")]
    EmptyPool {
        /// The level, from 1.
        level: usize,
    },
}
