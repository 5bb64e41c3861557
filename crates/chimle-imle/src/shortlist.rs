//! The choice of the nearest candidate from a shortlist that random projections of features give.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use chimle_knn::{NearestNeighbors, Points, PrioritizedDci, RandomProjection};

use crate::choice::{Front, Pick, Prefix, Run, ranges};
use crate::chosen::Chosen;
use crate::code::CodePool;
use crate::distance::Distance;
use crate::error::SearchError;
use crate::generator::{Output, StagedGenerator};
use crate::nearest;
use crate::neighbors::{Neighbors, Shortlist};
use crate::rows::{Rows, Selection};

/// The random directions of one level, and the level's targets projected onto them.
pub(crate) struct Projection<B: Backend> {
    /// The number of candidates measured per observed output.
    measured: usize,
    /// `[features, directions]`
    directions: Tensor<B, 2>,
    /// `[observed outputs, directions]`
    targets: Tensor<B, 2>,
}

/// An observed output of a group, and the candidates that are to be measured for it.
struct Listed {
    output: usize,
    /// The prefix of the observed output in the group.
    row: usize,
    /// In ascending order, so the first of equal candidates is chosen.
    candidates: Vec<usize>,
}

impl<B, G, D, P> Run<'_, B, G, D, P>
where
    B: Backend,
    G: StagedGenerator<B>,
    D: Distance<B, Output = G::Output>,
    P: CodePool<B>,
{
    /// Draws the directions for the features of `level`, and projects the targets onto them.
    pub(crate) fn projection(
        &self,
        level: usize,
        shortlist: &Shortlist,
    ) -> Result<Projection<B>, SearchError> {
        let targets = self.embed(&self.target.levels()[level])?;
        let dimension = targets.dims()[1];
        let drawn = RandomProjection::new(dimension, shortlist.directions, shortlist.seed)?;
        let directions = TensorData::new(
            drawn.directions().to_vec(),
            [shortlist.directions, dimension],
        );
        let directions: Tensor<B, 2> = Tensor::from_data(directions, &targets.device()).transpose();
        Ok(Projection {
            measured: shortlist.measured,
            targets: targets.matmul(directions.clone()),
            directions,
        })
    }

    /// Shortlists candidates of `level` for each observed output of a group, and records the
    /// nearest of them.
    pub(crate) fn level_by_shortlist(
        &self,
        level: usize,
        group: &Front<G::State>,
        candidates: usize,
        projection: &Projection<B>,
        evaluate: &impl Fn(&Front<G::State>, &[Pick]) -> (G::State, G::Output),
        found: &mut [Chosen],
    ) -> Result<Front<G::State>, SearchError> {
        let all_listed = self.list(level, group, candidates, projection, evaluate)?;
        let measured = projection.measured.min(candidates);
        let mut kept: Vec<G::State> = Vec::new();
        let mut chosen: Vec<Pick> = Vec::new();
        let mut prefixes: Vec<Prefix> = Vec::new();
        for part in ranges(all_listed.len(), (self.chunks[level] / measured).max(1)) {
            let listed = &all_listed[part];
            let (state, distances) = self.measure_listed(level, group, listed, evaluate);
            let mut continued = Vec::new(); // Rows of `state` that the search continues from.
            for (k, (one, distances)) in listed.iter().zip(distances.chunks(measured)).enumerate() {
                if let Some(at) = distances.iter().position(|distance| !distance.is_finite()) {
                    let pick = one.pick(one.candidates[at]);
                    return Err(self.not_finite(level, group, pick, distances[at]));
                }
                let nearest =
                    (0..measured).fold(0, |a, b| if distances[b] < distances[a] { b } else { a });
                let pick = one.pick(one.candidates[nearest]);
                let mut pool = vec![f32::NAN; candidates];
                for (&candidate, &distance) in one.candidates.iter().zip(distances) {
                    pool[candidate] = distance;
                }
                found[one.output].candidates.push(pick.candidate);
                found[one.output].distances.push(pool);

                if let Some(known) = chosen.iter().position(|known| *known == pick) {
                    prefixes[known].outputs.push(one.output);
                } else {
                    chosen.push(pick);
                    continued.push(k * measured + nearest);
                    prefixes.push(Prefix {
                        input: group.prefixes[one.row].input,
                        outputs: vec![one.output],
                    });
                }
            }
            if !self.is_last(level) && !continued.is_empty() {
                kept.push(state.select_rows(&Selection::indices(continued)));
            }
        }
        Ok(Front {
            state: (!kept.is_empty()).then(|| G::State::concat(kept)),
            prefixes,
        })
    }

    /// Evaluates the shortlisted candidates a second time. Returns the states that they lead to and
    /// their true distances.
    fn measure_listed(
        &self,
        level: usize,
        group: &Front<G::State>,
        listed: &[Listed],
        evaluate: &impl Fn(&Front<G::State>, &[Pick]) -> (G::State, G::Output),
    ) -> (G::State, Vec<f32>) {
        let picks: Vec<Pick> = listed
            .iter()
            .flat_map(|one| one.candidates.iter().map(|&candidate| one.pick(candidate)))
            .collect();
        let (state, output) = evaluate(group, &picks);
        let nan = output.has_nan();
        let outputs = Selection::indices(listed.iter().map(|one| one.output));
        let target = self.target.levels()[level].select_rows(&outputs);
        let distances = self
            .distance
            .distance(output, &target)
            .mask_fill(nan, f32::NAN);
        (state, distances.into_data().iter::<f32>().collect())
    }

    /// Returns the shortlist of each observed output of a group.
    fn list(
        &self,
        level: usize,
        group: &Front<G::State>,
        candidates: usize,
        projection: &Projection<B>,
        evaluate: &impl Fn(&Front<G::State>, &[Pick]) -> (G::State, G::Output),
    ) -> Result<Vec<Listed>, SearchError> {
        let mut listed = Vec::new();
        for (row, prefix) in group.prefixes.iter().enumerate() {
            let mut points = Vec::new();
            for part in ranges(candidates, self.chunks[level]) {
                let first = part.start;
                let picks: Vec<Pick> = part.map(|candidate| Pick { row, candidate }).collect();
                let (_, output) = evaluate(group, &picks);
                let nan: Vec<bool> = output.has_nan().into_data().iter::<bool>().collect();
                if let Some(at) = nan.iter().position(|&nan| nan) {
                    let candidate = first + at;
                    let pick = Pick { row, candidate };
                    return Err(self.not_finite(level, group, pick, f32::NAN));
                }
                let features = self.embed(&self.distance.features(output))?;
                points.push(features.matmul(projection.directions.clone()));
            }
            let points = Tensor::concat(points);
            let outputs = Selection::indices(prefix.outputs.iter().copied());
            let queries = projection.targets.select_rows(&outputs);
            let lists = self.shortlist(points, queries, projection.measured.min(candidates))?;
            let outputs = prefix.outputs.iter().zip(lists);
            listed.extend(outputs.map(|(&output, mut candidates)| {
                candidates.sort_unstable();
                Listed {
                    output,
                    row,
                    candidates,
                }
            }));
        }
        Ok(listed)
    }

    /// Returns the indices of the `count` nearest of `points` to each of `queries`, both `[_,
    /// directions]`.
    fn shortlist(
        &self,
        points: Tensor<B, 2>,
        queries: Tensor<B, 2>,
        count: usize,
    ) -> Result<Vec<Vec<usize>>, SearchError> {
        let Neighbors::PrioritizedDci { index, .. } = self.neighbors else {
            let (found, _) = nearest(points, queries, count);
            let found: Vec<usize> = found
                .into_data()
                .iter::<i64>()
                .map(|index| index as usize)
                .collect();
            return Ok(found.chunks(count).map(<[usize]>::to_vec).collect());
        };
        let directions = points.dims()[1];
        let [points, queries]: [Vec<f32>; 2] =
            [points, queries].map(|rows| rows.into_data().iter::<f32>().collect());
        let dci = PrioritizedDci::new(Points::new(&points, directions)?, index)?;
        let found = dci.query_many(Points::new(&queries, directions)?, count)?;
        Ok(found
            .into_iter()
            .map(|list| list.into_iter().map(|neighbor| neighbor.index).collect())
            .collect())
    }

    fn embed(&self, features: &D::Features) -> Result<Tensor<B, 2>, SearchError> {
        self.distance
            .embed(features)
            .ok_or(SearchError::NotEuclidean)
    }
}

impl Listed {
    fn pick(&self, candidate: usize) -> Pick {
        let row = self.row;
        Pick { row, candidate }
    }
}
