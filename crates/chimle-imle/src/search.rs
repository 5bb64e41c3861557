//! The search for each example's nearest code, hierarchical (CHIMLE) or flat (cIMLE).

use std::ops::Range;

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor, TensorData};
use chimle_nn::{Generator, Kernels, State};
use chimle_perceptual::{Distance, Features};
use serde::{Deserialize, Serialize};

use crate::objective::shown_distance;
use crate::pool::CodePool;

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

/// What the search found for one example.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The chosen candidate of each level.
    pub candidates: Vec<usize>,
    /// The distance of every candidate, at each level where candidates were compared: all levels
    /// in the hierarchical search, the last alone in the flat one.
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
    /// A pool from which nothing can be chosen.
    #[error("search: the pool of level {level} is empty")]
    EmptyPool {
        /// The level, from 1.
        level: usize,
    },
}

/// The targets of a batch of examples: what the distance needs to know of them, at each level.
#[derive(Clone, Debug)]
pub struct Target<B: Backend> {
    levels: Vec<Features<B>>,
}

impl<B: Backend> Target<B> {
    /// Works out the features once. `images` holds the true image at each level's own resolution,
    /// `[batch, 3, h, w]` in [0, 1], coarse to fine.
    pub fn new(distance: &Distance<B>, images: Vec<Tensor<B, 4>>) -> Self {
        Self {
            levels: images
                .into_iter()
                .map(|image| distance.features(image))
                .collect(),
        }
    }

    /// Features worked out without autodiff, as constants of a loss.
    pub fn from_inner(inner: Target<B::InnerBackend>) -> Self
    where
        B: AutodiffBackend,
    {
        Self {
            levels: inner.levels.into_iter().map(Features::from_inner).collect(),
        }
    }

    /// The features at each level.
    pub fn levels(&self) -> &[Features<B>] {
        &self.levels
    }
}

/// A strategy, and how much of it is evaluated at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    strategy: Strategy,
    chunk: usize,
}

impl Search {
    /// `chunk` is the most candidates evaluated in one batch; it bounds memory, and does not
    /// change what is found.
    pub fn new(strategy: Strategy, chunk: usize) -> Self {
        Self {
            strategy,
            chunk: chunk.max(1),
        }
    }

    /// The most examples of which each has its whole pool in one batch, at the level with the
    /// smallest pool: a good number to search together.
    pub fn examples_at_once(&self) -> usize {
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

    /// Whether the strategy fits a generator of so many levels.
    ///
    /// # Errors
    /// [`SearchError::Levels`] and [`SearchError::EmptyPool`].
    pub fn validate(&self, levels: usize) -> Result<(), SearchError> {
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

    /// Finds the nearest code for each example of a batch.
    ///
    /// `generator` should be [folded](Generator::fold), on a backend without autodiff.
    /// `conditioning` is as in [`Generator::begin`]; row `k` of the batch is example
    /// `first + k` of the pool.
    ///
    /// # Errors
    /// If a distance is not finite, or the strategy does not fit the generator.
    ///
    /// # Panics
    /// As [`Generator::begin`] and [`Generator::advance`]; also if `target` has other levels,
    /// fewer examples or other sides than the generator's images.
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
        };
        let start = generator.begin(conditioning);
        match &self.strategy {
            Strategy::Hierarchical { pools } => run.hierarchical(start, pools),
            Strategy::Flat { candidates } => run.flat(start, *candidates),
        }
    }
}

/// What stays the same during one search.
struct Run<'a, B: Backend, P> {
    generator: &'a Generator<B>,
    distance: &'a Distance<B>,
    target: &'a Target<B>,
    pool: &'a P,
    first: usize,
    chunk: usize,
}

