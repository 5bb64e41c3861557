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

impl<B: Kernels> AdaIn<B> {
    /// Map `[batch, channels, height, width]` and style `[batch, latent]` to the map's shape.
    pub fn forward(&self, map: Tensor<B, 4>, style: Tensor<B, 2>) -> Tensor<B, 4> {
        let channels = map.dims()[1];
        let modulation = self.affine.forward(style);
        let gamma = modulation.clone().narrow(1, 0, channels);
        let beta = modulation.narrow(1, channels, channels);
        modulate(map, gamma + 1.0, beta, EPSILON)
    }
}
