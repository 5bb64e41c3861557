//! The convolutions of AlexNet, frozen.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::max_pool2d;
use chimle_kernels::Kernels;
use chimle_weights::{WeightFile, WeightsError};

use crate::frozen::{FrozenConv2d, Window};
use crate::imagenet::Standardize;

/// The index of each convolution in torchvision's `features`, its output channels and its window.
const CONVOLUTIONS: [(usize, usize, Window); 5] = [
    (
        0,
        64,
        Window {
            kernel: [11, 11],
            stride: 4,
            padding: [2, 2],
        },
    ),
    (3, 192, Window::same([5, 5])),
    (6, 384, Window::same([3, 3])),
    (8, 256, Window::same([3, 3])),
    (10, 256, Window::same([3, 3])),
];

/// The convolutions that follow a pooling layer, which halves the sides of the feature map.
const POOLED: [usize; 2] = [1, 2];

/// The five convolutions of AlexNet with the widths of Krizhevsky 2014 ("One weird trick"). Their
/// outputs are the feature maps that a distance compares.
///
/// Gradients flow to the image, never to the weights. `valid()` gives the network on the inner
/// backend.
#[derive(Module, Debug)]
pub struct AlexNet<B: Backend> {
    convolutions: Vec<FrozenConv2d<B>>,
    standardize: Standardize<B>,
}

impl<B: Backend> AlexNet<B> {
    /// The smallest side of an image in pixels. Below 31, the last feature map would have no positions;
    /// 32 is the next power of two.
    pub const SMALLEST_SIDE: usize = 32;

    /// Loads the network from a `.pth` or `.safetensors` file with torchvision's names:
    /// `features.N.weight` `[out, in, k, k]` and `features.N.bias` `[out]`.
    ///
    /// # Errors
    ///
    /// The errors of [`WeightFile::open`] and [`WeightFile::tensor`].
    pub fn load(path: impl AsRef<Path>, device: &B::Device) -> Result<Self, WeightsError> {
        let file = WeightFile::open(path)?;
        let mut convolutions = Vec::with_capacity(CONVOLUTIONS.len());
        let mut inputs = 3;
        for (layer, outputs, window) in CONVOLUTIONS {
            let name = format!("features.{layer}");
            let channels = [inputs, outputs];
            convolutions.push(FrozenConv2d::load(&file, &name, channels, window, device)?);
            inputs = outputs;
        }
        Ok(Self {
            convolutions,
            standardize: Standardize::new(device),
        })
    }

    /// Returns the channels of the five feature maps: 64, 192, 384, 256, 256.
    pub fn widths(&self) -> Vec<usize> {
        self.convolutions
            .iter()
            .map(FrozenConv2d::outputs)
            .collect()
    }
}

impl<B: Kernels> AlexNet<B> {
    /// Computes the feature maps after each of the five convolutions and its ReLU.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 3, height, width]`, RGB in [0, 1], both sides at least
    ///   [`SMALLEST_SIDE`](Self::SMALLEST_SIDE)
    /// - output `k`: `[batch, widths[k], height_k, width_k]`. For a side of 64 pixels, the sides of
    ///   the feature maps are 15, 7, 3, 3 and 3.
    pub fn forward(&self, rgb: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let mut x = self.standardize.forward(rgb);
        let mut features = Vec::with_capacity(self.convolutions.len());
        for (k, convolution) in self.convolutions.iter().enumerate() {
            if POOLED.contains(&k) {
                x = max_pool2d(x, [3, 3], [2, 2], [0, 0], [1, 1], false);
            }
            x = convolution.forward_relu(x);
            features.push(x.clone());
        }
        features
    }
}
