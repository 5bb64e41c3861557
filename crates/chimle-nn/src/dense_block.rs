//! The dense block of ESRGAN (Wang et al. 2018).

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use chimle_kernels::{Kernels, dense_block};

use crate::conv::{LEAKY_SLOPE, WeightNormConv2d, WeightNormConv2dConfig};

/// The residual scale of dense blocks and RRDBs.
pub const RESIDUAL_SCALE: f64 = 0.2;

/// The number of convolutions in a dense block.
const CONVOLUTIONS: usize = 5;

/// Configuration of a [`DenseBlock`].
#[derive(Config, Debug)]
pub struct DenseBlockConfig {
    /// The number c of residual channels: those of the input and the output.
    pub channels: usize,
    /// The number g of growth channels: those of the output of each of the four inner convolutions.
    pub growth: usize,
}

impl DenseBlockConfig {
    /// Creates five convolutions with fresh weights: c -> g, c+g -> g, c+2g -> g, c+3g -> g, c+4g
    /// -> c.
    pub fn init<B: Backend>(&self, device: &B::Device) -> DenseBlock<B> {
        let conv = |k: usize| {
            let out = if k + 1 == CONVOLUTIONS {
                self.channels
            } else {
                self.growth
            };
            WeightNormConv2dConfig::new(self.channels + k * self.growth, out).init(device)
        };
        DenseBlock {
            convs: (0..CONVOLUTIONS).map(conv).collect(),
        }
    }
}

/// The dense block `x + 0.2 conv5[x, x1, x2, x3, x4]` with `x_k = lrelu(conv_k[x, x1, ..,
/// x_{k-1}])`.
#[derive(Module, Debug)]
pub struct DenseBlock<B: Backend> {
    /// The five convolutions, in order.
    pub convs: Vec<WeightNormConv2d<B>>,
}

impl<B: Kernels> DenseBlock<B> {
    /// Evaluates the block. Input and output are `[batch, channels, height, width]`.
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let (weights, biases) = self.parameters_for(&input);
        dense_block(input, weights, biases, LEAKY_SLOPE, RESIDUAL_SCALE)
    }

    /// Returns the effective weights and the biases, cast to the type of the input.
    pub(crate) fn parameters_for(
        &self,
        input: &Tensor<B, 4>,
    ) -> ([Tensor<B, 4>; CONVOLUTIONS], [Tensor<B, 1>; CONVOLUTIONS]) {
        let all = self.convs.iter().map(|conv| conv.parameters_for(input));
        let (weights, biases): (Vec<_>, Vec<_>) = all.unzip();
        let five = "a dense block has five convolutions";
        (
            weights.try_into().expect(five),
            biases.try_into().expect(five),
        )
    }

    /// Computes the weight normalizations once; see [`WeightNormConv2d::fold`].
    pub fn fold(self) -> Self {
        Self {
            convs: self.convs.into_iter().map(WeightNormConv2d::fold).collect(),
        }
    }
}
