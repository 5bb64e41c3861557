//! The search for each example's nearest code, hierarchical (CHIMLE) or flat (cIMLE).

use burn::tensor::Tensor;
use chimle_knn::KnnError;
use chimle_nn::{Generator, Kernels};
use chimle_perceptual::Distance;
use serde::{Deserialize, Serialize};

use crate::choice::Run;
use crate::neighbors::Neighbors;
use crate::pool::CodePool;
use crate::target::Target;

/// How the space of codes is searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Strategy {
    /// CHIMLE: level by level, keeping the nearest candidate of each level as the prefix of the
    /// next.
    Hierarchical {
        /// Candidates at each level, coarse to fine.
        pools: Vec<usize>,
    },
    /// cIMLE: whole codes, judged by the image of the last level.
    Flat {
        /// Whole codes drawn.
        candidates: usize,
    },
}

/// What the search found for one observed output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chosen {
    /// The chosen candidate of each level.
    pub candidates: Vec<usize>,
    /// The distance of every candidate, at each level where candidates were compared: all levels
    /// in the hierarchical search, the last alone in the flat one. NaN where it was not measured,
    /// as most are not with [`Neighbors`] other than exact.
    pub distances: Vec<Vec<f32>>,
}

impl Chosen {
    /// The distance of the chosen candidate, at each level where candidates were compared.
    pub fn nearest(&self) -> Vec<f32> {
        let compared = &self.candidates[self.candidates.len() - self.distances.len()..];
        self.distances
            .iter()
            .zip(compared)
            .map(|(pool, &chosen)| pool[chosen])
            .collect()
    }
}

/// Why a search could not choose.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SearchError {
    /// A distance that is not a number: the generator or the distance has diverged.
    #[error(
        "the distance of candidate {candidate} of level {level} to example {example} is {value}"
    )]
    NotFinite {
        /// The example, counted as in [`Search::run`].
        example: usize,
        /// The level, from 1.
        level: usize,
        /// The candidate.
        candidate: usize,
        /// The distance.
        value: f32,
    },
    /// A strategy that does not fit the generator.
    #[error("search: pools for {pools} levels, but the generator has {levels}")]
    Levels {
        /// Levels in the strategy.
        pools: usize,
        /// Levels in the generator.
        levels: usize,
    },
    /// A shortlist made by a distance that is not Euclidean.
    #[error("search: a shortlist needs the L2 distance or LPIPS, whose features can be projected")]
    NotEuclidean,
    /// A shortlist with a setting that cannot work.
    #[error("search: {0}")]
    Shortlist(#[from] KnnError),
    /// A shortlist of no candidates.
    #[error("search: `measured` must be at least 1")]
    NothingMeasured,
    /// A pool from which nothing can be chosen.
    #[error("search: the pool of level {level} is empty")]
    EmptyPool {
        /// The level, from 1.
        level: usize,
    },
}

/// A strategy, and how much of it is evaluated at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    strategy: Strategy,
    chunk: usize,
    neighbors: Neighbors,
}

impl Search {
    /// `chunk` is the most candidates evaluated in one batch; it bounds memory, and does not
    /// change what is found.
    pub fn new(strategy: Strategy, chunk: usize) -> Self {
        Self {
            strategy,
            chunk: chunk.max(1),
            neighbors: Neighbors::Exact,
        }
    }

    /// The same search, with at most so many candidates evaluated in one batch.
    pub fn with_chunk(self, chunk: usize) -> Self {
        Self {
            chunk: chunk.max(1),
            ..self
        }
    }

    /// The same search, with the nearest of a pool found in another way.
    pub fn with_neighbors(self, neighbors: Neighbors) -> Self {
        Self { neighbors, ..self }
    }

    /// The most inputs of which each has its whole pool in one batch, at the level with the
    /// smallest pool: a good number to search together.
    pub fn inputs_at_once(&self) -> usize {
        let smallest = match &self.strategy {
            Strategy::Hierarchical { pools } => pools.iter().copied().min().unwrap_or(1),
            Strategy::Flat { candidates } => *candidates,
        };
        (self.chunk / smallest.max(1)).max(1)
    }

    /// The strategy.
    pub fn strategy(&self) -> &Strategy {
        &self.strategy
    }

    /// Whether the strategy fits a generator of so many levels, and the settings are possible.
    ///
    /// # Errors
    /// [`SearchError::Levels`], [`SearchError::EmptyPool`], [`SearchError::NothingMeasured`] and
    /// [`SearchError::Shortlist`].
    pub fn validate(&self, levels: usize) -> Result<(), SearchError> {
        self.neighbors.validate()?;
        match &self.strategy {
            Strategy::Hierarchical { pools } if pools.len() != levels => Err(SearchError::Levels {
                pools: pools.len(),
                levels,
            }),
            Strategy::Hierarchical { pools } => match pools.iter().position(|&m| m == 0) {
                Some(empty) => Err(SearchError::EmptyPool { level: empty + 1 }),
                None => Ok(()),
            },
            Strategy::Flat { candidates: 0 } => Err(SearchError::EmptyPool { level: 1 }),
            Strategy::Flat { .. } => Ok(()),
        }
    }

    /// Finds the nearest code for each observed output of a batch of inputs; one [`Chosen`] for each,
    /// in the target's order.
    ///
    /// `generator` should be [folded](Generator::fold), on a backend without autodiff.
    /// `conditioning` is as in [`Generator::begin`]; row `k` of the batch is example
    /// `first + k` of the pool. Observed outputs of one input share its candidates: as long as they
    /// choose alike, each candidate is evaluated once for all of them.
    ///
    /// # Errors
    /// If a distance is not finite, or the strategy does not fit the generator.
    ///
    /// # Panics
    /// As [`Generator::begin`] and [`Generator::advance`]; also if `target` has other levels or other
    /// sides than the generator's images, or is of inputs that `conditioning` does not have.
    pub fn run<B: Kernels>(
        &self,
        generator: &Generator<B>,
        distance: &Distance<B>,
        conditioning: Vec<Tensor<B, 4>>,
        target: &Target<B>,
        pool: &impl CodePool<B>,
        first: usize,
    ) -> Result<Vec<Chosen>, SearchError> {
        self.validate(generator.levels.len())?;
        let run = Run {
            generator,
            distance,
            target,
            pool,
            first,
            chunk: self.chunk,
            neighbors: &self.neighbors,
        };
        let start = generator.begin(conditioning);
        match &self.strategy {
            Strategy::Hierarchical { pools } => run.hierarchical(start, pools),
            Strategy::Flat { candidates } => run.flat(start, *candidates),
        }
    }
}
