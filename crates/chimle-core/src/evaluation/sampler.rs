//! Drawing samples from a model for one input after another.

use burn::tensor::backend::Backend;
use chimle_data::{Batch, Example, Planes, Sizes, planes_from_tensor};
use chimle_imle::{Candidate, CodePool, ExampleId, SeededPool};

use crate::error::Error;
use crate::generator::ImageGenerator;
use crate::model::{Model, draw};

/// A model with the settings for drawing samples of one input after another.
pub(super) struct Sampler<'a, B: Backend, G> {
    pub(super) model: &'a Model<B, G>,
    pub(super) pool: &'a SeededPool,
    pub(super) sizes: Sizes,
    pub(super) samples: usize,
}

impl<B: Backend, G: ImageGenerator<B>> Sampler<'_, B, G> {
    /// Draws the samples for an example's input, as many at once as fit into memory, and returns them as
    /// pictures.
    pub(super) fn draw(&self, example: &Example) -> Result<Vec<Planes>, Error> {
        let device = self.model.device();
        let task = self.model.task();
        let batch = Batch::<B>::collate(&[example], device);
        let (height, width) = self.sizes.output();
        let mut pictures = Vec::new();
        while pictures.len() < self.samples {
            let done = pictures.len();
            let shown: Vec<Planes> = self.model.at_once(height, width, |rows| {
                let part = done..(done + rows).min(self.samples);
                let candidates: Vec<Candidate> = part
                    .map(|index| Candidate {
                        example: ExampleId(example.input.0),
                        index,
                    })
                    .collect();
                let output = draw(self.model.generator(), &batch.conditioning, |level, len| {
                    self.pool.draw(level, &candidates, len, device)
                });
                let outputs = planes_from_tensor(output).into_iter();
                Ok(outputs
                    .map(|output| task.show(&example.conditioning, output))
                    .collect())
            })?;
            pictures.extend(shown);
        }
        Ok(pictures)
    }
}
