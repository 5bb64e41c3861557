//! The settings of the search and of the schedule.

use chimle_imle::{Neighbors, Objective, Strategy};
use chimle_nn::Precision;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The latent search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    /// Hierarchical (CHIMLE) with a pool per level, or flat (cIMLE).
    pub strategy: Strategy,
    /// The largest number of candidates evaluated in one batch. If memory is short, batches are smaller.
    pub chunk: usize,
    /// How the nearest candidate of a pool is found. The default is the exact search.
    #[serde(default)]
    pub neighbors: Neighbors,
    /// For each level, the number of consecutive candidates that share the global part of their codes; see
    /// [`GroupedPool`](chimle_imle::GroupedPool). The default is empty: then every candidate has its own
    /// global part and its own local part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locals: Vec<usize>,
}

/// The schedule of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// The total number of steps. If `passes` is set, the number is computed from `passes` and the size of
    /// the data set, and this field is ignored.
    pub steps: u64,
    /// The number of passes over the data. A pass has one search and `steps_per_search` steps for each
    /// round. (The authors' release: 20.) If it is absent, `steps` is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passes: Option<u64>,
    /// The number of inputs in a round. The inputs of a round are drawn and searched together, each with
    /// all its observed outputs, and then trained on. (The authors' release: 400.) The last round of a
    /// pass over the data has the remaining inputs.
    #[serde(alias = "share")]
    pub round: usize,
    /// The number of steps between two searches. The chosen codes are held fixed during these steps. (The
    /// authors' release: 10,000.)
    pub steps_per_search: u64,
    /// The number of examples in a step.
    pub batch: usize,
    /// The number of parts into which a step's examples are divided to save memory. The parts are evaluated
    /// one after the other. The sum of their gradients equals the gradients of the whole batch up to
    /// rounding.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// The order in which the examples of a round make up its batches.
    #[serde(default)]
    pub order: BatchOrder,
    /// The learning rate of Adam.
    pub learning_rate: f64,
    /// The learning rate of the mapping networks as a multiple of `learning_rate`.
    pub mapping_rate: f64,
    /// The steps after which the learning rate is multiplied by `decay`.
    pub milestones: Vec<u64>,
    /// The factor of the learning rate at each milestone.
    pub decay: f64,
    /// The standard deviation of the noise added to the chosen codes at every step. 0 adds no noise.
    pub perturbation: f64,
    /// Which levels contribute to the loss.
    pub objective: Objective,
    /// The decay of an exponential moving average of the weights, at least 0 and below 1. A model of the
    /// run has the averaged weights. Without this field, it has the newest weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<f64>,
    /// The validation measure that decides which model is kept as the best one.
    #[serde(default)]
    pub best_by: Measure,
    /// The number type of the local stream's feature maps: f32 or bf16.
    #[serde(default)]
    pub precision: Precision,
    /// Whether the backward pass recomputes the feature maps of each RRDB instead of keeping them in
    /// memory.
    #[serde(default)]
    pub recompute: bool,
    /// The number of steps between two checkpoints.
    pub checkpoint_every: u64,
    /// The number of steps between two validations.
    pub validate_every: u64,
    /// The number of newest checkpoints that are kept. Older checkpoints are deleted.
    pub keep: usize,
}

/// The largest number of steps of a run, and of every interval counted in steps.
pub(super) const MOST_STEPS: u64 = 1_000_000_000_000;

/// The largest number of examples in a step, and of candidates evaluated at once.
pub(super) const MOST_ROWS: u64 = 1 << 16;

/// The largest number of inputs in a round, of procedural scenes, and of candidates in a pool.
pub(super) const MOST_EXAMPLES: u64 = 10_000_000;

/// Checks that a count is from `least` to `most`.
pub(super) fn check_count(
    field: &'static str,
    count: u64,
    least: u64,
    most: u64,
) -> Result<(), Error> {
    if (least..=most).contains(&count) {
        return Ok(());
    }
    Err(Error::Setting {
        field,
        reason: format!("must be from {least} to {most}, not {count}"),
    })
}

impl SearchConfig {
    /// Checks that all numbers are within their bounds.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        check_count("search.chunk", self.chunk as u64, 1, MOST_ROWS)?;
        let (field, largest) = match &self.strategy {
            Strategy::Hierarchical { pools } => {
                ("search.strategy.hierarchical.pools", pools.iter().max())
            }
            Strategy::Flat { candidates } => ("search.strategy.flat.candidates", Some(candidates)),
        };
        check_count(field, largest.map_or(1, |&n| n as u64), 1, MOST_EXAMPLES)?;
        let refuse = |reason: &str| {
            Err(Error::Setting {
                field: "search.locals",
                reason: reason.to_owned(),
            })
        };
        match &self.strategy {
            _ if self.locals.is_empty() => Ok(()),
            Strategy::Flat { .. } => refuse("can only be used with the hierarchical search"),
            Strategy::Hierarchical { pools } if pools.len() != self.locals.len() => {
                refuse("must have one number per level")
            }
            Strategy::Hierarchical { pools } => {
                let fits = |(&locals, &pool): (&usize, &usize)| (1..=pool).contains(&locals);
                match self.locals.iter().zip(pools).all(fits) {
                    true => Ok(()),
                    false => refuse("must be from 1 to the level's number of candidates"),
                }
            }
        }
    }
}

fn one() -> usize {
    1
}

/// The order in which the examples of a round make up its batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchOrder {
    /// All examples are visited in a random order. Each repetition has a new random order.
    #[default]
    Shuffled,
    /// All examples are visited in the order in which the round drew them. Each repetition has the same
    /// order.
    AsDrawn,
}

