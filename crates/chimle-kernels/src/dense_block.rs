//! The dense block of ESRGAN (Wang et al. 2018) as an operation on tensors.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorMetadata, TensorPrimitive};

use crate::kernels::Kernels;

/// Convolutions of a dense block.
pub const CONVOLUTIONS: usize = 5;

/// The weights and biases of a dense block of c residual and g growth channels, or their
/// gradients.
#[derive(Clone, Debug)]
pub struct DenseBlockParameters<B: Backend> {
    /// Four of `[g, c + k g, 3, 3]` for k = 0, 1, 2, 3, and `[c, c + 4 g, 3, 3]`.
    pub weights: [FloatTensor<B>; CONVOLUTIONS],
    /// Four of `[g]`, and `[c]`.
    pub biases: [FloatTensor<B>; CONVOLUTIONS],
}

impl<B: Backend> DenseBlockParameters<B> {
    /// Residual and growth channels, c and g.
    ///
    /// # Panics
    ///
    /// If the weights are not those of a dense block.
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

/// The gradients of a dense block.
#[derive(Clone, Debug)]
pub struct DenseBlockGradients<B: Backend> {
    /// Of the input, `[batch, c, h, w]`.
    pub input: FloatTensor<B>,
    /// Of the weights and biases, if they were wanted.
    pub parameters: Option<DenseBlockParameters<B>>,
}

/// `x + scale conv5[x, x1, x2, x3, x4]` with `x_k = lrelu(conv_k[x, .., x_{k-1}])`, differentiable
/// in the input, the weights and the biases.
///
/// `[batch, c, h, w]` to the same shape. The weights are four of `[g, c + k g, 3, 3]` for k = 0, 1,
/// 2, 3 and `[c, c + 4 g, 3, 3]`, the biases four of `[g]` and `[c]`; `slope`, that of the
/// LeakyReLU where its input is negative, is not negative itself.
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
