//! What an evaluation keeps to be looked at.

use burn::tensor::{Tensor, backend::Backend};
use chimle_data::{Example, Planes, planes_from_tensor};
use image::RgbImage;

/// An input, and the samples for it that were measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// What the data set calls it.
    pub name: String,
    /// The input as a picture, of the size that the model saw.
    pub input: RgbImage,
    /// The true outputs: all that are known of a procedural scene, those observed of other inputs.
    pub truths: Vec<RgbImage>,
    /// The samples, in the order drawn.
    pub samples: Vec<RgbImage>,
}

/// The first few inputs of an evaluation. Observed outputs of one input follow each other, and
/// are one of these.
pub(super) struct Keeper {
    most: usize,
    last: Option<Vec<Planes>>,
    kept: Vec<Kept>,
}

impl Keeper {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            last: None,
            kept: Vec::new(),
        }
    }

    /// `images` are the samples for the example's input, `[samples, 3, h, w]`.
    pub(super) fn push<B: Backend>(&mut self, example: &Example, images: &Tensor<B, 4>) {
        let truths = example.truths().iter().map(Planes::to_rgb);
        if self.last.as_ref() == Some(&example.conditioning) {
            if let Some(same) = self.kept.last_mut() {
                same.truths.extend(truths);
            }
            return;
        }
        if self.kept.len() == self.most {
            self.last = None;
            return;
        }
        self.last = Some(example.conditioning.clone());
        self.kept.push(Kept {
            name: example.name.clone(),
            input: example.input_picture().to_rgb(),
            truths: truths.collect(),
            samples: planes_from_tensor(images.clone())
                .iter()
                .map(Planes::to_rgb)
                .collect(),
        });
    }

    pub(super) fn finish(self) -> Vec<Kept> {
        self.kept
    }
}
