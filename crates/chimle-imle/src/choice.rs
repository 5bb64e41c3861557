//! The choice of the nearest candidate for each observed output, level by level or for whole codes.

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::chosen::Chosen;
use crate::code::{Candidate, CodePool, ExampleId};
use crate::distance::Distance;
use crate::error::SearchError;
use crate::generator::{Output, StagedGenerator};
use crate::neighbors::Neighbors;
use crate::rows::{Rows, Selection};
use crate::target::Target;

/// The inputs and settings of one search.
pub(crate) struct Run<'a, B: Backend, G, D: Distance<B>, P> {
    pub(crate) generator: &'a G,
    pub(crate) distance: &'a D,
    pub(crate) target: &'a Target<D::Features>,
    pub(crate) pool: &'a P,
    /// The identity of each row of the conditioning.
    pub(crate) examples: &'a [ExampleId],
    /// The largest number of candidates in one batch, per level.
    pub(crate) chunks: Vec<usize>,
    pub(crate) neighbors: &'a Neighbors,
    pub(crate) device: B::Device,
}

/// The distinct prefixes that were chosen so far.
pub(crate) struct Front<S> {
    /// The generator's state after each prefix, one row per prefix. `None` after the last level.
    pub(crate) state: Option<S>,
    pub(crate) prefixes: Vec<Prefix>,
}

/// The codes chosen so far, one per level, and the observed outputs of one input that all chose
/// them.
#[derive(Clone)]
pub(crate) struct Prefix {
    pub(crate) input: usize,
    pub(crate) outputs: Vec<usize>,
}

/// A candidate that continues a prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pick {
    /// The prefix, as a row of its group.
    pub(crate) row: usize,
    /// The candidate's index in the pool.
    pub(crate) candidate: usize,
}

