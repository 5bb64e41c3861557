//! The residual-in-residual dense block of ESRGAN (Wang et al. 2018).

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use chimle_kernels::{Kernels, dense_blocks_recomputed};

use crate::compute::Compute;
use crate::conv::LEAKY_SLOPE;
use crate::dense_block::{DenseBlock, DenseBlockConfig, RESIDUAL_SCALE};

/// The number of dense blocks in an RRDB.
const BLOCKS: usize = 3;

/// Configuration of an [`Rrdb`].
#[derive(Config, Debug)]
pub struct RrdbConfig {
    /// The number c of residual channels.
    pub channels: usize,
    /// The number g of growth channels.
    pub growth: usize,
}

impl RrdbConfig {
    /// Creates three dense blocks with fresh weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Rrdb<B> {
        let block = DenseBlockConfig::new(self.channels, self.growth);
        Rrdb {
            blocks: (0..BLOCKS).map(|_| block.init(device)).collect(),
        }
    }
}

/// The residual-in-residual dense block `x + 0.2 D3(D2(D1(x)))`.
#[derive(Module, Debug)]
pub struct Rrdb<B: Backend> {
    /// The three dense blocks, in order.
    pub blocks: Vec<DenseBlock<B>>,
}

impl<B: Kernels> Rrdb<B> {
    /// Evaluates the block. Input and output are `[batch, channels, height, width]`.
    ///
    /// `compute` sets the precision of the maps in the dense blocks. Their result is added to the
    /// input, which keeps its type.
    pub fn forward(&self, input: Tensor<B, 4>, compute: Compute) -> Tensor<B, 4> {
        let x = compute.precision.narrow(input.clone());
        let deep = if compute.recompute {
            self.recomputed(x)
        } else {
            self.blocks.iter().fold(x, |x, block| block.forward(x))
        };
        input + compute.precision.widen(deep).mul_scalar(RESIDUAL_SCALE)
    }

    /// Evaluates the dense blocks and keeps only their input for the backward pass.
    fn recomputed(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let all = self.blocks.iter().map(|block| block.parameters_for(&x));
        let (weights, biases): (Vec<_>, Vec<_>) = all.unzip();
        let three = "an RRDB has three dense blocks";
        dense_blocks_recomputed(
            x,
            weights.try_into().expect(three),
            biases.try_into().expect(three),
            LEAKY_SLOPE,
            RESIDUAL_SCALE,
        )
    }

    /// Computes the weight normalizations once; see
    /// [`WeightNormConv2d::fold`](crate::WeightNormConv2d::fold).
    pub fn fold(self) -> Self {
        Self {
            blocks: self.blocks.into_iter().map(DenseBlock::fold).collect(),
        }
    }
}
