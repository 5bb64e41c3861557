//! A convolution whose weights never change.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use chimle_kernels::{Activation, Kernels, conv3x3_activated};
use chimle_weights::{WeightFile, WeightsError};

/// How a kernel moves over an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Height and width of the kernel.
    pub(crate) kernel: [usize; 2],
    /// The stride along both axes.
    pub(crate) stride: usize,
    /// The zeros added on each side, vertically and horizontally.
    pub(crate) padding: [usize; 2],
}

impl Window {
    /// Creates a window of stride 1 whose padding keeps the image's size. The kernel's sides are odd.
    pub(crate) const fn same(kernel: [usize; 2]) -> Self {
        Self {
            kernel,
            stride: 1,
            padding: [kernel[0] / 2, kernel[1] / 2],
        }
    }

    /// Creates a window without padding.
    pub(crate) const fn valid(kernel: [usize; 2], stride: usize) -> Self {
        Self {
            kernel,
            stride,
            padding: [0, 0],
        }
    }
}

/// A convolution whose weights are plain tensors.
///
/// The weights are not parameters, so no optimizer changes them, no checkpoint stores them, and
/// autodiff does not compute their gradients.
#[derive(Module, Debug)]
pub(crate) struct FrozenConv2d<B: Backend> {
    /// `[out, in, kernel height, kernel width]`
    weight: Tensor<B, 4>,
    /// `[out]`
    bias: Tensor<B, 1>,
    stride: usize,
    padding: [usize; 2],
}

impl<B: Backend> FrozenConv2d<B> {
    /// Creates a convolution. The window must have the kernel size of the weight.
    pub(crate) fn new(weight: Tensor<B, 4>, bias: Tensor<B, 1>, window: Window) -> Self {
        Self {
            weight,
            bias,
            stride: window.stride,
            padding: window.padding,
        }
    }

    /// Loads the tensors `name.weight` `[outputs, inputs, kernel height, kernel width]` and
    /// `name.bias` `[outputs]`.
    pub(crate) fn load(
        file: &WeightFile,
        name: &str,
        [inputs, outputs]: [usize; 2],
        window: Window,
        device: &B::Device,
    ) -> Result<Self, WeightsError> {
        let [height, width] = window.kernel;
        let shape = [outputs, inputs, height, width];
        let weight = file.tensor(&format!("{name}.weight"), shape, device)?;
        let bias = file.tensor(&format!("{name}.bias"), [outputs], device)?;
        Ok(Self::new(weight, bias, window))
    }

    /// Returns the number of output channels.
    pub(crate) fn outputs(&self) -> usize {
        self.bias.dims()[0]
    }
}

impl<B: Kernels> FrozenConv2d<B> {
    /// Computes the convolution and its ReLU: `[n, in, h, w]` to `[n, out, h', w']`.
    pub(crate) fn forward_relu(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let (weight, bias) = (self.weight.clone(), self.bias.clone());
        let [_, _, height, width] = weight.dims();
        if ([height, width], self.stride, self.padding) == ([3, 3], 1, [1, 1]) {
            return conv3x3_activated(x, weight, bias, Activation::RELU);
        }
        let options = ConvOptions::new([self.stride; 2], self.padding, [1, 1], 1);
        relu(conv2d(x, weight, Some(bias), options))
    }
}
