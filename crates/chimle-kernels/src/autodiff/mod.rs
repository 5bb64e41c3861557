//! The backward passes. Each gradient is computed by the kernel of the inner backend.

mod comparison;
mod conv3x3;
mod dense_block;
mod modulation;
mod recomputed;
mod weight_norm;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::tensor::ops::FloatTensor;

use crate::activation::Activation;
use crate::dense_block::{DenseBlockParameters, DenseBlocksParameters};
use crate::kernels::Kernels;

impl<B: Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn conv3x3(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        conv3x3::recorded::<B, C>(input, weight, bias, activation)
    }

    fn dense_block(
        input: FloatTensor<Self>,
        parameters: DenseBlockParameters<Self>,
        slope: f64,
        scale: f64,
    ) -> FloatTensor<Self> {
        dense_block::recorded::<B, C>(input, parameters, slope, scale)
    }

    fn modulate(
        input: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        modulation::recorded::<B, C>(input, gain, bias, epsilon)
    }

    fn weight_norm(direction: FloatTensor<Self>, length: FloatTensor<Self>) -> FloatTensor<Self> {
        weight_norm::recorded::<B, C>(direction, length)
    }

    fn dense_blocks_recomputed(
        input: FloatTensor<Self>,
        blocks: DenseBlocksParameters<Self>,
        slope: f64,
        scale: f64,
    ) -> FloatTensor<Self> {
        recomputed::recorded::<B, C>(input, blocks, slope, scale)
    }

    fn normalize_channels(input: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        comparison::normalized::<B, C>(input, epsilon)
    }

    fn squared_differences(
        images: FloatTensor<Self>,
        targets: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        comparison::compared::<B, C>(images, targets)
    }
}