impl<B, G, D, P> Run<'_, B, G, D, P>
where
    B: Backend,
    G: StagedGenerator<B>,
    D: Distance<B, Output = G::Output>,
    P: CodePool<B>,
{
    /// Evaluates each level from the prefixes chosen at the levels below. No prefix is evaluated
    /// twice.
    pub(crate) fn hierarchical(
        &self,
        start: G::State,
        pools: &[usize],
    ) -> Result<Vec<Chosen>, SearchError> {
        let mut found = vec![Chosen::default(); self.target.inputs().len()];
        let mut front = Front::new(start, self.target.inputs());
        for (level, &candidates) in pools.iter().enumerate() {
            let advance = |group: &Front<G::State>, picks: &[Pick]| {
                let state = group.continued(picks);
                let code = self.draw(level, group, picks, &state);
                self.generator.advance(state, code)
            };
            front = self.level(level, front, candidates, advance, &mut found)?;
        }
        Ok(found)
    }

    /// Evaluates whole codes: candidate k takes the k-th code of every level.
    pub(crate) fn flat(
        &self,
        start: G::State,
        candidates: usize,
    ) -> Result<Vec<Chosen>, SearchError> {
        let levels = self.generator.levels();
        let mut found = vec![Chosen::default(); self.target.inputs().len()];
        let through_all = |group: &Front<G::State>, picks: &[Pick]| {
            let state = group.continued(picks);
            let code = self.draw(0, group, picks, &state);
            let mut reached = self.generator.advance(state, code);
            for level in 1..levels {
                let code = self.draw(level, group, picks, &reached.0);
                reached = self.generator.advance(reached.0, code);
            }
            reached
        };
        let front = Front::new(start, self.target.inputs());
        self.level(levels - 1, front, candidates, through_all, &mut found)?;
        for chosen in &mut found {
            chosen.candidates = vec![chosen.candidates[0]; levels];
        }
        Ok(found)
    }

    /// Compares all candidates of `level`, and records the choice of each observed output.
    fn level(
        &self,
        level: usize,
        front: Front<G::State>,
        candidates: usize,
        evaluate: impl Fn(&Front<G::State>, &[Pick]) -> (G::State, G::Output),
        found: &mut [Chosen],
    ) -> Result<Front<G::State>, SearchError> {
        let mut reached = Vec::new();
        let shortlist = self.neighbors.shortlist();
        let projection = shortlist.map(|shortlist| self.projection(level, shortlist));
        let projection = projection.transpose()?;
        // A group holds as many prefixes as fit into one chunk with their whole pools.
        for group in ranges(
            front.prefixes.len(),
            (self.chunks[level] / candidates).max(1),
        ) {
            let group = front.narrow(group);
            let chosen = match &projection {
                None => self.level_by_all(level, &group, candidates, &evaluate, found),
                Some(projection) => {
                    self.level_by_shortlist(level, &group, candidates, projection, &evaluate, found)
                }
            };
            reached.push(chosen?);
        }
        Ok(Front::concat(reached))
    }

    /// Compares every candidate of `level` with each observed output of a group.
    fn level_by_all(
        &self,
        level: usize,
        group: &Front<G::State>,
        candidates: usize,
        evaluate: &impl Fn(&Front<G::State>, &[Pick]) -> (G::State, G::Output),
        found: &mut [Chosen],
    ) -> Result<Front<G::State>, SearchError> {
        let comparisons = self.comparisons(level, group);
        let is_last = self.is_last(level);
        let mut nearest = Nearest::new(group);
        for part in ranges(candidates, self.chunks[level]) {
            let rows = 0..group.prefixes.len();
            let picks: Vec<Pick> = rows
                .flat_map(|row| part.clone().map(move |candidate| Pick { row, candidate }))
                .collect();
            let (state, output) = evaluate(group, &picks);
            let distances = self.measure(&comparisons, output, part.len());
            self.check(level, group, &distances, part.start)?;
            nearest.offer(distances, part.len(), (!is_last).then_some(state));
        }
        Ok(nearest.conclude(group, found))
    }

    /// Returns whether `level` is the last one, so that no level continues from its states.
    pub(crate) fn is_last(&self, level: usize) -> bool {
        level + 1 == self.generator.levels()
    }

    /// Draws the code of each pick.
    fn draw(
        &self,
        level: usize,
        group: &Front<G::State>,
        picks: &[Pick],
        state: &G::State,
    ) -> G::Code {
        let candidates: Vec<Candidate> = picks
            .iter()
            .map(|pick| Candidate {
                example: self.examples[group.prefixes[pick.row].input],
                index: pick.candidate,
            })
            .collect();
        let len = self.generator.code_len(state);
        let values = self.pool.draw(level, &candidates, len, &self.device);
        self.generator.code(state, values)
    }

    /// Returns the features with which a group's candidates are compared. The first comparison
    /// holds the first observed output of every prefix, the second comparison holds the second
    /// ones, and so on.
    fn comparisons(&self, level: usize, group: &Front<G::State>) -> Vec<Comparison<D::Features>> {
        let features = &self.target.levels()[level];
        let most = group.prefixes.iter().map(|prefix| prefix.outputs.len());
        (0..most.max().unwrap_or(0))
            .map(|place| {
                let has_one = |row: &usize| group.prefixes[*row].outputs.len() > place;
                let rows: Vec<usize> = (0..group.prefixes.len()).filter(has_one).collect();
                let outputs = rows.iter().map(|&row| group.prefixes[row].outputs[place]);
                let target = features.select_rows(&Selection::indices(outputs));
                let all = rows.len() == group.prefixes.len();
                Comparison { rows, all, target }
            })
            .collect()
    }

    /// Measures the distance of each candidate's output to each observed output of its prefix.
    /// Returns `count` distances for each observed output of each prefix. If an output contains
    /// NaN, its distance is NaN.
    fn measure(
        &self,
        comparisons: &[Comparison<D::Features>],
        output: G::Output,
        count: usize,
    ) -> Vec<Vec<Vec<f32>>> {
        let diverged = output.has_nan();
        let prefixes = diverged.dims()[0] / count;
        let features = self.distance.features(output);
        let measured = comparisons.iter().map(|comparison| {
            if comparison.all {
                let distances = self.distance.compare(&features, &comparison.target);
                return distances.mask_fill(diverged.clone(), f32::NAN);
            }
            let rows = comparison.rows.iter();
            let candidates = rows.flat_map(|&row| row * count..(row + 1) * count);
            let candidates = Selection::indices(candidates);
            let features = features.select_rows(&candidates);
            let diverged = diverged.clone().select(0, candidates.tensor(&self.device));
            self.distance
                .compare(&features, &comparison.target)
                .mask_fill(diverged, f32::NAN)
        });
        // All distances are read back in one transfer.
        let measured = Tensor::cat(measured.collect(), 0).into_data();
        let measured: Vec<f32> = measured.iter::<f32>().collect();

        let mut pools = vec![Vec::new(); prefixes];
        let rows = comparisons.iter().flat_map(|comparison| &comparison.rows);
        for (&row, pool) in rows.zip(measured.chunks_exact(count)) {
            pools[row].push(pool.to_vec());
        }
        pools
    }

    fn check(
        &self,
        level: usize,
        group: &Front<G::State>,
        distances: &[Vec<Vec<f32>>],
        first_candidate: usize,
    ) -> Result<(), SearchError> {
        for (row, pools) in distances.iter().enumerate() {
            for pool in pools {
                if let Some(at) = pool.iter().position(|distance| !distance.is_finite()) {
                    let candidate = first_candidate + at;
                    let pick = Pick { row, candidate };
                    return Err(self.not_finite(level, group, pick, pool[at]));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn not_finite(
        &self,
        level: usize,
        group: &Front<G::State>,
        pick: Pick,
        value: f32,
    ) -> SearchError {
        SearchError::NotFinite {
            example: self.examples[group.prefixes[pick.row].input],
            level: level + 1,
            candidate: pick.candidate,
            value,
        }
    }
}

/// Observed outputs, at most one per prefix of a group.
struct Comparison<F> {
    /// The prefixes that have an observed output here.
    rows: Vec<usize>,
    /// Whether `rows` holds every prefix of the group.
    all: bool,
    /// The features of the observed outputs.
    target: F,
}

impl<S> Front<S> {
    /// Creates the front before the first level: one prefix per input that has an observed output.
    fn new<B: Backend>(start: S, inputs: &[usize]) -> Self
    where
        S: Rows<B>,
    {
        let count = inputs.iter().max().map_or(0, |&last| last + 1);
        let mut outputs = vec![Vec::new(); count];
        for (output, &input) in inputs.iter().enumerate() {
            outputs[input].push(output);
        }
        let prefixes = outputs.into_iter().enumerate();
        let prefixes: Vec<Prefix> = prefixes
            .map(|(input, outputs)| Prefix { input, outputs })
            .filter(|prefix| !prefix.outputs.is_empty())
            .collect();
        let rows = prefixes.iter().map(|prefix| prefix.input);
        Self {
            state: Some(start.select_rows(&Selection::indices(rows))),
            prefixes,
        }
    }

    fn narrow<B: Backend>(&self, rows: Range<usize>) -> Self
    where
        S: Rows<B>,
    {
        Self {
            state: self.state.select_rows(&Selection::range(rows.clone())),
            prefixes: self.prefixes[rows].to_vec(),
        }
    }

    /// Returns the states that the picks continue from, one row per pick.
    fn continued<B: Backend>(&self, picks: &[Pick]) -> S
    where
        S: Rows<B>,
    {
        let state = self.state.as_ref().expect("a level is still to come");
        state.select_rows(&Selection::indices(picks.iter().map(|pick| pick.row)))
    }

    fn concat<B: Backend>(parts: Vec<Self>) -> Self
    where
        S: Rows<B>,
    {
        let (states, prefixes): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .map(|part| (part.state, part.prefixes))
            .unzip();
        let states: Option<Vec<S>> = states.into_iter().collect();
        Self {
            state: states.filter(|states| !states.is_empty()).map(S::concat),
            prefixes: prefixes.concat(),
        }
    }
}

/// The nearest candidate so far of each observed output of a group, and the states that these
/// candidates lead to.
struct Nearest<S> {
    best: Vec<Best>,
    /// Distinct states: several observed outputs may have chosen the same candidate.
    state: Option<S>,
    /// The number of rows in `state`.
    kept: usize,
}

struct Best {
    output: usize,
    /// The prefix of the observed output in the group.
    row: usize,
    /// The distances of the candidates seen so far.
    distances: Vec<f32>,
    candidate: usize,
    /// The row of the kept states that the candidate leads to.
    kept: usize,
}

impl<S> Nearest<S> {
    fn new(group: &Front<S>) -> Self {
        let prefixes = group.prefixes.iter().enumerate();
        let best = prefixes.flat_map(|(row, prefix)| {
            prefix.outputs.iter().map(move |&output| Best {
                output,
                row,
                distances: Vec::new(),
                candidate: 0,
                kept: 0,
            })
        });
        Self {
            best: best.collect(),
            state: None,
            kept: 0,
        }
    }

    /// Takes the distances of `count` more candidates of each prefix. `state` has one row per
    /// candidate. Among equal candidates, the first is kept.
    fn offer<B: Backend>(&mut self, distances: Vec<Vec<Vec<f32>>>, count: usize, state: Option<S>)
    where
        S: Rows<B>,
    {
        for (best, pool) in self.best.iter_mut().zip(distances.into_iter().flatten()) {
            let seen = best.distances.len();
            let nearest = (0..count).fold(0, |a, b| if pool[b] < pool[a] { b } else { a });
            if seen == 0 || pool[nearest] < best.distances[best.candidate] {
                best.candidate = seen + nearest;
                // The kept states come first, then the rows of `state`.
                best.kept = self.kept + best.row * count + nearest;
            }
            best.distances.extend(pool);
        }
        if let Some(state) = state {
            self.keep(state);
        }
    }

    /// Keeps only the states of candidates that are still the nearest to some observed output.
    fn keep<B: Backend>(&mut self, offered: S)
    where
        S: Rows<B>,
    {
        let mut distinct: Vec<usize> = self.best.iter().map(|best| best.kept).collect();
        distinct.sort_unstable();
        distinct.dedup();
        for best in &mut self.best {
            best.kept = distinct.partition_point(|&row| row < best.kept);
        }
        let (old, new) = distinct.split_at(distinct.partition_point(|&row| row < self.kept));
        let mut parts = Vec::with_capacity(2);
        if let (Some(state), false) = (self.state.take(), old.is_empty()) {
            parts.push(state.select_rows(&Selection::indices(old.iter().copied())));
        }
        if !new.is_empty() {
            let rows = new.iter().map(|row| row - self.kept);
            parts.push(offered.select_rows(&Selection::indices(rows)));
        }
        self.kept = distinct.len();
        self.state = Some(S::concat(parts));
    }

    /// Records the choices, and returns the front that continues from the chosen states.
    fn conclude(self, group: &Front<S>, found: &mut [Chosen]) -> Front<S> {
        let mut prefixes: Vec<Option<Prefix>> = vec![None; self.kept];
        for best in self.best {
            found[best.output].candidates.push(best.candidate);
            found[best.output].distances.push(best.distances);
            if self.state.is_some() {
                let prefix = prefixes[best.kept].get_or_insert_with(|| Prefix {
                    input: group.prefixes[best.row].input,
                    outputs: Vec::new(),
                });
                prefix.outputs.push(best.output);
            }
        }
        Front {
            state: self.state,
            prefixes: prefixes.into_iter().flatten().collect(),
        }
    }
}

/// Splits `0..len` into ranges of at most `size`.
pub(crate) fn ranges(len: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len)
        .step_by(size)
        .map(move |start| start..(start + size).min(len))
}
