//! How the nearest candidate is chosen for each observed output, level by level or at once.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};
use chimle_nn::{Generator, Kernels, State};
use chimle_perceptual::{Distance, Features};

use crate::neighbors::Neighbors;
use crate::objective::{diverged, shown_to_rgb};
use crate::pool::CodePool;
use crate::search::{Chosen, SearchError};
use crate::target::Target;

/// What stays the same during one search.
pub(crate) struct Run<'a, B: Kernels, P> {
    pub(crate) generator: &'a Generator<B>,
    pub(crate) distance: &'a Distance<B>,
    pub(crate) target: &'a Target<B>,
    pub(crate) pool: &'a P,
    pub(crate) first: usize,
    pub(crate) chunk: usize,
    pub(crate) neighbors: &'a Neighbors,
}

/// How far the search has come: the distinct prefixes that were chosen so far.
pub(crate) struct Front<B: Kernels> {
    /// The generator after each prefix. Not kept after the last level.
    pub(crate) state: Option<State<B>>,
    pub(crate) prefixes: Vec<Prefix>,
}

/// Codes chosen alike, at all levels so far, by some of an input's observed outputs.
#[derive(Clone)]
pub(crate) struct Prefix {
    pub(crate) input: usize,
    pub(crate) outputs: Vec<usize>,
}

/// A candidate continuing a prefix: the prefix's row in its group, and the candidate.
pub(crate) type Pick = (usize, usize);

