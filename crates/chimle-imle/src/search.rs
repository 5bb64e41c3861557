//! The search for each observed output's nearest code.

use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::choice::Run;
use crate::chosen::Chosen;
use crate::code::{CodePool, ExampleId};
use crate::distance::Distance;
use crate::error::SearchError;
use crate::generator::StagedGenerator;
use crate::neighbors::Neighbors;
use crate::target::Target;

/// How the space of codes is searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Strategy {
    /// CHIMLE: one level at a time. The next level continues from the nearest candidate of this
    /// one.
    Hierarchical {
        /// The number of candidates per level, coarse to fine.
        pools: Vec<usize>,
    },
    /// cIMLE: whole codes, compared by the output of the last level.
    Flat {
        /// The number of whole codes drawn.
        candidates: usize,
    },
}

/// The latent search: its strategy, the sizes of its batches, and how it finds the nearest
/// candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    strategy: Strategy,
    chunk: usize,
    /// The largest number of candidates in one batch, per level. If empty, it is `chunk` at every
    /// level.
    chunks: Vec<usize>,
    neighbors: Neighbors,
}

impl Search {
    /// Creates a search that evaluates at most `chunk` candidates in one batch.
    ///
    /// `chunk` bounds the memory and does not change the result.
    pub fn new(strategy: Strategy, chunk: usize) -> Self {
        Self {
            strategy,
            chunk: chunk.max(1),
            chunks: Vec::new(),
            neighbors: Neighbors::Exact,
        }
    }

    /// Sets the largest number of candidates evaluated in one batch.
    pub fn with_chunk(self, chunk: usize) -> Self {
        Self {
            chunk: chunk.max(1),
            chunks: Vec::new(),
            ..self
        }
    }

    /// Sets the largest number of candidates evaluated in one batch for each level, coarse to fine.
    /// A coarse level takes less memory per candidate than a fine one, so its batches can be
    /// larger.
    pub fn with_chunks(self, chunks: Vec<usize>) -> Self {
        Self {
            chunk: chunks.last().copied().unwrap_or(self.chunk).max(1),
            chunks,
            ..self
        }
    }

    /// Returns the largest number of candidates in one batch at a level.
    fn chunk_of(&self, level: usize) -> usize {
        self.chunks.get(level).copied().unwrap_or(self.chunk).max(1)
    }

    /// Sets how the nearest candidate of a pool is found.
    pub fn with_neighbors(self, neighbors: Neighbors) -> Self {
        Self { neighbors, ..self }
    }

    /// Returns a good number of inputs to search together: the number whose whole pools fit into
    /// one batch at the level with the smallest pool.
    pub fn inputs_at_once(&self) -> usize {
        let smallest = match &self.strategy {
            Strategy::Hierarchical { pools } => pools.iter().copied().min().unwrap_or(1),
            Strategy::Flat { candidates } => *candidates,
        };
        (self.chunk / smallest.max(1)).max(1)
    }

    /// Returns the strategy.
    pub fn strategy(&self) -> &Strategy {
        &self.strategy
    }

    /// Checks that the strategy fits a generator of `levels` levels and that the settings are
    /// valid.
    ///
    /// # Errors
    ///
    /// Returns [`SearchError::Levels`], [`SearchError::EmptyPool`],
    /// [`SearchError::NothingMeasured`] or [`SearchError::Shortlist`].
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

    /// Finds the nearest code for each observed output of a batch of inputs.
    ///
    /// Returns one [`Chosen`] per observed output, in the order of `target`. `examples` holds the
    /// identity of each row of the conditioning, from which its codes are drawn. Observed
    /// outputs of one input share its candidates. As long as they choose the same prefix, each
    /// candidate is evaluated once for all of them.
    ///
    /// The search needs no autodiff graph, so `B` should be a backend without autodiff. If a
    /// network can be prepared for evaluation (as by `chimle_nn::Generator::fold`), prepare it
    /// before the search.
    ///
    /// # Errors
    ///
    /// If a distance is not finite, or the strategy does not fit the generator.
    ///
    /// # Panics
    ///
    /// If `target` and the generator have different numbers of levels, or `target` names an input
    /// that `examples` does not have. Also if the generator panics.
    pub fn run<B, G, D>(
        &self,
        generator: &G,
        distance: &D,
        conditioning: G::Conditioning,
        target: &Target<D::Features>,
        pool: &impl CodePool<B>,
        examples: &[ExampleId],
    ) -> Result<Vec<Chosen>, SearchError>
    where
        B: Backend,
        G: StagedGenerator<B>,
        D: Distance<B, Output = G::Output>,
    {
        self.validate(generator.levels())?;
        let run = Run {
            generator,
            distance,
            target,
            pool,
            examples,
            chunks: (0..generator.levels())
                .map(|level| self.chunk_of(level))
                .collect(),
            neighbors: &self.neighbors,
            device: generator.device(),
        };
        let start = generator.begin(conditioning);
        match &self.strategy {
            Strategy::Hierarchical { pools } => run.hierarchical(start, pools),
            Strategy::Flat { candidates } => run.flat(start, *candidates),
        }
    }
}
