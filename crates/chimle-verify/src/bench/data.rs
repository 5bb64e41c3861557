//! Random data for timing a network.

use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Tensor};
use chimle_core::nn::{Architecture, LatentCode};

use super::BenchConfig;

/// A batch of random examples, with a code for each level.
pub(super) struct Data<B: Backend> {
    pub(super) conditioning: Vec<Tensor<B, 4>>,
    pub(super) targets: Vec<Tensor<B, 4>>,
    pub(super) codes: Vec<LatentCode<B>>,
}

impl<B: Backend> Data<B> {
    /// Draws images uniformly from [0, 1] and codes from the standard normal distribution.
    pub(super) fn random(config: &BenchConfig, device: &B::Device) -> Self {
        let BenchConfig { network, batch, .. } = config;
        let batch = *batch;
        let sizes: Vec<[usize; 2]> = (0..network.levels())
            .map(|level| [config.side << level; 2])
            .collect();
        let image = |channels, [height, width]: [usize; 2]| {
            let uniform = Distribution::Uniform(0.0, 1.0);
            Tensor::random([batch, channels, height, width], uniform, device)
        };
        // In super-resolution, a level's image has twice the level's side.
        let scale = match network.architecture {
            Architecture::SuperResolution => 2,
            Architecture::Colorization | Architecture::ImageToImage => 1,
        };
        let normal = Distribution::Normal(0.0, 1.0);
        let code = |[height, width]: [usize; 2]| LatentCode {
            global: Tensor::random([batch, network.map_code], normal, device),
            local: Tensor::random(
                [batch, network.code_channels, height, width],
                normal,
                device,
            ),
        };
        let conditioned = sizes.iter().take(network.conditioning_images());
        Self {
            conditioning: conditioned
                .map(|&size| image(network.in_channels, size))
                .collect(),
            targets: sizes
                .iter()
                .map(|size| image(3, size.map(|side| scale * side)))
                .collect(),
            codes: sizes.iter().map(|&size| code(size)).collect(),
        }
    }
}
