//! The 3x3 convolution, as an extension of Burn's backends and as an operation on tensors.

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::{ConvOptions, FloatTensor};
use burn::tensor::{Tensor, TensorPrimitive};

/// A backend with the operations of the generator.
pub trait Kernels: Backend {
    /// 3x3 convolution with stride 1 and zero padding 1.
    ///
    /// `[batch, in, h, w]`, weight `[out, in, 3, 3]` and bias `[out]` to `[batch, out, h, w]`.
    fn conv3x3(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::conv2d(input, weight, Some(bias), options())
    }

    /// The gradient of the input, `[batch, in, h, w]`, from that of the output.
    fn conv3x3_input_gradient(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::conv2d_x_backward(input, weight, gradient, options())
    }

    /// The gradient of the weight, `[out, in, 3, 3]`, from that of the output.
    fn conv3x3_weight_gradient(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::conv2d_weight_backward(input, weight, gradient, options())
    }

    /// The gradient of the bias, `[out]`, from that of the output.
    fn conv3x3_bias_gradient(
        input: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::conv2d_bias_backward(input, bias, gradient)
    }
}

/// A backend to train on: it differentiates, and both it and what it differentiates have
/// [`Kernels`].
pub trait TrainingBackend: Kernels + AutodiffBackend<InnerBackend: Kernels> {}

impl<B: Kernels + AutodiffBackend<InnerBackend: Kernels>> TrainingBackend for B {}

/// 3x3 convolution with stride 1 and zero padding 1, differentiable in all three.
///
/// `[batch, in, h, w]`, weight `[out, in, 3, 3]` and bias `[out]` to `[batch, out, h, w]`.
pub fn conv3x3<B: Kernels>(
    input: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    bias: Tensor<B, 1>,
) -> Tensor<B, 4> {
    let output = B::conv3x3(
        input.into_primitive().tensor(),
        weight.into_primitive().tensor(),
        bias.into_primitive().tensor(),
    );
    Tensor::from_primitive(TensorPrimitive::Float(output))
}

pub(crate) fn options() -> ConvOptions<2> {
    ConvOptions::new([1, 1], [1, 1], [1, 1], 1)
}
