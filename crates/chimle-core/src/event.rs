//! What a run reports: the lines of its `log.jsonl`, and what a program shows while it goes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::not_finite;

/// Something that happened in a run. Its JSON is one line of `log.jsonl`. JSON has no NaN and no
/// infinity: they are written as `null`, and read as NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A run begins, anew or from a checkpoint.
    Started {
        /// Steps done before.
        step: u64,
        /// Steps in all.
        steps: u64,
        /// Examples to train on.
        examples: usize,
        /// Examples held out.
        held_out: usize,
        /// Files passed over because no example can be made of them.
        skipped: usize,
        /// Parameters of the generator.
        parameters: usize,
    },
    /// A file could not be used.
    Skipped {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The search has worked through some of its examples. Not written to the log.
    Searching {
        /// Examples searched.
        done: usize,
        /// Examples in the round.
        total: usize,
    },
    /// A search is complete.
    Searched {
        /// The step before which it was made.
        step: u64,
        /// The search, from 0.
        round: u64,
        /// Examples searched.
        examples: usize,
        /// Mean distance of the chosen codes, at each level compared.
        #[serde(deserialize_with = "not_finite::list")]
        chosen: Vec<f32>,
        /// Mean distance of all candidates, at each level compared.
        #[serde(deserialize_with = "not_finite::list")]
        pool: Vec<f32>,
        /// Seconds it took.
        #[serde(deserialize_with = "not_finite::number")]
        seconds: f64,
    },
    /// A step of training.
    Step {
        /// The step, from 1.
        step: u64,
        /// Mean loss of the batch.
        #[serde(deserialize_with = "not_finite::number")]
        loss: f32,
        /// Its terms, by level.
        #[serde(deserialize_with = "not_finite::list")]
        levels: Vec<f32>,
        /// Adam's learning rate at this step.
        #[serde(deserialize_with = "not_finite::number")]
        learning_rate: f64,
        /// Seconds it took.
        #[serde(deserialize_with = "not_finite::number")]
        seconds: f64,
    },
    /// The held-out examples were sampled.
    Validated {
        /// The step after which it was done.
        step: u64,
        /// Samples for each example.
        samples: usize,
        /// Mean over examples of the nearest sample's distance to the truth.
        #[serde(deserialize_with = "not_finite::number")]
        best: f64,
        /// Mean over examples and samples of the distance to the truth.
        #[serde(deserialize_with = "not_finite::number")]
        mean: f64,
        /// Mean distance between samples of one example.
        #[serde(deserialize_with = "not_finite::number")]
        diversity: f64,
        /// Procedural set: mean number of known outputs that are some sample's nearest.
        modes: Option<f64>,
        /// How similar the set of all samples is to the set of true images.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sets: Option<SetValues>,
    },
    /// Something is wrong that does not stop the run, such as a damaged checkpoint of which an older
    /// one takes the place.
    Warning {
        /// What, in one line that names the file.
        message: String,
    },
    /// A checkpoint is on the disk.
    Saved {
        /// The step after which it was made.
        step: u64,
        /// Its folder.
        #[serde(with = "crate::path_text")]
        path: PathBuf,
    },
    /// The run is complete, or its time is up.
    Finished {
        /// Steps done.
        step: u64,
        /// Seconds since it was started or resumed.
        #[serde(deserialize_with = "not_finite::number")]
        seconds: f64,
    },
}

/// Measures of a validation that compare all samples with all true images, on features of VGG16.
///
/// They are taken if the distance of the run has the weights of VGG16 and there are at least 50
/// held-out inputs. So few images bias them: compare them within one run only.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetValues {
    /// The Frechet distance; lower is better.
    #[serde(deserialize_with = "not_finite::number")]
    pub frechet: f64,
    /// The kernel distance (KID); lower is better.
    #[serde(deserialize_with = "not_finite::number")]
    pub kernel: f64,
    /// The fraction of samples that lie near true images.
    #[serde(deserialize_with = "not_finite::number")]
    pub precision: f64,
    /// The fraction of true images that lie near samples.
    #[serde(deserialize_with = "not_finite::number")]
    pub recall: f64,
}

impl Event {
    /// The step it belongs to, if it is part of the training.
    pub(crate) fn step(&self) -> Option<u64> {
        match *self {
            Self::Searched { step, .. }
            | Self::Step { step, .. }
            | Self::Validated { step, .. }
            | Self::Saved { step, .. } => Some(step),
            Self::Started { .. }
            | Self::Skipped { .. }
            | Self::Warning { .. }
            | Self::Searching { .. }
            | Self::Finished { .. } => None,
        }
    }
}

/// Shown what happens in a run.
pub trait Observer {
    /// Called as it happens.
    fn notice(&mut self, event: &Event);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn notice(&mut self, _: &Event) {}
}

impl<F: FnMut(&Event)> Observer for F {
    fn notice(&mut self, event: &Event) {
        self(event);
    }
}
