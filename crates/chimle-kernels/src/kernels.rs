//! The extension of Burn's backends.

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::FloatTensor;

use crate::activation::Activation;
use crate::burn_ops;
use crate::dense_block::{DenseBlockGradients, DenseBlockParameters, DenseBlocksParameters};
use crate::modulation::ModulationGradients;

/// A backend with the operations of the generator.
///
/// Each has a default in Burn's own operations. On a backend that differentiates only
/// [`conv3x3`](Self::conv3x3), [`dense_block`](Self::dense_block),
/// [`dense_blocks_recomputed`](Self::dense_blocks_recomputed), [`modulate`](Self::modulate),
/// [`normalize_channels`](Self::normalize_channels) and
/// [`squared_differences`](Self::squared_differences) are recorded; the other methods are what
/// their backward passes call on the backend below.
pub trait Kernels: Backend {
    /// 3x3 convolution with stride 1 and zero padding 1, then the activation.
    ///
    /// `[batch, in, h, w]`, weight `[out, in, 3, 3]` and bias `[out]` to `[batch, out, h, w]`.
    fn conv3x3(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        burn_ops::conv3x3::<Self>(input, weight, bias, activation)
    }

    /// The gradient of the input, `[batch, in, h, w]`, from that of the sums before the
    /// activation.
    fn conv3x3_input_gradient(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        burn_ops::input_gradient::<Self>(input, weight, gradient)
    }

    /// The gradient of the weight, `[out, in, 3, 3]`, from that of the sums before the activation.
    fn conv3x3_weight_gradient(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        burn_ops::weight_gradient::<Self>(input, weight, gradient)
    }

    /// The gradient of the bias, `[out]`, from that of the sums before the activation.
    fn conv3x3_bias_gradient(
        input: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        burn_ops::bias_gradient::<Self>(input, bias, gradient)
    }

    /// The gradient before an activation, from its output and that output's gradient.
    fn activation_gradient(
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        burn_ops::activation_gradient::<Self>(output, gradient, activation)
    }

    /// The dense block of ESRGAN, `x + scale conv5[x, x1, x2, x3, x4]` with
    /// `x_k = lrelu(conv_k[x, .., x_{k-1}])`: `[batch, c, h, w]` to the same shape.
    fn dense_block(
        input: FloatTensor<Self>,
        parameters: DenseBlockParameters<Self>,
        slope: f64,
        scale: f64,
    ) -> FloatTensor<Self> {
        Self::dense_block_maps(input, parameters, slope, scale).0
    }

    /// [`dense_block`](Self::dense_block), and the maps `[x, x1, x2, x3, x4]` in whatever layout
    /// [`dense_block_gradients`](Self::dense_block_gradients) takes them.
    fn dense_block_maps(
        input: FloatTensor<Self>,
        parameters: DenseBlockParameters<Self>,
        slope: f64,
        scale: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        burn_ops::dense_block_maps::<Self>(input, parameters, slope, scale)
    }

    /// The gradients of a dense block, from its maps and its output's gradient.
    ///
    /// Those of the parameters only if they are wanted.
    fn dense_block_gradients(
        maps: FloatTensor<Self>,
        parameters: DenseBlockParameters<Self>,
        gradient: FloatTensor<Self>,
        slope: f64,
        scale: f64,
        of_parameters: bool,
    ) -> DenseBlockGradients<Self> {
        burn_ops::dense_block_gradients::<Self>(
            maps,
            parameters,
            gradient,
            slope,
            scale,
            of_parameters,
        )
    }

    /// `D3(D2(D1(x)))` with dense blocks D. A backend that differentiates keeps only the input, and
    /// computes the maps again in the backward pass.
    fn dense_blocks_recomputed(
        input: FloatTensor<Self>,
        blocks: DenseBlocksParameters<Self>,
        slope: f64,
        scale: f64,
    ) -> FloatTensor<Self> {
        burn_ops::dense_blocks_recomputed::<Self>(input, blocks, slope, scale)
    }

    /// Each pixel's values divided by `sqrt(sum of their squares + epsilon) + epsilon`:
    /// `[batch, c, h, w]` to the same shape.
    fn normalize_channels(input: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        burn_ops::normalize_channels::<Self>(input, epsilon)
    }

    /// The gradient of a normalization's input, from the input and its output's gradient.
    fn normalize_channels_gradient(
        input: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        burn_ops::normalize_channels_gradient::<Self>(input, gradient, epsilon)
    }

    /// The mean squared difference of each plane: images `[g k, c, h, w]`, group by group, and
    /// targets `[g, c, h, w]` to `[g, k, c]`.
    fn squared_differences(
        images: FloatTensor<Self>,
        targets: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        burn_ops::squared_differences::<Self>(images, targets)
    }

    /// The gradient of the images of [`squared_differences`](Self::squared_differences), from its
    /// output's gradient `[g, k, c]`.
    fn squared_differences_gradient(
        images: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        burn_ops::squared_differences_gradient::<Self>(images, targets, gradient)
    }

    /// `gain * (x - mean) / sqrt(variance + epsilon) + bias` by sample and channel: map
    /// `[batch, c, h, w]`, gains and biases `[batch, c]` to the map's shape.
    fn modulate(
        input: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        burn_ops::modulate::<Self>(input, gain, bias, epsilon)
    }

    /// The gradients of a modulation, from its input, its gains and its output's gradient.
    fn modulate_gradients(
        input: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> ModulationGradients<Self> {
        burn_ops::modulate_gradients::<Self>(input, gain, gradient, epsilon)
    }
}

/// A backend to train on: it differentiates, and both it and what it differentiates have
/// [`Kernels`].
pub trait TrainingBackend: Kernels + AutodiffBackend<InnerBackend: Kernels> {}

impl<B: Kernels + AutodiffBackend<InnerBackend: Kernels>> TrainingBackend for B {}