/// A measure of the validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The distance from the nearest sample to the true image.
    #[default]
    Best,
    /// The mean distance from the samples to the true image.
    Mean,
    /// The Frechet distance, if it is measured; see [`SetValues`](crate::SetValues).
    Frechet,
}

impl TrainingConfig {
    /// Changes the length of the schedule and scales its milestones. With `steps` 0 the milestones stay as
    /// they are, so the schedule can be made longer again.
    pub fn set_steps(&mut self, steps: u64) {
        if steps > 0 && self.steps > 0 {
            for milestone in &mut self.milestones {
                let scaled = u128::from(*milestone) * u128::from(steps) / u128::from(self.steps);
                *milestone = scaled as u64;
            }
        }
        self.steps = steps;
        self.passes = None;
    }

    /// Computes the number of steps for a data set with `inputs` training inputs: the steps of all
    /// `passes` if that field is set, and `steps` otherwise.
    pub fn steps_for(&self, inputs: usize) -> u64 {
        let Some(passes) = self.passes else {
            return self.steps;
        };
        let rounds = inputs.div_ceil(self.round.max(1)) as u64;
        passes
            .saturating_mul(rounds)
            .saturating_mul(self.steps_per_search)
    }

    /// Returns the learning rate of a step, counted from 0, by multi-step decay.
    pub fn rate_at(&self, step: u64) -> f64 {
        let passed = self
            .milestones
            .iter()
            .filter(|&&milestone| milestone <= step)
            .count();
        self.learning_rate * self.decay.powi(passed as i32)
    }

    /// Checks that all numbers are within their bounds.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.precision == Precision::F16 {
            return Err(Error::Setting {
                field: "training.precision",
                reason: "must be f32 or bf16: gradients are too small for f16".to_owned(),
            });
        }
        // A count above its bound is a mistake. The sum of all bounds fits into 64 bits.
        let counts = [
            ("training.round", self.round as u64, MOST_EXAMPLES),
            (
                "training.steps_per_search",
                self.steps_per_search,
                MOST_STEPS,
            ),
            ("training.batch", self.batch as u64, MOST_ROWS),
            ("training.accumulate", self.accumulate as u64, MOST_ROWS),
            ("training.passes", self.passes.unwrap_or(1), MOST_STEPS),
            (
                "training.checkpoint_every",
                self.checkpoint_every,
                MOST_STEPS,
            ),
            ("training.validate_every", self.validate_every, MOST_STEPS),
            ("training.keep", self.keep as u64, MOST_STEPS),
        ];
        for (field, count, most) in counts {
            check_count(field, count, 1, most)?;
        }
        check_count("training.steps", self.steps, 0, MOST_STEPS)?;
        let numbers = [
            (
                "training.learning_rate",
                self.learning_rate,
                f64::MIN_POSITIVE,
            ),
            ("training.mapping_rate", self.mapping_rate, 0.0),
            ("training.decay", self.decay, f64::MIN_POSITIVE),
            ("training.perturbation", self.perturbation, 0.0),
        ];
        if self.accumulate > self.batch {
            return Err(Error::Setting {
                field: "training.accumulate",
                reason: format!("must be at most the batch size, {}", self.batch),
            });
        }
        if let Some(decay) = self.average.filter(|decay| !(0.0..1.0).contains(decay)) {
            return Err(Error::Setting {
                field: "training.average",
                reason: format!("must be at least 0 and below 1, not {decay}"),
            });
        }
        for (field, value, least) in numbers {
            if !(value.is_finite() && value >= least) {
                let needed = if least > 0.0 { "above 0" } else { "0 or more" };
                return Err(Error::Setting {
                    field,
                    reason: format!("must be {needed}, not {value}"),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chimle_data::Colorization;
    use chimle_nn::Preset;

    use super::*;
    use crate::RunConfig;

    fn schedule() -> TrainingConfig {
        RunConfig::new(Colorization, Preset::Tiny).training
    }

    #[test]
    fn the_learning_rate_falls_at_the_same_parts_of_a_schedule_of_any_length() {
        let mut training = schedule();
        let parts = |t: &TrainingConfig| -> Vec<f64> {
            let parts = t.milestones.iter().map(|&m| m as f64 / t.steps as f64);
            parts.collect()
        };
        let before = parts(&training);
        training.set_steps(500_000);
        assert_eq!(training.steps, 500_000);
        assert_eq!(parts(&training), before);
    }

    #[test]
    fn a_schedule_of_no_steps_does_not_forget_when_the_rate_falls() {
        let mut training = schedule();
        let milestones = training.milestones.clone();
        training.set_steps(0);
        training.set_steps(100);
        assert_eq!((training.steps, training.milestones), (100, milestones));
    }

    #[test]
    fn the_paper_preset_is_the_schedule_of_the_release() {
        let training = RunConfig::new(Colorization, Preset::Paper).training;
        // 20 passes of ceil(N / 400) rounds of 10,000 steps, without decay of the rate.
        assert_eq!(training.steps_for(1), 200_000);
        assert_eq!(training.steps_for(400), 200_000);
        assert_eq!(training.steps_for(401), 400_000);
        assert_eq!(training.steps_for(2600), 20 * 7 * 10_000);
        for step in [0, 100_000, 10_000_000] {
            assert_eq!(training.rate_at(step), 1e-4);
        }
        assert_eq!((training.batch, training.mapping_rate), (1, 0.01));
        assert_eq!(training.average, None);
    }

    #[test]
    fn the_learning_rate_is_multiplied_at_each_milestone() {
        let mut training = schedule();
        training.learning_rate = 0.8;
        training.decay = 0.5;
        training.milestones = vec![10, 20];
        let rates = [0, 9, 10, 19, 20, 1000].map(|step| training.rate_at(step));
        assert_eq!(rates, [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]);
    }
}
