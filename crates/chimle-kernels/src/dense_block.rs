//! The dense block of ESRGAN (Wang et al. 2018) as an operation on tensors.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorMetadata, TensorPrimitive};

use crate::kernels::Kernels;

/// The number of convolutions of a dense block.
pub const CONVOLUTIONS: usize = 5;

/// The number of dense blocks of a residual-in-residual dense block.
pub(crate) const BLOCKS: usize = 3;

/// The weights and biases of a dense block of c residual and g growth channels, or their
/// gradients.
#[derive(Clone, Debug)]
pub struct DenseBlockParameters<B: Backend> {
    /// Four weights `[g, c + k g, 3, 3]` for k = 0, 1, 2, 3, then one weight `[c, c + 4 g, 3, 3]`.
    pub weights: [FloatTensor<B>; CONVOLUTIONS],
    /// Four biases `[g]`, then one bias `[c]`.
    pub biases: [FloatTensor<B>; CONVOLUTIONS],
}

impl<B: Backend> DenseBlockParameters<B> {
    /// Returns the numbers of residual and growth channels, c and g.
    ///
    /// # Panics
    ///
    /// If the shapes of the weights are not those of a dense block.
    pub(crate) fn channels(&self) -> [usize; 2] {
        let shapes = self
            .weights
            .each_ref()
            .map(|weight| weight.shape().dims::<4>());
        let (channels, growth) = (shapes[0][1], shapes[0][0]);
        for (k, shape) in shapes.into_iter().enumerate() {
            let outputs = if k + 1 == CONVOLUTIONS {
                channels
            } else {
                growth
            };
            assert_eq!(
                shape,
                [outputs, channels + k * growth, 3, 3],
                "convolution {} of a dense block of {channels} and {growth} channels",
                k + 1,
            );
        }
        [channels, growth]
    }
}

/// The parameters of the dense blocks of a residual-in-residual dense block, in order.
pub type DenseBlocksParameters<B> = [DenseBlockParameters<B>; BLOCKS];

/// The gradients of a dense block.
#[derive(Clone, Debug)]
pub struct DenseBlockGradients<B: Backend> {
    /// The gradient of the input, `[batch, c, h, w]`.
    pub input: FloatTensor<B>,
    /// The gradients of the weights and biases, if they were requested.
    pub parameters: Option<DenseBlockParameters<B>>,
}

/// Evaluates a dense block, differentiable in the input, the weights and the biases.
///
/// The output is `x + scale conv5[x, x1, x2, x3, x4]` with `x_k = lrelu(conv_k[x, .., x_{k-1}])`.
/// `slope` is the slope of the LeakyReLU for negative inputs and must be at least zero.
///
/// # Shapes
///
/// - input and output: `[batch, c, h, w]`
/// - weights: four `[g, c + k g, 3, 3]` for k = 0, 1, 2, 3, then `[c, c + 4 g, 3, 3]`
/// - biases: four `[g]`, then `[c]`
pub fn dense_block<B: Kernels>(
    input: Tensor<B, 4>,
    weights: [Tensor<B, 4>; CONVOLUTIONS],
    biases: [Tensor<B, 1>; CONVOLUTIONS],
    slope: f64,
    scale: f64,
) -> Tensor<B, 4> {
    let parameters = DenseBlockParameters {
        weights: weights.map(|weight| weight.into_primitive().tensor()),
        biases: biases.map(|bias| bias.into_primitive().tensor()),
    };
    let output = B::dense_block(input.into_primitive().tensor(), parameters, slope, scale);
    Tensor::from_primitive(TensorPrimitive::Float(output))
}

/// Evaluates the three dense blocks of a residual-in-residual dense block (Wang et al. 2018),
/// `D3(D2(D1(x)))`, and keeps only the input for the backward pass.
///
/// Values and gradients are those of three calls of [`dense_block()`]. The backward pass computes
/// the maps of all convolutions again, one RRDB at a time (Chen et al. 2016, "Training deep nets
/// with sublinear memory cost"). A training step takes one more forward pass of the blocks, and a
/// small part of the memory.
///
/// The shapes are those of [`dense_block()`].
pub fn dense_blocks_recomputed<B: Kernels>(
    input: Tensor<B, 4>,
    weights: [[Tensor<B, 4>; CONVOLUTIONS]; BLOCKS],
    biases: [[Tensor<B, 1>; CONVOLUTIONS]; BLOCKS],
    slope: f64,
    scale: f64,
) -> Tensor<B, 4> {
    let mut biases = biases.into_iter();
    let blocks = weights.map(|weights| DenseBlockParameters {
        weights: weights.map(|weight| weight.into_primitive().tensor()),
        biases: biases
            .next()
            .expect("as many")
            .map(|bias| bias.into_primitive().tensor()),
    });
    let output = B::dense_blocks_recomputed(input.into_primitive().tensor(), blocks, slope, scale);
    Tensor::from_primitive(TensorPrimitive::Float(output))
}
