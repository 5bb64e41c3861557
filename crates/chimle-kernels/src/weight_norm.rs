//! Weight normalization (Salimans & Kingma 2016) as an operation on tensors.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};

use crate::kernels::Kernels;

/// The gradients of a weight normalization.
#[derive(Clone, Debug)]
pub struct WeightNormGradients<B: Backend> {
    /// The gradient of the directions, `[out, in, kh, kw]`.
    pub direction: FloatTensor<B>,
    /// The gradient of the lengths, `[out, 1, 1, 1]`.
    pub length: FloatTensor<B>,
}

/// Computes `g v / |v|` (Salimans & Kingma 2016, equation 2), with one norm per output channel.
///
/// The operation is differentiable in the direction v and the length g. Norms have at least 32 bits.
///
/// # Shapes
///
/// - direction and output: `[out, in, kh, kw]`
/// - length: `[out, 1, 1, 1]`
///
/// # Panics
///
/// If the shapes do not fit.
pub fn weight_norm<B: Kernels>(direction: Tensor<B, 4>, length: Tensor<B, 4>) -> Tensor<B, 4> {
    let outputs = direction.dims()[0];
    assert_eq!(length.dims(), [outputs, 1, 1, 1], "the lengths of a weight");
    let weight = B::weight_norm(
        direction.into_primitive().tensor(),
        length.into_primitive().tensor(),
    );
    Tensor::from_primitive(TensorPrimitive::Float(weight))
}
