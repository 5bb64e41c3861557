//! The global stream: a mapping network (Karras et al. 2019) that sees the styles of all levels
//! below.

use burn::config::Config;
use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Tensor, backend::Backend};

use crate::conv::LEAKY_SLOPE;

/// Linear layers after the first one.
const LAYERS: usize = 7;

/// Configuration of a [`MappingNetwork`].
#[derive(Config, Debug)]
pub struct MappingNetworkConfig {
    /// Values in the global part of a code.
    pub map_code: usize,
    /// Length of a style vector.
    pub latent: usize,
    /// Levels below this one, whose styles are seen.
    pub levels_below: usize,
    /// Scale of the initialization; see
    /// [`GeneratorConfig::linear_scale`](crate::GeneratorConfig::linear_scale).
    pub linear_scale: f64,
}

impl MappingNetworkConfig {
    /// One layer on the code, then seven, the first of which also reads the styles below.
    pub fn init<B: Backend>(&self, device: &B::Device) -> MappingNetwork<B> {
        let linear = |inputs| scaled_linear(inputs, self.latent, self.linear_scale, device);
        let seen = self.latent * (self.levels_below + 1);
        MappingNetwork {
            input: linear(self.map_code),
            layers: (0..LAYERS)
                .map(|k| linear(if k == 0 { seen } else { self.latent }))
                .collect(),
        }
    }
}

/// From the global part of a code to a level's style vector.
#[derive(Module, Debug)]
pub struct MappingNetwork<B: Backend> {
    /// `map_code -> latent`
    pub input: Linear<B>,
    /// `latent * (levels_below + 1) -> latent`, then `latent -> latent`.
    pub layers: Vec<Linear<B>>,
}

impl<B: Backend> MappingNetwork<B> {
    /// `global` is `[batch, map_code]`, `styles` those of the levels below in order, each
    /// `[batch, latent]`; returns this level's style, `[batch, latent]`.
    pub fn forward(&self, global: Tensor<B, 2>, styles: &[Tensor<B, 2>]) -> Tensor<B, 2> {
        let mut seen = vec![leaky_relu(self.input.forward(global), LEAKY_SLOPE)];
        seen.extend_from_slice(styles);
        self.layers.iter().fold(Tensor::cat(seen, 1), |x, layer| {
            leaky_relu(layer.forward(x), LEAKY_SLOPE)
        })
    }
}

/// A linear layer with Kaiming normal weights (fan in) times `scale`, and zero bias.
pub(crate) fn scaled_linear<B: Backend>(
    inputs: usize,
    outputs: usize,
    scale: f64,
    device: &B::Device,
) -> Linear<B> {
    let kaiming = Initializer::KaimingNormal {
        gain: scale * 2f64.sqrt(),
        fan_out_only: false,
    };
    let weight: Param<Tensor<B, 2>> =
        kaiming.init_with([inputs, outputs], Some(inputs), Some(outputs), device);
    Linear {
        weight,
        bias: Some(Initializer::Zeros.init([outputs], device)),
    }
}
