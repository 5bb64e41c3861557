//! Adaptive instance normalization (Huang & Belongie 2017).

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, backend::Backend};
use chimle_kernels::{Kernels, modulate};

use crate::mapping::scaled_linear;

/// The epsilon of instance normalization.
const EPSILON: f64 = 1e-5;

/// Configuration of an [`AdaIn`].
#[derive(Config, Debug)]
pub struct AdaInConfig {
    /// The length of a style vector.
    pub latent: usize,
    /// The number of channels of the modulated map.
    pub channels: usize,
    /// The scale of the linear layer's initialization; see
    /// [`GeneratorConfig::linear_scale`](crate::GeneratorConfig::linear_scale).
    pub linear_scale: f64,
}

impl AdaInConfig {
    /// Creates the modulation: one linear layer from a style vector to a gain and a bias per
    /// channel.
    pub fn init<B: Backend>(&self, device: &B::Device) -> AdaIn<B> {
        AdaIn {
            affine: scaled_linear(self.latent, 2 * self.channels, self.linear_scale, device),
        }
    }
}

/// Adaptive instance normalization: `(1 + gamma) * instance_norm(x) + beta` with `[gamma, beta] =
/// affine(style)`.
#[derive(Module, Debug)]
pub struct AdaIn<B: Backend> {
    /// `latent -> 2 channels`: the gains, then the biases.
    pub affine: Linear<B>,
}

impl<B: Kernels> AdaIn<B> {
    /// Normalizes the map, and applies the gain and the bias that the style gives each channel.
    ///
    /// # Shapes
    ///
    /// - map and output: `[batch, channels, height, width]`
    /// - style: `[batch, latent]`
    pub fn forward(&self, map: Tensor<B, 4>, style: Tensor<B, 2>) -> Tensor<B, 4> {
        let channels = map.dims()[1];
        let modulation = self.affine.forward(style);
        let gamma = modulation.clone().narrow(1, 0, channels);
        let beta = modulation.narrow(1, channels, channels);
        modulate(map, gamma + 1.0, beta, EPSILON)
    }
}
