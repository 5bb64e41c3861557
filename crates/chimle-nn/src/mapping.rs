//! The global stream: a mapping network (Karras et al. 2019) that also reads the style vectors of
//! all levels below.

use burn::config::Config;
use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Tensor, backend::Backend};

use crate::conv::LEAKY_SLOPE;

/// The number of linear layers after the first one.
const LAYERS: usize = 7;

/// Configuration of a [`MappingNetwork`].
#[derive(Config, Debug)]
pub struct MappingNetworkConfig {
    /// The number of values in the global part of a code.
    pub map_code: usize,
    /// The length of a style vector.
    pub latent: usize,
    /// The number of levels below this one, whose style vectors are read.
    pub levels_below: usize,
    /// The scale of the initialization; see
    /// [`GeneratorConfig::linear_scale`](crate::GeneratorConfig::linear_scale).
    pub linear_scale: f64,
}

impl MappingNetworkConfig {
    /// Creates one layer that reads the code, and then seven layers. The first of the seven also
    /// reads the style vectors of the levels below.
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

/// A network that computes a level's style vector from the global part of a code.
#[derive(Module, Debug)]
pub struct MappingNetwork<B: Backend> {
    /// The first layer, `map_code -> latent`.
    pub input: Linear<B>,
    /// The seven other layers: `latent * (levels_below + 1) -> latent`, then `latent -> latent`.
    pub layers: Vec<Linear<B>>,
}

impl<B: Backend> MappingNetwork<B> {
    /// Computes the style vector of a level.
    ///
    /// # Shapes
    ///
    /// - global: `[batch, map_code]`
    /// - `styles`, the style vectors of the levels below, in order: `[batch, latent]` each
    /// - output: `[batch, latent]`
    pub fn forward(&self, global: Tensor<B, 2>, styles: &[Tensor<B, 2>]) -> Tensor<B, 2> {
        let mut seen = vec![leaky_relu(self.input.forward(global), LEAKY_SLOPE)];
        seen.extend_from_slice(styles);
        self.layers.iter().fold(Tensor::cat(seen, 1), |x, layer| {
            leaky_relu(layer.forward(x), LEAKY_SLOPE)
        })
    }
}

/// Creates a linear layer with Kaiming normal weights (fan in) times `scale`, and zero bias.
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
