//! Where candidate codes come from.

use std::fmt;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::rows::{Rows, Selection};

/// The identity of an input. The codes of an input depend on its identity and not on its position
/// in a batch.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ExampleId(pub u64);

impl fmt::Display for ExampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One candidate of an input's pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The input.
    pub example: ExampleId,
    /// The candidate's index in the pool.
    pub index: usize,
}

/// A source of candidate codes, addressed by input, level and candidate index.
pub trait CodePool<B: Backend> {
    /// Returns one code of `level` (from 0) per candidate, as values `[candidates, len]`.
    ///
    /// `len` is the generator's [`code_len`](crate::StagedGenerator::code_len).
    fn draw(
        &self,
        level: usize,
        candidates: &[Candidate],
        len: usize,
        device: &B::Device,
    ) -> Tensor<B, 2>;
}

/// A pool of standard normal codes that are drawn from a seed.
///
/// Each code is a function of the seed, the input, the level and the candidate index. Codes
/// therefore do not depend on the batches in which they are drawn, and they are the same on every
/// device. A chosen code can be stored as its index. Codes are drawn on all CPU cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeededPool {
    seed: u64,
}

impl SeededPool {
    /// Creates the pool for a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Returns the random numbers of one code. Every combination of seed, input, level and
    /// candidate index has its own key.
    fn stream(self, level: usize, candidate: Candidate) -> ChaCha8Rng {
        let mut key = [0; 32];
        let parts = [
            self.seed,
            candidate.example.0,
            level as u64,
            candidate.index as u64,
        ];
        for (bytes, part) in key.chunks_exact_mut(8).zip(parts) {
            bytes.copy_from_slice(&part.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }
}

impl<B: Backend> CodePool<B> for SeededPool {
    fn draw(
        &self,
        level: usize,
        candidates: &[Candidate],
        len: usize,
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let mut values = vec![0f32; candidates.len() * len];
        let rows = values.par_chunks_mut(len.max(1)).zip(candidates);
        rows.for_each(|(row, &candidate)| {
            let mut rng = self.stream(level, candidate);
            for value in row {
                *value = StandardNormal.sample(&mut rng);
            }
        });
        Tensor::from_data(TensorData::new(values, [candidates.len(), len]), device)
    }
}

/// A pool in which candidates that follow each other share the first part of their codes.
///
/// A code often has a global part, which acts on the whole output, and a local part. If all candidates of a
/// pool differ in both parts, the search chooses by the part with the larger effect, and the generator
/// learns to ignore the other part. With groups of m candidates, each global part is tried with m local
/// parts, so the search also chooses among local parts. This is not in the paper.
///
/// The first values of a code must not depend on the number of values drawn. This is true of
/// [`SeededPool`] and [`GivenPool`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupedPool<P> {
    pool: P,
    shared: usize,
    groups: Vec<usize>,
}

impl<P> GroupedPool<P> {
    /// Groups the candidates of a pool. At each level, `groups[level]` candidates that follow each other
    /// share the first `shared` values of their codes. Levels without an entry, and groups of 0 or 1, stay
    /// as they are.
    pub fn new(pool: P, shared: usize, groups: Vec<usize>) -> Self {
        Self {
            pool,
            shared,
            groups,
        }
    }
}

impl<B: Backend, P: CodePool<B>> CodePool<B> for GroupedPool<P> {
    fn draw(
        &self,
        level: usize,
        candidates: &[Candidate],
        len: usize,
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let own = self.pool.draw(level, candidates, len, device);
        let group = self.groups.get(level).copied().unwrap_or(1);
        let shared = self.shared.min(len);
        if group <= 1 || shared == 0 {
            return own;
        }
        let firsts: Vec<Candidate> = candidates
            .iter()
            .map(|candidate| Candidate {
                index: candidate.index - candidate.index % group,
                ..*candidate
            })
            .collect();
        // Only the shared values of the first candidates are needed.
        let first = self.pool.draw(level, &firsts, shared, device);
        let parts = vec![
            first.narrow(1, 0, shared),
            own.narrow(1, shared, len - shared),
        ];
        Tensor::cat(parts, 1)
    }
}

/// A pool of codes that were made elsewhere.
#[derive(Clone, Debug)]
pub struct GivenPool<B: Backend> {
    /// One tensor per level, `[examples, candidates, code]`. The first index is the [`ExampleId`].
    pub levels: Vec<Tensor<B, 3>>,
}

impl<B: Backend> CodePool<B> for GivenPool<B> {
    fn draw(
        &self,
        level: usize,
        candidates: &[Candidate],
        _: usize,
        _: &B::Device,
    ) -> Tensor<B, 2> {
        let pool = self.levels[level].clone();
        let [examples, count, len] = pool.dims();
        let rows = candidates.iter();
        let rows = rows.map(|candidate| candidate.example.0 as usize * count + candidate.index);
        pool.reshape([examples * count, len])
            .select_rows(&Selection::indices(rows))
    }
}
