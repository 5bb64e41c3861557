//! The training loss: the distance of the chosen codes' images to the truth.

use burn::tensor::{Bool, Tensor, backend::Backend};
use chimle_nn::{Architecture, Generator, Kernels, LatentCode};
use chimle_perceptual::{Distance, lab_to_rgb};
use serde::{Deserialize, Serialize};

use crate::target::Target;

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
    /// The release's loss is their sum over levels and examples alike. An image that is not a
    /// number has a loss that is not one.
    ///
    /// # Panics
    /// If `codes` and `target` are not of equally many levels.
    pub fn losses<B: Kernels>(
        &self,
        generator: &Generator<B>,
        distance: &Distance<B>,
        conditioning: Vec<Tensor<B, 4>>,
        codes: Vec<LatentCode<B>>,
        target: &Target<B>,
    ) -> Vec<Tensor<B, 1>> {
        let architecture = generator.config().architecture;
        let images = generator.forward(conditioning, codes);
        assert_eq!(images.len(), target.levels().len(), "levels of the target");
        let skipped = if self.intermediate_supervision {
            0
        } else {
            images.len().saturating_sub(1)
        };
        images
            .into_iter()
            .zip(target.levels())
            .skip(skipped)
            .map(|(image, target)| {
                let diverged = diverged(&image);
                distance
                    .distance(shown_to_rgb(architecture, image), target)
                    .mask_fill(diverged, f32::NAN)
            })
            .collect()
    }
}

/// Whether there is NaN in an image, `[images]`, which the clamps of the color conversion and the
/// ReLUs of a perceptual distance would turn into a number.
pub(crate) fn diverged<B: Backend>(shown: &Tensor<B, 4>) -> Tensor<B, 1, Bool> {
    let diverged = shown.clone().is_nan().flatten::<2>(1, 3).any_dim(1);
    diverged.flatten(0, 1)
}

/// The image a level shows, as RGB in [0, 1], `[batch, 3, h, w]`.
pub fn shown_to_rgb<B: Backend>(architecture: Architecture, shown: Tensor<B, 4>) -> Tensor<B, 4> {
    match architecture {
        Architecture::Colorization => lab_to_rgb(shown),
        Architecture::SuperResolution | Architecture::ImageToImage => shown,
    }
}
