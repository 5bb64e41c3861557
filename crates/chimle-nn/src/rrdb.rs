//! The residual-in-residual dense block of ESRGAN (Wang et al. 2018).

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use chimle_kernels::Kernels;

use crate::dense_block::{DenseBlock, DenseBlockConfig, RESIDUAL_SCALE};

/// Dense blocks in an RRDB.
const BLOCKS: usize = 3;

/// Configuration of an [`Rrdb`].
#[derive(Config, Debug)]
pub struct RrdbConfig {
    /// Residual channels c.
    pub channels: usize,
    /// Growth channels g.
    pub growth: usize,
}

impl RrdbConfig {
    /// Three dense blocks.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Rrdb<B> {
        let block = DenseBlockConfig::new(self.channels, self.growth);
        Rrdb {
            blocks: (0..BLOCKS).map(|_| block.init(device)).collect(),
        }
    }
}

/// `x + 0.2 D3(D2(D1(x)))`
#[derive(Module, Debug)]
pub struct Rrdb<B: Backend> {
    /// The three dense blocks, in order.
    pub blocks: Vec<DenseBlock<B>>,
}

impl<B: Kernels> Rrdb<B> {
    /// `[batch, channels, height, width]` to the same shape.
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let deep = self
            .blocks
            .iter()
            .fold(input.clone(), |x, block| block.forward(x));
        input + deep.mul_scalar(RESIDUAL_SCALE)
    }

    /// The block with its weight normalization folded; see
    /// [`WeightNormConv2d::fold`](crate::WeightNormConv2d::fold).
    pub fn fold(self) -> Self {
        Self {
            blocks: self.blocks.into_iter().map(DenseBlock::fold).collect(),
        }
    }
}
