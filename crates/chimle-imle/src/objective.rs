//! The training loss: the distance of the chosen codes' images to the truth.

use burn::tensor::{Tensor, backend::Backend};
use chimle_nn::{Architecture, Generator, LatentCode};
use chimle_perceptual::{Distance, lab_to_rgb};
use serde::{Deserialize, Serialize};

use crate::search::Target;

/// What is summed into the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// Every level's image is compared with the truth at its resolution; otherwise the last
    /// level's alone.
    pub intermediate_supervision: bool,
}

impl Objective {
    /// The distance of each example's image to its target, `[batch]`, at each level that counts:
    /// all of them, coarse to fine, or the last.
    ///
    /// `conditioning` and `codes` are as in [`Generator::forward`]; `target` on the same backend.
    pub fn losses<B: Backend>(
        &self,
        generator: &Generator<B>,
        distance: &Distance<B>,
        conditioning: Vec<Tensor<B, 4>>,
        codes: Vec<LatentCode<B>>,
        target: &Target<B>,
    ) -> Vec<Tensor<B, 1>> {
        let architecture = generator.config().architecture;
        let images = generator.forward(conditioning, codes);
        let skipped = if self.intermediate_supervision {
            0
        } else {
            images.len() - 1
        };
        images
            .into_iter()
            .zip(target.levels())
            .skip(skipped)
            .map(|(image, target)| distance.distance(shown_to_rgb(architecture, image), target))
            .collect()
    }
}

/// The image a level shows, as RGB in [0, 1], `[batch, 3, h, w]`.
pub fn shown_to_rgb<B: Backend>(architecture: Architecture, shown: Tensor<B, 4>) -> Tensor<B, 4> {
    match architecture {
        Architecture::Colorization => lab_to_rgb(shown),
        Architecture::SuperResolution | Architecture::ImageToImage => shown,
    }
}
