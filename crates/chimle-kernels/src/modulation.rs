//! Adaptive instance normalization (Huang & Belongie 2017) as an operation on tensors.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};

use crate::kernels::Kernels;

/// The gradients of a modulation.
#[derive(Clone, Debug)]
pub struct ModulationGradients<B: Backend> {
    /// The gradient of the input, `[batch, c, h, w]`.
    pub input: FloatTensor<B>,
    /// The gradient of the gains, `[batch, c]`.
    pub gain: FloatTensor<B>,
    /// The gradient of the biases, `[batch, c]`.
    pub bias: FloatTensor<B>,
}

/// Computes `gain * (x - mean) / sqrt(variance + epsilon) + bias`, with the mean and the biased
/// variance of each channel of each sample.
///
/// The operation is differentiable in the map, the gains and the biases. Mean and variance have at
/// least 32 bits.
///
/// # Shapes
///
/// - map and output: `[batch, c, h, w]`
/// - gains and biases: `[batch, c]`
///
/// # Panics
///
/// If the shapes do not fit.
pub fn modulate<B: Kernels>(
    map: Tensor<B, 4>,
    gain: Tensor<B, 2>,
    bias: Tensor<B, 2>,
    epsilon: f64,
) -> Tensor<B, 4> {
    let [batch, channels, ..] = map.dims();
    assert_eq!(gain.dims(), [batch, channels], "gains of a modulation");
    assert_eq!(bias.dims(), [batch, channels], "biases of a modulation");
    let output = B::modulate(
        map.into_primitive().tensor(),
        gain.into_primitive().tensor(),
        bias.into_primitive().tensor(),
        epsilon,
    );
    Tensor::from_primitive(TensorPrimitive::Float(output))
}
