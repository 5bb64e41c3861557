//! The encoder from an image to the distribution of a code.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Tensor;
use burn::tensor::activation::leaky_relu;
use burn::tensor::backend::Backend;
use chimle_kernels::Kernels;
use serde::{Deserialize, Serialize};

use super::conv::{Conv3x3, Pointwise, instance_norm};
use super::pixels::stack_pixels;
use crate::random::Random;

/// The negative slope of LeakyReLU.
const SLOPE: f64 = 0.2;
/// The bounds of the logarithm of a variance, which keep its exponential finite.
const LOG_VARIANCE: (f64, f64) = (-12.0, 8.0);

/// The settings of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderConfig {
    /// The number of channels of the first layer. They double with each block, up to four times this
    /// number.
    pub width: usize,
    /// The number of residual blocks. Each halves the side.
    pub blocks: usize,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            width: 24,
            blocks: 3,
        }
    }
}

impl EncoderConfig {
    /// Creates an encoder of images with `channels` channels to codes of `code` values.
    pub fn init<B: Backend>(&self, channels: usize, code: usize, device: &B::Device) -> Encoder<B> {
        let mut inputs = self.width;
        let blocks = (1..=self.blocks).map(|k| {
            let outputs = self.width << k.min(2);
            let block = Block {
                first: Conv3x3::new(inputs, inputs, device),
                second: Conv3x3::new(4 * inputs, outputs, device),
                shortcut: Pointwise::scaled(4 * inputs, outputs, 1.0, device),
            };
            inputs = outputs;
            block
        });
        let blocks = blocks.collect();
        Encoder {
            first: Conv3x3::new(4 * channels, self.width, device),
            blocks,
            mean: LinearConfig::new(inputs, code).init(device),
            log_variance: LinearConfig::new(inputs, code).init(device),
        }
    }
}

/// The encoder E of BicycleGAN: a residual network with one head for the mean and one for the variance of a code.
#[derive(Module, Debug)]
pub struct Encoder<B: Backend> {
    first: Conv3x3<B>,
    blocks: Vec<Block<B>>,
    mean: Linear<B>,
    log_variance: Linear<B>,
}

/// A residual block that halves the side.
#[derive(Module, Debug)]
struct Block<B: Backend> {
    first: Conv3x3<B>,
    second: Conv3x3<B>,
    shortcut: Pointwise<B>,
}

/// A normal distribution with independent values, one distribution per row.
#[derive(Clone, Debug)]
pub struct Normal<B: Backend> {
    /// `[n, code]`
    pub mean: Tensor<B, 2>,
    /// The logarithms of the variances, `[n, code]`.
    pub log_variance: Tensor<B, 2>,
}

impl<B: Kernels> Encoder<B> {
    /// Encodes each image to the distribution of its code.
    ///
    /// # Shapes
    ///
    /// - input: `[n, channels, h, w]`
    /// - mean and log variance: `[n, code]`
    pub fn forward(&self, images: Tensor<B, 4>) -> Normal<B> {
        let first = self.first.forward(stack_pixels(images));
        let map = self.blocks.iter().fold(first, |map, block| {
            let inner = block
                .first
                .forward(leaky_relu(instance_norm(map.clone()), SLOPE));
            let inner = leaky_relu(instance_norm(inner), SLOPE);
            block.second.forward(stack_pixels(inner)) + block.shortcut.forward(stack_pixels(map))
        });
        let [n, c, h, w] = map.dims();
        let pooled = leaky_relu(map, SLOPE).reshape([n, c, h * w]).mean_dim(2);
        let pooled = pooled.reshape([n, c]);
        let (low, high) = LOG_VARIANCE;
        Normal {
            mean: self.mean.forward(pooled.clone()),
            log_variance: self.log_variance.forward(pooled).clamp(low, high),
        }
    }
}

impl<B: Backend> Normal<B> {
    /// Draws one code per row, `[n, code]`, by the reparameterization of Kingma and Welling (2014).
    pub fn draw(&self, random: &mut Random) -> Tensor<B, 2> {
        let noise: Tensor<B, 2> = random.normal(self.mean.dims(), &self.mean.device());
        self.mean.clone() + noise * (self.log_variance.clone() * 0.5).exp()
    }

    /// Returns the divergence KL(N(mean, variance) | N(0, 1)), summed over the values of a row and
    /// averaged over the rows.
    pub fn divergence(&self) -> Tensor<B, 1> {
        let variance = self.log_variance.clone().exp();
        let each = self.mean.clone().square() + variance - self.log_variance.clone() - 1.0;
        let rows = each.dims()[0] as f64;
        each.sum() * (0.5 / rows)
    }
}
