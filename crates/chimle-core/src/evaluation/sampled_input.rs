//! The inputs of an evaluation whose samples are kept for inspection.

use chimle_data::{Example, InputId, Planes, TaskHandle};
use image::RgbImage;

/// An input with the samples that were measured for it.
#[derive(Clone, Debug, PartialEq)]
pub struct SampledInput {
    /// The name of the input in the data set.
    pub name: String,
    /// The input as a picture, at the size that the model was given.
    pub input: RgbImage,
    /// The true outputs. For a procedural scene these are all known outputs, and for other inputs the
    /// observed outputs.
    pub truths: Vec<RgbImage>,
    /// The samples, in the order in which they were drawn.
    pub samples: Vec<RgbImage>,
}

/// A collector of the first inputs of an evaluation. Consecutive examples with the same input are kept as one
/// input with several true outputs.
pub(super) struct Keeper {
    most: usize,
    task: TaskHandle,
    last: Option<InputId>,
    kept: Vec<SampledInput>,
}

impl Keeper {
    pub(super) fn new(most: usize, task: TaskHandle) -> Self {
        Self {
            most,
            task,
            last: None,
            kept: Vec::new(),
        }
    }

    /// Adds an example and the samples for its input.
    pub(super) fn push(&mut self, example: &Example, samples: &[Planes]) {
        let truths = example.truths().iter().map(Planes::to_rgb);
        if self.last == Some(example.input) {
            if let Some(same) = self.kept.last_mut() {
                same.truths.extend(truths);
            }
            return;
        }
        if self.kept.len() == self.most {
            self.last = None;
            return;
        }
        self.last = Some(example.input);
        self.kept.push(SampledInput {
            name: example.name.clone(),
            input: self.task.picture_of_input(&example.conditioning).to_rgb(),
            truths: truths.collect(),
            samples: samples.iter().map(Planes::to_rgb).collect(),
        });
    }

    pub(super) fn finish(self) -> Vec<SampledInput> {
        self.kept
    }
}