impl<B: Kernels, P: CodePool<B>> Run<'_, B, P> {
    /// Each level is evaluated once over the states chosen below it, never its prefix again.
    fn hierarchical(&self, start: State<B>, pools: &[usize]) -> Result<Vec<Chosen>, SearchError> {
        let examples = start.batch();
        let mut found = vec![
            Chosen {
                candidates: Vec::new(),
                distances: Vec::new()
            };
            examples
        ];
        let mut state = start;
        for (level, &candidates) in pools.iter().enumerate() {
            let mut reached = Vec::new();
            for group in self.groups(examples, candidates) {
                let prefix = state.narrow(group.start, group.len());
                let mut nearest = Nearest::new(group.len());
                for part in ranges(candidates, self.chunk) {
                    let (next, distances) =
                        self.evaluate(level, &prefix, group.clone(), part.clone())?;
                    nearest.offer(&distances, part.len(), next);
                }
                for (example, best) in group.zip(nearest.rows) {
                    found[example].candidates.push(best.candidate);
                    found[example].distances.push(best.distances);
                }
                reached.extend(nearest.state);
            }
            state = State::cat(reached);
        }
        Ok(found)
    }

    /// Candidate k takes the k-th code of every level.
    fn flat(&self, start: State<B>, candidates: usize) -> Result<Vec<Chosen>, SearchError> {
        let (examples, levels) = (start.batch(), self.generator.levels.len());
        let mut found = Vec::new();
        for group in self.groups(examples, candidates) {
            let prefix = start.narrow(group.start, group.len());
            let mut nearest = Nearest::new(group.len());
            for part in ranges(candidates, self.chunk) {
                let mut state = prefix.repeat(part.len());
                for level in 0..levels - 1 {
                    let code = self.draw(level, &state, group.clone(), part.clone());
                    state = self.generator.advance(state, code).0;
                }
                let (end, distances) =
                    self.measure(levels - 1, state, group.clone(), part.clone())?;
                nearest.offer(&distances, part.len(), end);
            }
            found.extend(nearest.rows.into_iter().map(|best| Chosen {
                candidates: vec![best.candidate; levels],
                distances: vec![best.distances],
            }));
        }
        Ok(found)
    }

    /// Continues each of the group's states with each candidate of `level`.
    fn evaluate(
        &self,
        level: usize,
        prefix: &State<B>,
        group: Range<usize>,
        candidates: Range<usize>,
    ) -> Result<(State<B>, Vec<f32>), SearchError> {
        self.measure(level, prefix.repeat(candidates.len()), group, candidates)
    }

    /// One level over all rows of `state`, and the distance of each row's image to its target.
    fn measure(
        &self,
        level: usize,
        state: State<B>,
        group: Range<usize>,
        candidates: Range<usize>,
    ) -> Result<(State<B>, Vec<f32>), SearchError> {
        let code = self.draw(level, &state, group.clone(), candidates.clone());
        let (next, image) = self.generator.advance(state, code);
        let distances = shown_distance(
            self.generator.config().architecture,
            self.distance,
            image,
            &self.target.levels[level].slice(group.clone()),
        );
        let distances = distances.into_data().convert::<f32>();
        let distances: Vec<f32> = distances
            .into_vec()
            .expect("distances were converted to f32");
        match distances.iter().position(|d| !d.is_finite()) {
            Some(row) => Err(SearchError::NotFinite {
                example: self.first + group.start + row / candidates.len(),
                level: level + 1,
                candidate: candidates.start + row % candidates.len(),
                value: distances[row],
            }),
            None => Ok((next, distances)),
        }
    }

    fn draw(
        &self,
        level: usize,
        state: &State<B>,
        group: Range<usize>,
        candidates: Range<usize>,
    ) -> chimle_nn::LatentCode<B> {
        let examples = self.first + group.start..self.first + group.end;
        let size = state.code_size().expect("a level is still to come");
        self.pool
            .draw(level, examples, candidates, size, &state.device())
    }

    /// As many examples together as have their whole pools in one chunk.
    fn groups(
        &self,
        examples: usize,
        candidates: usize,
    ) -> impl Iterator<Item = Range<usize>> + use<B, P> {
        ranges(examples, (self.chunk / candidates).max(1))
    }
}

/// The nearest candidate so far of each example of a group, and the states these lead to.
struct Nearest<B: Backend> {
    rows: Vec<Best>,
    state: Option<State<B>>,
}

#[derive(Clone)]
struct Best {
    candidate: usize,
    distances: Vec<f32>,
}

impl<B: Kernels> Nearest<B> {
    fn new(examples: usize) -> Self {
        Self {
            rows: vec![
                Best {
                    candidate: 0,
                    distances: Vec::new()
                };
                examples
            ],
            state: None,
        }
    }

    /// Compares `count` more candidates of each example; of equals the first stays.
    fn offer(&mut self, distances: &[f32], count: usize, state: State<B>) {
        let examples = self.rows.len();
        // Rows of the states kept so far come first, then those of `state`.
        let kept = if self.state.is_some() { examples } else { 0 };
        let mut rows = Vec::with_capacity(examples);
        for (example, (best, pool)) in self
            .rows
            .iter_mut()
            .zip(distances.chunks(count))
            .enumerate()
        {
            let seen = best.distances.len();
            best.distances.extend_from_slice(pool);
            let nearest = (0..count).fold(0, |a, b| if pool[b] < pool[a] { b } else { a });
            if seen == 0 || pool[nearest] < best.distances[best.candidate] {
                best.candidate = seen + nearest;
                rows.push(kept + example * count + nearest);
            } else {
                rows.push(example);
            }
        }
        let all = State::cat(self.state.take().into_iter().chain([state]).collect());
        let rows: Vec<i64> = rows.into_iter().map(|row| row as i64).collect();
        let indices =
            Tensor::<B, 1, Int>::from_data(TensorData::new(rows, [examples]), &all.device());
        self.state = Some(all.select(indices));
    }
}

/// `0..len` in pieces of at most `size`.
fn ranges(len: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len)
        .step_by(size)
        .map(move |start| start..(start + size).min(len))
}
