//! The optional encoder of the conditioning image.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use chimle_kernels::Kernels;

use crate::conv::{WeightNormConv2d, WeightNormConv2dConfig};

/// Configuration of an [`Encoder`].
#[derive(Config, Debug)]
pub struct EncoderConfig {
    /// The number of channels of the conditioning image.
    pub channels_in: usize,
    /// The number of feature channels per level, coarse to fine.
    pub channels: Vec<usize>,
}

impl EncoderConfig {
    /// Creates an encoder with fresh weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Encoder<B> {
        let conv = |inputs, outputs| WeightNormConv2dConfig::new(inputs, outputs).init(device);
        let finer = self.channels.iter().skip(1).map(|&channels| 4 * channels);
        let inputs = finer.chain([self.channels_in]);
        let stages = self.channels.iter().zip(inputs);
        Encoder {
            stages: stages
                .map(|(&channels, inputs)| Stage {
                    enter: conv(inputs, channels),
                    refine: conv(channels, channels),
                })
                .collect(),
        }
    }
}

/// An encoder that computes features of the finest conditioning image for every level.
///
/// In the published architecture a level sees the conditioning image at its own side only, and the
/// normalization after each RRDB removes the mean of every feature map. A coarse level therefore
/// knows little about what the image shows, and the overall tone of an output depends on the code
/// alone. The encoder gives each level features that were computed from the full image. It is the
/// contracting half of a U-Net (Ronneberger et al. 2015), and the levels are the expanding half. It
/// is not part of the paper.
#[derive(Module, Debug)]
pub struct Encoder<B: Backend> {
    /// One stage per level, coarse to fine.
    pub stages: Vec<Stage<B>>,
}

/// One resolution of an [`Encoder`]: two convolutions, each with LeakyReLU.
#[derive(Module, Debug)]
pub struct Stage<B: Backend> {
    /// The convolution of the conditioning image, or of the 2 x 2 blocks of the finer stage's
    /// features.
    pub enter: WeightNormConv2d<B>,
    /// The second convolution, which keeps the number of channels.
    pub refine: WeightNormConv2d<B>,
}

impl<B: Kernels> Encoder<B> {
    /// Computes the features of every level, coarse to fine.
    ///
    /// # Shapes
    ///
    /// - image: `[batch, channels_in, h, w]`, with sides divisible by 2^(levels - 1)
    /// - features of the last level: `[batch, channels, h, w]`, and half the sides for each coarser
    ///   level
    pub fn forward(&self, image: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let mut features = Vec::with_capacity(self.stages.len());
        let mut input = image;
        for (level, stage) in self.stages.iter().enumerate().rev() {
            let map = stage.refine.forward_leaky(stage.enter.forward_leaky(input));
            input = match level {
                0 => map.clone(),
                _ => space_to_depth(map.clone()),
            };
            features.push(map);
        }
        features.reverse();
        features
    }

    /// Computes the weight normalizations once; see [`WeightNormConv2d::fold`].
    pub fn fold(self) -> Self {
        let stages = self.stages.into_iter().map(|stage| Stage {
            enter: stage.enter.fold(),
            refine: stage.refine.fold(),
        });
        Self {
            stages: stages.collect(),
        }
    }
}

/// Turns each block of 2 x 2 pixels into one pixel: `[n, c, h, w]` to `[n, 4c, h / 2, w / 2]`.
fn space_to_depth<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 4> {
    let [n, c, h, w] = map.dims();
    map.reshape([n, c, h / 2, 2, w / 2, 2])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([n, 4 * c, h / 2, w / 2])
}
