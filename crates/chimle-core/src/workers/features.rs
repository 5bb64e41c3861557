//! A cache for the features of a round's targets, so that each is computed only once.

use std::collections::HashMap;

use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use chimle_imle::{Distance, Rows, Selection, Target};

use crate::generator::TrainableDistance;
use crate::round::Step;

/// The features of one batch of outputs at one level.
type FeaturesOf<B, D> = <<D as TrainableDistance<B>>::Evaluated as Distance<
    <B as AutodiffBackend>::InnerBackend,
>>::Features;

/// The features of the targets of one round. A batch of the round takes its rows from this cache.
pub(super) struct FeatureCache<B: AutodiffBackend, D: TrainableDistance<B>> {
    round: Option<u64>,
    keeps: bool,
    /// For each place in the round's drawing, the features at every level, as one row per level.
    rows: HashMap<usize, Vec<FeaturesOf<B, D>>>,
}

impl<B: AutodiffBackend, D: TrainableDistance<B>> Default for FeatureCache<B, D> {
    fn default() -> Self {
        Self {
            round: None,
            keeps: false,
            rows: HashMap::new(),
        }
    }
}

impl<B: AutodiffBackend, D: TrainableDistance<B>> FeatureCache<B, D> {
    /// Prepares the cache for the examples of a round, and drops the features of other rounds.
    pub(super) fn begin(&mut self, round: u64, keeps: bool) {
        if self.round != Some(round) || self.keeps != keeps {
            self.rows.clear();
            self.round = Some(round);
            self.keeps = keeps;
        }
    }

    /// Returns the features of the targets of the given examples.
    pub(super) fn target(
        &mut self,
        examples: &Step<'_>,
        distance: &D,
        device: &B::Device,
    ) -> Target<FeaturesOf<B, D>> {
        let distance = TrainableDistance::evaluated(distance);
        let compute = |examples: &Step<'_>| -> Vec<FeaturesOf<B, D>> {
            let targets: Vec<Tensor<B::InnerBackend, 4>> = examples.targets(device);
            let targets = targets.into_iter();
            targets.map(|target| distance.features(target)).collect()
        };
        let places = examples.places();
        let inputs = (0..places.len()).collect();
        if !self.keeps {
            return Target::of_features::<B::InnerBackend>(compute(examples), inputs);
        }
        let mut missing: Vec<usize> = (0..places.len())
            .filter(|&row| !self.rows.contains_key(&places[row]))
            .collect();
        missing.sort_unstable_by_key(|&row| places[row]);
        missing.dedup_by_key(|row| places[*row]);
        if !missing.is_empty() {
            let levels = compute(&examples.selected(&missing));
            for (index, &row) in missing.iter().enumerate() {
                let row_of = |level: &FeaturesOf<B, D>| {
                    level.select_rows(&Selection::range(index..index + 1))
                };
                let rows = levels.iter().map(row_of).collect();
                self.rows.insert(places[row], rows);
            }
        }
        let levels = self.rows[&places[0]].len();
        let levels = (0..levels).map(|level| {
            let rows = places.iter().map(|place| self.rows[place][level].clone());
            Rows::concat(rows.collect())
        });
        Target::of_features::<B::InnerBackend>(levels.collect(), inputs)
    }
}
