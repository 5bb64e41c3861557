//! The weight-normalized 3x3 convolution of the generator (Salimans & Kingma 2016).

use burn::config::Config;
use burn::module::{Initializer, Module, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};
use chimle_kernels::{Activation, Kernels, conv3x3, conv3x3_activated, weight_norm};

/// The negative slope of every LeakyReLU in the generator.
pub const LEAKY_SLOPE: f64 = 0.2;

/// Configuration of a [`WeightNormConv2d`]: 3x3, stride 1, zero padding 1, with bias.
#[derive(Config, Debug)]
pub struct WeightNormConv2dConfig {
    /// The number of channels of the input.
    pub channels_in: usize,
    /// The number of channels of the output.
    pub channels_out: usize,
}

impl WeightNormConv2dConfig {
    /// Creates a convolution with fresh weights: `v` is Kaiming uniform with a = sqrt 5 (PyTorch's
    /// default), `g = ||v||`, and the bias is zero.
    pub fn init<B: Backend>(&self, device: &B::Device) -> WeightNormConv2d<B> {
        let fan_in = self.channels_in * 9;
        let shape = [self.channels_out, self.channels_in, 3, 3];
        // U(-b, b) with b = sqrt(6 / ((1 + a^2) fan_in)) = 1 / sqrt(fan_in)
        let kaiming = Initializer::KaimingUniform {
            gain: (1.0f64 / 3.0).sqrt(),
            fan_out_only: false,
        };
        let weight_v: Param<Tensor<B, 4>> = kaiming.init_with(shape, Some(fan_in), None, device);
        let g = channel_norm(weight_v.val()).detach();
        WeightNormConv2d {
            weight_g: Some(Param::initialized(ParamId::new(), g.require_grad())),
            weight_v,
            bias: Initializer::Zeros.init([self.channels_out], device),
        }
    }
}

/// A 3x3 convolution whose weight is `g * v / ||v||` (Salimans & Kingma 2016, equation 2), with one
/// norm per output channel.
#[derive(Module, Debug)]
pub struct WeightNormConv2d<B: Backend> {
    /// The direction v, `[channels_out, channels_in, 3, 3]`. After [`fold`](Self::fold), the weight
    /// itself.
    pub weight_v: Param<Tensor<B, 4>>,
    /// The length g, `[channels_out, 1, 1, 1]`. `None` after [`fold`](Self::fold).
    pub weight_g: Option<Param<Tensor<B, 4>>>,
    /// The bias, `[channels_out]`.
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: Kernels> WeightNormConv2d<B> {
    /// Convolves the input.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, height, width]`
    /// - output: `[batch, channels_out, height, width]`
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let (weight, bias) = self.parameters_for(&input);
        conv3x3(input, weight, bias)
    }

    /// Evaluates [`forward`](Self::forward) and then LeakyReLU, in one operation.
    pub fn forward_leaky(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let activation = Activation::LeakyRelu { slope: LEAKY_SLOPE };
        let (weight, bias) = self.parameters_for(&input);
        conv3x3_activated(input, weight, bias, activation)
    }

    /// Returns the effective weight and the bias, cast to the type of the input.
    pub(crate) fn parameters_for(&self, input: &Tensor<B, 4>) -> (Tensor<B, 4>, Tensor<B, 1>) {
        let dtype = FloatDType::from(input.dtype());
        (self.weight().cast(dtype), self.bias.val().cast(dtype))
    }

    /// Returns the effective weight `g * v / ||v||`, `[channels_out, channels_in, 3, 3]`.
    pub fn weight(&self) -> Tensor<B, 4> {
        let v = self.weight_v.val();
        match &self.weight_g {
            Some(g) => weight_norm(v, g.val()),
            None => v,
        }
    }

    /// Computes the weight normalization once and returns the same convolution, for evaluation
    /// only.
    pub fn fold(self) -> Self {
        Self {
            weight_v: Param::initialized(ParamId::new(), self.weight().detach()),
            weight_g: None,
            bias: self.bias,
        }
    }
}

fn channel_norm<B: Backend>(v: Tensor<B, 4>) -> Tensor<B, 4> {
    let [out, channels, height, width] = v.dims();
    let flat = v.reshape([out, channels * height * width]);
    (flat.clone() * flat)
        .sum_dim(1)
        .sqrt()
        .reshape([out, 1, 1, 1])
}