impl<B: Kernels, P: CodePool<B>> Run<'_, B, P> {
    /// Each level is evaluated once over the prefixes chosen below it, never a prefix again.
    pub(crate) fn hierarchical(
        &self,
        start: State<B>,
        pools: &[usize],
    ) -> Result<Vec<Chosen>, SearchError> {
        let mut found = vec![Chosen::default(); self.target.inputs().len()];
        let mut front = Front::new(start, self.target.inputs());
        for (level, &candidates) in pools.iter().enumerate() {
            let advance = |group: &Front<B>, picks: &[Pick]| {
                let (state, code) = self.prepare(level, group, picks);
                self.generator.advance(state, code)
            };
            front = self.level(level, front, candidates, advance, &mut found)?;
        }
        Ok(found)
    }

    /// Candidate k takes the k-th code of every level.
    pub(crate) fn flat(
        &self,
        start: State<B>,
        candidates: usize,
    ) -> Result<Vec<Chosen>, SearchError> {
        let levels = self.generator.levels.len();
        let mut found = vec![Chosen::default(); self.target.inputs().len()];
        let through_all = |group: &Front<B>, picks: &[Pick]| {
            let (state, code) = self.prepare(0, group, picks);
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

    /// Compares all candidates of `level`, and notes what each observed output chose.
    fn level(
        &self,
        level: usize,
        front: Front<B>,
        candidates: usize,
        evaluate: impl Fn(&Front<B>, &[Pick]) -> (State<B>, Tensor<B, 4>),
        found: &mut [Chosen],
    ) -> Result<Front<B>, SearchError> {
        let mut reached = Vec::new();
        let shortlist = self.neighbors.shortlist();
        let projection = shortlist.map(|shortlist| self.projection(level, shortlist));
        let projection = projection.transpose()?;
        // As many prefixes together as have their whole pools in one chunk.
        for group in ranges(front.prefixes.len(), (self.chunk / candidates).max(1)) {
            let group = front.narrow(group);
            let chosen = match &projection {
                None => self.level_by_all(level, &group, candidates, &evaluate, found),
                Some(projection) => {
                    self.level_by_shortlist(level, &group, candidates, projection, &evaluate, found)
                }
            };
            reached.push(chosen?);
        }
        Ok(Front::cat(reached))
    }

    /// Compares every candidate of `level` with each observed output of a group.
    fn level_by_all(
        &self,
        level: usize,
        group: &Front<B>,
        candidates: usize,
        evaluate: &impl Fn(&Front<B>, &[Pick]) -> (State<B>, Tensor<B, 4>),
        found: &mut [Chosen],
    ) -> Result<Front<B>, SearchError> {
        let comparisons = self.comparisons(level, group);
        let mut nearest = Nearest::new(group);
        for part in ranges(candidates, self.chunk) {
            let rows = 0..group.prefixes.len();
            let picks: Vec<Pick> = rows
                .flat_map(|row| part.clone().map(move |candidate| (row, candidate)))
                .collect();
            let (state, image) = evaluate(group, &picks);
            let distances = self.measure(&comparisons, image, part.len());
            self.check(level, group, &distances, part.start)?;
            nearest.offer(distances, part.len(), state);
        }
        Ok(nearest.conclude(group, found))
    }

    /// The state and the code from which each pick is evaluated.
    fn prepare(
        &self,
        level: usize,
        group: &Front<B>,
        picks: &[Pick],
    ) -> (State<B>, chimle_nn::LatentCode<B>) {
        let state = group.state.as_ref().expect("a level is still to come");
        let rows = indices(picks.iter().map(|&(row, _)| row), &state.device());
        let state = state.select(rows);
        let code = self.draw(level, group, picks, &state);
        (state, code)
    }

    fn draw(
        &self,
        level: usize,
        group: &Front<B>,
        picks: &[Pick],
        state: &State<B>,
    ) -> chimle_nn::LatentCode<B> {
        let size = state.code_size().expect("a level is still to come");
        let rows: Vec<(usize, usize)> = picks
            .iter()
            .map(|&(row, candidate)| (self.first + group.prefixes[row].input, candidate))
            .collect();
        self.pool.draw(level, &rows, size, &state.device())
    }

    /// The features with which a group's candidates are compared: first those of every prefix's
    /// first observed output, then of the second ones, and so on.
    fn comparisons(&self, level: usize, group: &Front<B>) -> Vec<Comparison<B>> {
        let features = &self.target.levels()[level];
        let device = features.0[0].device();
        let most = group.prefixes.iter().map(|prefix| prefix.outputs.len());
        (0..most.max().unwrap_or(0))
            .map(|place| {
                let has_one = |row: &usize| group.prefixes[*row].outputs.len() > place;
                let rows: Vec<usize> = (0..group.prefixes.len()).filter(has_one).collect();
                let outputs = rows.iter().map(|&row| group.prefixes[row].outputs[place]);
                let target = features.select(indices(outputs, &device));
                let all = rows.len() == group.prefixes.len();
                Comparison { rows, all, target }
            })
            .collect()
    }

    /// The distance of each candidate's image to each observed output of its prefix: a pool of
    /// `count` for each, by prefix and place. NaN for an image that is not finite.
    fn measure(
        &self,
        comparisons: &[Comparison<B>],
        image: Tensor<B, 4>,
        count: usize,
    ) -> Vec<Vec<Vec<f32>>> {
        let diverged = diverged(&image);
        let prefixes = image.dims()[0] / count;
        let rgb = shown_to_rgb(self.generator.config().architecture, image);
        let features = self.distance.features(rgb);
        let measured = comparisons.iter().map(|comparison| {
            let (features, diverged) = if comparison.all {
                (features.clone(), diverged.clone())
            } else {
                let rows = comparison.rows.iter();
                let candidates = rows.flat_map(|&row| row * count..(row + 1) * count);
                let candidates = indices(candidates, &diverged.device());
                (
                    features.select(candidates.clone()),
                    diverged.clone().select(0, candidates),
                )
            };
            self.distance
                .compare(&features, &comparison.target)
                .mask_fill(diverged, f32::NAN)
        });
        // Read back once.
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
        group: &Front<B>,
        distances: &[Vec<Vec<f32>>],
        first_candidate: usize,
    ) -> Result<(), SearchError> {
        for (row, pools) in distances.iter().enumerate() {
            for pool in pools {
                if let Some(at) = pool.iter().position(|distance| !distance.is_finite()) {
                    let candidate = first_candidate + at;
                    return Err(self.not_finite(level, group, row, candidate, pool[at]));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn not_finite(
        &self,
        level: usize,
        group: &Front<B>,
        row: usize,
        candidate: usize,
        value: f32,
    ) -> SearchError {
        SearchError::NotFinite {
            example: self.first + group.prefixes[row].input,
            level: level + 1,
            candidate,
            value,
        }
    }
}

/// Observed outputs, at most one for each prefix of a group.
struct Comparison<B: Kernels> {
    /// The prefixes that have one.
    rows: Vec<usize>,
    /// Whether these are all.
    all: bool,
    /// Of the observed outputs.
    target: Features<B>,
}

impl<B: Kernels> Front<B> {
    /// Nothing chosen yet: one prefix for each input that has an observed output.
    fn new(start: State<B>, inputs: &[usize]) -> Self {
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
        let rows = indices(prefixes.iter().map(|prefix| prefix.input), &start.device());
        Self {
            state: Some(start.select(rows)),
            prefixes,
        }
    }

    fn narrow(&self, rows: Range<usize>) -> Self {
        let state = self.state.as_ref();
        Self {
            state: state.map(|state| state.narrow(rows.start, rows.len())),
            prefixes: self.prefixes[rows].to_vec(),
        }
    }

    fn cat(parts: Vec<Self>) -> Self {
        let (states, prefixes): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .map(|part| (part.state, part.prefixes))
            .unzip();
        let states: Option<Vec<State<B>>> = states.into_iter().collect();
        Self {
            state: states.filter(|states| !states.is_empty()).map(State::cat),
            prefixes: prefixes.concat(),
        }
    }
}

/// The nearest candidate so far of each observed output of a group, and the states these lead to.
struct Nearest<B: Kernels> {
    best: Vec<Best>,
    /// Distinct states, as several may have chosen alike.
    state: Option<State<B>>,
}

struct Best {
    output: usize,
    /// Its prefix in the group.
    row: usize,
    /// The distances of its candidates seen so far.
    distances: Vec<f32>,
    candidate: usize,
    /// The row of the kept state that it leads to.
    kept: usize,
}

impl<B: Kernels> Nearest<B> {
    fn new(group: &Front<B>) -> Self {
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
        }
    }

    /// Compares `count` more candidates of each prefix, which lead to the rows of `state`; of equals
    /// the first stays.
    fn offer(&mut self, distances: Vec<Vec<Vec<f32>>>, count: usize, state: State<B>) {
        let kept = self.state.as_ref().map_or(0, State::batch);
        for (best, pool) in self.best.iter_mut().zip(distances.into_iter().flatten()) {
            let seen = best.distances.len();
            let nearest = (0..count).fold(0, |a, b| if pool[b] < pool[a] { b } else { a });
            if seen == 0 || pool[nearest] < best.distances[best.candidate] {
                best.candidate = seen + nearest;
                // Rows of the states kept so far come first, then those of `state`.
                best.kept = kept + best.row * count + nearest;
            }
            best.distances.extend(pool);
        }
        if state.code_size().is_none() {
            return; // Nothing continues from here.
        }
        let mut distinct: Vec<usize> = Vec::new();
        for best in &mut self.best {
            let place = distinct.iter().position(|&row| row == best.kept);
            best.kept = match place {
                Some(place) => place,
                None => {
                    distinct.push(best.kept);
                    distinct.len() - 1
                }
            };
        }
        let all = State::cat(self.state.take().into_iter().chain([state]).collect());
        let rows = indices(distinct.into_iter(), &all.device());
        self.state = Some(all.select(rows));
    }

    /// Notes what was chosen, and goes on from the states chosen.
    fn conclude(self, group: &Front<B>, found: &mut [Chosen]) -> Front<B> {
        let mut prefixes: Vec<Prefix> = Vec::new();
        for best in self.best {
            found[best.output].candidates.push(best.candidate);
            found[best.output].distances.push(best.distances);
            if self.state.is_none() {
                continue;
            }
            if best.kept == prefixes.len() {
                let input = group.prefixes[best.row].input;
                prefixes.push(Prefix {
                    input,
                    outputs: Vec::new(),
                });
            }
            prefixes[best.kept].outputs.push(best.output);
        }
        Front {
            state: self.state,
            prefixes,
        }
    }
}

pub(crate) fn indices<B: Kernels>(
    rows: impl Iterator<Item = usize>,
    device: &B::Device,
) -> Tensor<B, 1, Int> {
    let rows: Vec<i64> = rows.map(|row| row as i64).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}

/// `0..len` in pieces of at most `size`.
pub(crate) fn ranges(len: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len)
        .step_by(size)
        .map(move |start| start..(start + size).min(len))
}
