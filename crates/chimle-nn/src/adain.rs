//! Adaptive instance normalization (Huang & Belongie 2017).

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, backend::Backend};

use crate::mapping::scaled_linear;

/// The epsilon of instance normalization.
const EPSILON: f64 = 1e-5;

/// Configuration of an [`AdaIn`].
#[derive(Config, Debug)]
pub struct AdaInConfig {
    /// Length of a style vector.
    pub latent: usize,
    /// Channels of the map that is modulated.
    pub channels: usize,
    /// Scale of the linear layer's initialization; see
    /// [`GeneratorConfig::linear_scale`](crate::GeneratorConfig::linear_scale).
    pub linear_scale: f64,
}

impl AdaInConfig {
    /// One linear layer from a style vector to a gain and a bias for each channel.
    pub fn init<B: Backend>(&self, device: &B::Device) -> AdaIn<B> {
        AdaIn {
            affine: scaled_linear(self.latent, 2 * self.channels, self.linear_scale, device),
        }
    }
}

/// `(1 + gamma) * instance_norm(x) + beta` with `[gamma, beta] = affine(style)`.
#[derive(Module, Debug)]
pub struct AdaIn<B: Backend> {
    /// `latent -> 2 channels`: the gains, then the biases.
    pub affine: Linear<B>,
}

impl<B: Backend> AdaIn<B> {
    /// Map `[batch, channels, height, width]` and style `[batch, latent]` to the map's shape.
    pub fn forward(&self, map: Tensor<B, 4>, style: Tensor<B, 2>) -> Tensor<B, 4> {
        let [batch, channels, height, width] = map.dims();
        let modulation = self.affine.forward(style).reshape([batch, 2 * channels, 1]);
        let gamma = modulation.clone().narrow(1, 0, channels);
        let beta = modulation.narrow(1, channels, channels);
        let (centered, deviation) = standardize(map);
        (centered * ((gamma + 1.0) / deviation) + beta).reshape([batch, channels, height, width])
    }
}

/// Each sample's channel less its mean, over the root of its biased variance plus 1e-5; no affine
/// part. `[batch, channels, height, width]` to the same shape.
pub fn instance_norm<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 4> {
    let shape = map.dims();
    let (centered, deviation) = standardize(map);
    (centered / deviation).reshape(shape)
}

/// The map less its channel means `[batch, channels, height * width]`, and the deviations
/// `[batch, channels, 1]`.
fn standardize<B: Backend>(map: Tensor<B, 4>) -> (Tensor<B, 3>, Tensor<B, 3>) {
    let [batch, channels, height, width] = map.dims();
    let flat = map.reshape([batch, channels, height * width]);
    let centered = flat.clone() - flat.mean_dim(2);
    let variance = (centered.clone() * centered.clone()).mean_dim(2);
    (centered, (variance + EPSILON).sqrt())
}
