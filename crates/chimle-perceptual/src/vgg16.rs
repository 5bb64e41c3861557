//! The convolutions of VGG16, frozen.

use std::path::Path;

use burn::config::Config;
use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::module::max_pool2d;
use burn::tensor::{Distribution, Tensor};
use chimle_kernels::Kernels;
use chimle_weights::{WeightFile, WeightsError};

use crate::frozen::{FrozenConv2d, Window};
use crate::imagenet::Standardize;

/// The number of convolutions in each of the five blocks (Simonyan & Zisserman 2015, column D).
const CONVOLUTIONS: [usize; 5] = [2, 2, 3, 3, 3];

/// The configuration of a [`Vgg16`].
#[derive(Config, Debug)]
pub struct Vgg16Config {
    /// The channels of the five blocks. Only the default has published weights.
    #[config(default = "[64, 128, 256, 512, 512]")]
    pub widths: [usize; 5],
}

impl Vgg16Config {
    /// Creates a network with zero biases and random weights, which are normal with variance 2 / fan-in
    /// (He et al. 2015). They are drawn from the backend's random state.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Vgg16<B> {
        let convolution = |_: String, shape: [usize; 4]| {
            let fan_in = (shape[1] * shape[2] * shape[3]) as f64;
            let spread = Distribution::Normal(0.0, (2.0 / fan_in).sqrt());
            let weight = Tensor::random(shape, spread, device);
            Ok::<_, WeightsError>((weight, Tensor::zeros([shape[0]], device)))
        };
        match self.build(convolution, device) {
            Ok(network) => network,
            Err(_) => unreachable!("random weights come from no file"),
        }
    }

    /// Loads a network from a file with torchvision's names: `features.N.weight` `[out, in, 3, 3]` and
    /// `features.N.bias` `[out]`.
    ///
    /// # Errors
    ///
    /// The errors of [`WeightFile::tensor`].
    pub fn load<B: Backend>(
        &self,
        file: &WeightFile,
        device: &B::Device,
    ) -> Result<Vgg16<B>, WeightsError> {
        let convolution = |name: String, shape: [usize; 4]| {
            let weight = file.tensor(&format!("{name}.weight"), shape, device)?;
            let bias = file.tensor(&format!("{name}.bias"), [shape[0]], device)?;
            Ok((weight, bias))
        };
        self.build(convolution, device)
    }

    /// Builds the blocks. `convolution` returns the weight and the bias of a layer, given its name in
    /// torchvision and the shape of its weight.
    fn build<B: Backend, E>(
        &self,
        convolution: impl Fn(String, [usize; 4]) -> Result<(Tensor<B, 4>, Tensor<B, 1>), E>,
        device: &B::Device,
    ) -> Result<Vgg16<B>, E> {
        let mut blocks = Vec::with_capacity(CONVOLUTIONS.len());
        let mut channels = 3;
        // torchvision numbers every layer: a convolution with its ReLU counts as two, a pooling layer
        // as one.
        let mut layer = 0;
        for (count, width) in CONVOLUTIONS.into_iter().zip(self.widths) {
            let mut block = Vec::with_capacity(count);
            for _ in 0..count {
                let (weight, bias) =
                    convolution(format!("features.{layer}"), [width, channels, 3, 3])?;
                block.push(FrozenConv2d::new(weight, bias, Window::same([3, 3])));
                channels = width;
                layer += 2;
            }
            blocks.push(block);
            layer += 1;
        }
        Ok(Vgg16 {
            blocks,
            standardize: Standardize::new(device),
        })
    }
}

/// The 13 convolutions of VGG16 (Simonyan & Zisserman 2015). The outputs of their five blocks are the
/// feature maps that a distance compares.
///
/// Gradients flow to the image, never to the weights. `valid()` gives the network on the inner
/// backend.
#[derive(Module, Debug)]
pub struct Vgg16<B: Backend> {
    blocks: Vec<Vec<FrozenConv2d<B>>>,
    standardize: Standardize<B>,
}

impl<B: Backend> Vgg16<B> {
    /// The smallest side of an image in pixels. The network halves its input four times.
    pub const SMALLEST_SIDE: usize = 16;

    /// Loads the network with its published widths from a `.pth` or `.safetensors` file with
    /// torchvision's names.
    ///
    /// # Errors
    ///
    /// The errors of [`WeightFile::open`] and [`WeightFile::tensor`].
    pub fn load(path: impl AsRef<Path>, device: &B::Device) -> Result<Self, WeightsError> {
        Vgg16Config::new().load(&WeightFile::open(path)?, device)
    }

    /// Returns the channels of the five blocks.
    pub fn widths(&self) -> Vec<usize> {
        let last = |block: &Vec<FrozenConv2d<B>>| block[block.len() - 1].outputs();
        self.blocks.iter().map(last).collect()
    }
}

impl<B: Kernels> Vgg16<B> {
    /// Computes the feature maps after relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 3, height, width]`, RGB in [0, 1], both sides at least
    ///   [`SMALLEST_SIDE`](Self::SMALLEST_SIDE)
    /// - output `k`: `[batch, widths[k], height / 2^k, width / 2^k]` for k = 0 to 4, with sides rounded
    ///   down
    pub fn forward(&self, rgb: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let mut x = self.standardize.forward(rgb);
        let mut features = Vec::with_capacity(self.blocks.len());
        for (k, block) in self.blocks.iter().enumerate() {
            if k > 0 {
                x = max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false);
            }
            for convolution in block {
                x = convolution.forward_relu(x);
            }
            features.push(x.clone());
        }
        features
    }
}
