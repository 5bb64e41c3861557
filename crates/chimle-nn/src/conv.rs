//! The 3x3 convolution of the generator, weight-normalized (Salimans & Kingma 2016).

use burn::config::Config;
use burn::module::{Initializer, Module, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};
use chimle_kernels::{Activation, Kernels, conv3x3, conv3x3_activated};

/// The negative slope of every LeakyReLU in the generator.
pub const LEAKY_SLOPE: f64 = 0.2;

/// Configuration of a [`WeightNormConv2d`]: 3x3, stride 1, zero padding 1, with bias.
#[derive(Config, Debug)]
pub struct WeightNormConv2dConfig {
    /// Channels of the input.
    pub channels_in: usize,
    /// Channels of the output.
    pub channels_out: usize,
}

impl WeightNormConv2dConfig {
    /// PyTorch's default: `v` Kaiming uniform with a = sqrt 5, `g = ||v||`, bias zero.
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

/// A 3x3 convolution whose weight is `g * v / ||v||`, the norm taken for each output channel.
#[derive(Module, Debug)]
pub struct WeightNormConv2d<B: Backend> {
    /// Direction, `[channels_out, channels_in, 3, 3]`; once folded, the weight itself.
    pub weight_v: Param<Tensor<B, 4>>,
    /// Length, `[channels_out, 1, 1, 1]`; `None` once folded.
    pub weight_g: Option<Param<Tensor<B, 4>>>,
    /// `[channels_out]`
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: Kernels> WeightNormConv2d<B> {
    /// `[batch, channels_in, height, width]` to `[batch, channels_out, height, width]`.
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let (weight, bias) = self.parameters_for(&input);
        conv3x3(input, weight, bias)
    }

    /// [`forward`](Self::forward), then LeakyReLU, in one operation.
    pub fn forward_leaky(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let activation = Activation::LeakyRelu { slope: LEAKY_SLOPE };
        let (weight, bias) = self.parameters_for(&input);
        conv3x3_activated(input, weight, bias, activation)
    }

    /// The weight in effect and the bias, in the type of the input.
    pub(crate) fn parameters_for(&self, input: &Tensor<B, 4>) -> (Tensor<B, 4>, Tensor<B, 1>) {
        let dtype = FloatDType::from(input.dtype());
        (self.weight().cast(dtype), self.bias.val().cast(dtype))
    }

    /// The weight in effect, `[channels_out, channels_in, 3, 3]`.
    pub fn weight(&self) -> Tensor<B, 4> {
        let v = self.weight_v.val();
        match &self.weight_g {
            Some(g) => v.clone() * (g.val() / channel_norm(v)),
            None => v,
        }
    }

    /// The same convolution with its normalization worked out once, for evaluation only.
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
