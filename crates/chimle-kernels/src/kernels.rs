//! The extension of Burn's backends.

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::FloatTensor;

use crate::activation::Activation;
use crate::adam::{AdamFactors, AdamStep, Moments};
use crate::burn_ops;
use crate::dense_block::{DenseBlockGradients, DenseBlockParameters, DenseBlocksParameters};
use crate::modulation::ModulationGradients;
use crate::weight_norm::WeightNormGradients;

/// A backend with the operations of the generator and of LPIPS.
///
/// Each method has a default in Burn's own operations. On an autodiff backend, seven methods are
/// differentiable: [`conv3x3`](Self::conv3x3), [`dense_block`](Self::dense_block),
/// [`dense_blocks_recomputed`](Self::dense_blocks_recomputed), [`modulate`](Self::modulate),
/// [`normalize_channels`](Self::normalize_channels),
/// [`squared_differences`](Self::squared_differences) and [`weight_norm`](Self::weight_norm). Their
/// backward passes call the other methods
/// on the inner backend.
pub trait Kernels: Backend {
    /// Computes a 3x3 convolution with stride 1 and zero padding 1, then the activation.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, in, h, w]`
    /// - weight: `[out, in, 3, 3]`
    /// - bias: `[out]`
    /// - output: `[batch, out, h, w]`
    fn conv3x3(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        burn_ops::conv3x3::<Self>(input, weight, bias, activation)
    }

    /// Computes the gradient of the input, `[batch, in, h, w]`, from the gradient of the sums
    /// before the activation.
    fn conv3x3_input_gradient(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        burn_ops::input_gradient::<Self>(input, weight, gradient)
    }

    /// Computes the gradient of the weight, `[out, in, 3, 3]`, from the gradient of the sums before
    /// the activation.
    fn conv3x3_weight_gradient(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        burn_ops::weight_gradient::<Self>(input, weight, gradient)
    }

    /// Computes the gradient of the bias, `[out]`, from the gradient of the sums before the
    /// activation.
    fn conv3x3_bias_gradient(
        input: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        burn_ops::bias_gradient::<Self>(input, bias, gradient)
    }

    /// Computes the gradient before an activation from the activation's output and the gradient of
    /// this output.
    fn activation_gradient(
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        burn_ops::activation_gradient::<Self>(output, gradient, activation)
    }

    /// Evaluates the dense block of ESRGAN, `x + scale conv5[x, x1, x2, x3, x4]` with `x_k =
    /// lrelu(conv_k[x, .., x_{k-1}])`. Input and output are `[batch, c, h, w]`.
    fn dense_block(
        input: FloatTensor<Self>,
        parameters: DenseBlockParameters<Self>,
        slope: f64,
        scale: f64,
    ) -> FloatTensor<Self> {
        Self::dense_block_maps(input, parameters, slope, scale).0
    }

    /// Evaluates [`dense_block`](Self::dense_block), and also returns the maps `[x, x1, x2, x3,
    /// x4]` in the layout that [`dense_block_gradients`](Self::dense_block_gradients) takes.
    fn dense_block_maps(
        input: FloatTensor<Self>,
        parameters: DenseBlockParameters<Self>,
        slope: f64,
        scale: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        burn_ops::dense_block_maps::<Self>(input, parameters, slope, scale)
    }

    /// Computes the gradients of a dense block from its maps and the gradient of its output.
    ///
    /// The gradients of the parameters are computed only if `of_parameters` is set.
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

    /// Evaluates `D3(D2(D1(x)))` with dense blocks D. An autodiff backend keeps only the input, and
    /// computes the maps again in the backward pass.
    fn dense_blocks_recomputed(
        input: FloatTensor<Self>,
        blocks: DenseBlocksParameters<Self>,
        slope: f64,
        scale: f64,
    ) -> FloatTensor<Self> {
        burn_ops::dense_blocks_recomputed::<Self>(input, blocks, slope, scale)
    }

    /// Divides each pixel's values by `sqrt(sum of their squares + epsilon) + epsilon`. Input and
    /// output are `[batch, c, h, w]`.
    fn normalize_channels(input: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        burn_ops::normalize_channels::<Self>(input, epsilon)
    }

    /// Computes the gradient of the input of [`normalize_channels`](Self::normalize_channels) from
    /// the input and the gradient of the output.
    fn normalize_channels_gradient(
        input: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        burn_ops::normalize_channels_gradient::<Self>(input, gradient, epsilon)
    }

    /// Computes the mean squared difference of each plane. The images `[g k, c, h, w]` are ordered
    /// by group, and each group has one of the targets `[g, c, h, w]`. The output is `[g, k, c]`.
    fn squared_differences(
        images: FloatTensor<Self>,
        targets: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        burn_ops::squared_differences::<Self>(images, targets)
    }

    /// Computes the gradient of the images of [`squared_differences`](Self::squared_differences)
    /// from the gradient of the output, `[g, k, c]`.
    fn squared_differences_gradient(
        images: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        burn_ops::squared_differences_gradient::<Self>(images, targets, gradient)
    }

    /// Computes `gain * (x - mean) / sqrt(variance + epsilon) + bias` for each sample and channel.
    /// Input and output are `[batch, c, h, w]`, and gains and biases are `[batch, c]`.
    fn modulate(
        input: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        burn_ops::modulate::<Self>(input, gain, bias, epsilon)
    }

    /// Computes the gradients of [`modulate`](Self::modulate) from the input, the gains and the
    /// gradient of the output.
    fn modulate_gradients(
        input: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> ModulationGradients<Self> {
        burn_ops::modulate_gradients::<Self>(input, gain, gradient, epsilon)
    }

    /// Computes the weight `g v / |v|` from its directions v, `[out, in, kh, kw]`, and its lengths g,
    /// `[out, 1, 1, 1]`. There is one norm per output channel.
    fn weight_norm(direction: FloatTensor<Self>, length: FloatTensor<Self>) -> FloatTensor<Self> {
        burn_ops::weight_norm::<Self>(direction, length)
    }

    /// Computes the gradients of [`weight_norm`](Self::weight_norm) from the directions, the lengths
    /// and the gradient of the weight.
    fn weight_norm_gradients(
        direction: FloatTensor<Self>,
        length: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> WeightNormGradients<Self> {
        burn_ops::weight_norm_gradients::<Self>(direction, length, gradient)
    }

    /// Takes a step of Adam. All tensors have the same shape. Without `moments`, both moments are
    /// zero before the step.
    fn adam_step(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moments: Option<Moments<FloatTensor<Self>>>,
        factors: &AdamFactors,
    ) -> AdamStep<Self> {
        burn_ops::adam_step::<Self>(parameter, gradient, moments, factors)
    }
}

/// A backend for training: an autodiff backend that implements [`Kernels`], as its inner backend
/// does.
pub trait TrainingBackend: Kernels + AutodiffBackend<InnerBackend: Kernels> {}

impl<B: Kernels + AutodiffBackend<InnerBackend: Kernels>> TrainingBackend for B {}
