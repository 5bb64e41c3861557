//! The events of a run. They are the lines of its `log.jsonl`, and a program can show them while the run trains.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::not_finite;

/// An event of a run. Its JSON is one line of `log.jsonl`. JSON has neither NaN nor infinity, so they are
/// written as `null` and read as NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A run was started or resumed.
    Started {
        /// The number of steps already done.
        step: u64,
        /// The total number of steps.
        steps: u64,
        /// The number of examples to train on.
        examples: usize,
        /// The number of held-out examples.
        held_out: usize,
        /// The number of files that were skipped because they cannot be turned into examples.
        skipped: usize,
        /// The number of parameters of the generator.
        parameters: usize,
    },
    /// A file was skipped because it cannot be used.
    Skipped {
        /// The name of the file.
        name: String,
        /// The reason.
        reason: String,
    },
    /// The search has finished some of its examples. This event is not written to the log.
    Searching {
        /// The number of examples searched so far.
        done: usize,
        /// The number of examples in the round.
        total: usize,
    },
    /// A search is complete.
    Searched {
        /// The number of steps done before the search.
        step: u64,
        /// The index of the round, from 0.
        round: u64,
        /// The number of examples searched.
        examples: usize,
        /// The mean distance of the chosen candidates, at each level compared.
        #[serde(deserialize_with = "not_finite::list")]
        chosen: Vec<f32>,
        /// The mean distance of all candidates, at each level compared.
        #[serde(deserialize_with = "not_finite::list")]
        pool: Vec<f32>,
        /// The duration of the search in seconds.
        #[serde(deserialize_with = "not_finite::number")]
        seconds: f64,
    },
    /// A step of training is done.
    Step {
        /// The step, from 1.
        step: u64,
        /// The mean loss of the batch.
        #[serde(deserialize_with = "not_finite::number")]
        loss: f32,
        /// The terms of the loss, by level.
        #[serde(deserialize_with = "not_finite::list")]
        levels: Vec<f32>,
        /// The learning rate of Adam at this step.
        #[serde(deserialize_with = "not_finite::number")]
        learning_rate: f64,
        /// The duration of the step in seconds.
        #[serde(deserialize_with = "not_finite::number")]
        seconds: f64,
    },
    /// The held-out examples were sampled and measured.
    Validated {
        /// The number of steps done before the validation.
        step: u64,
        /// The number of samples for each example.
        samples: usize,
        /// The mean over examples of the nearest sample's distance to the true image.
        #[serde(deserialize_with = "not_finite::number")]
        best: f64,
        /// The mean over examples and samples of the distance to the true image.
        #[serde(deserialize_with = "not_finite::number")]
        mean: f64,
        /// The mean distance between samples of one example.
        #[serde(deserialize_with = "not_finite::number")]
        diversity: f64,
        /// The mean number of known outputs that are the nearest known output of some sample. Only for
        /// procedural scenes.
        modes: Option<f64>,
        /// The similarity of the set of all samples and the set of true images.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sets: Option<SetValues>,
    },
    /// A problem occurred that does not stop the run, such as a damaged checkpoint that is replaced by an
    /// older one.
    Warning {
        /// The problem, in one line that names the file.
        message: String,
    },
    /// A checkpoint was written to the disk.
    Saved {
        /// The number of steps done before the checkpoint.
        step: u64,
        /// The folder of the checkpoint.
        #[serde(with = "crate::path_text")]
        path: PathBuf,
    },
    /// Training ended because the schedule is complete or because it was stopped.
    Finished {
        /// The number of steps done.
        step: u64,
        /// The time in seconds since the run was started or resumed.
        #[serde(deserialize_with = "not_finite::number")]
        seconds: f64,
    },
}

/// Measures of a validation that compare all samples with all true images, on features of VGG16.
///
/// They are computed if the distance of the run has the weights of VGG16 and there are at least 50 held-out
/// examples. Such small sets bias these measures, so compare them only within one run.
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
    /// Returns the step that the event belongs to, if the event is a part of training.
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

/// A receiver of the events of a run.
pub trait Observer {
    /// Receives an event. A run calls this function when the event happens.
    fn notice(&mut self, event: &Event);
}

/// An observer that ignores all events.
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
