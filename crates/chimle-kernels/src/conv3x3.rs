//! The 3x3 convolution as an operation on tensors.

use burn::tensor::{Tensor, TensorPrimitive};

use crate::activation::Activation;
use crate::kernels::Kernels;

/// Computes a 3x3 convolution with stride 1 and zero padding 1, differentiable in input, weight and
/// bias.
///
/// # Shapes
///
/// - input: `[batch, in, h, w]`
/// - weight: `[out, in, 3, 3]`
/// - bias: `[out]`
/// - output: `[batch, out, h, w]`
pub fn conv3x3<B: Kernels>(
    input: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    bias: Tensor<B, 1>,
) -> Tensor<B, 4> {
    conv3x3_activated(input, weight, bias, Activation::Linear)
}

/// Computes [`conv3x3`] and an activation in one operation.
pub fn conv3x3_activated<B: Kernels>(
    input: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    bias: Tensor<B, 1>,
    activation: Activation,
) -> Tensor<B, 4> {
    let output = B::conv3x3(
        input.into_primitive().tensor(),
        weight.into_primitive().tensor(),
        bias.into_primitive().tensor(),
        activation,
    );
    Tensor::from_primitive(TensorPrimitive::Float(output))
}
