//! The convolution's gradients as operations that a backend with fast matrix products and a fast
//! forward convolution is good at.

use burn::tensor::Tensor;
use burn::tensor::TensorPrimitive;
use burn::tensor::ops::{FloatTensor, PadMode};

use crate::conv3x3::{Kernels, conv3x3};

/// The input's gradient is itself a 3x3 convolution of the output's gradient: with the weight
/// turned by half a turn, and its channels exchanged.
pub(crate) fn input_by_convolution<B: Kernels>(
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let weight = tensor::<B>(weight).swap_dims(0, 1).flip([2, 3]);
    let [channels, ..] = weight.dims();
    let bias = Tensor::zeros([channels], &weight.device());
    conv3x3(tensor(gradient), weight, bias)
        .into_primitive()
        .tensor()
}

/// The weight's gradient at each of the nine taps is the product of the output's gradient and the
/// input shifted by that tap, over all pixels of all images.
pub(crate) fn weight_by_products<B: Kernels>(
    input: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let gradient = tensor::<B>(gradient);
    let [batch, out, height, width] = gradient.dims();
    let pixels = batch * height * width;
    let gradient = gradient.swap_dims(0, 1).reshape([out, pixels]);
    let input = tensor::<B>(input)
        .pad((1, 1, 1, 1), PadMode::Constant(0.0))
        .swap_dims(0, 1);
    let channels = input.dims()[0];
    let taps = (0..9).map(|tap| {
        let (y, x) = (tap / 3, tap % 3);
        let shifted = input
            .clone()
            .slice([0..channels, 0..batch, y..y + height, x..x + width]);
        let product = gradient
            .clone()
            .matmul(shifted.reshape([channels, pixels]).transpose());
        product.reshape([out, channels, 1])
    });
    Tensor::cat(taps.collect(), 2)
        .reshape([out, channels, 3, 3])
        .into_primitive()
        .tensor()
}

fn tensor<B: Kernels>(primitive: FloatTensor<B>) -> Tensor<B, 4> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}
