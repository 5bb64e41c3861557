//! The convolutions of SqueezeNet 1.1, frozen.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::max_pool2d;
use chimle_kernels::Kernels;
use chimle_weights::{WeightFile, WeightsError};

use crate::frozen::{FrozenConv2d, Window};
use crate::imagenet::Standardize;

/// The output channels of the first convolution, torchvision's `features.0`.
const FIRST: usize = 64;

/// The index of each fire module in torchvision's `features`, its squeezed channels, and the channels
/// of each half of its output.
const FIRES: [(usize, usize, usize); 8] = [
    (3, 16, 64),
    (4, 16, 64),
    (6, 32, 128),
    (7, 32, 128),
    (9, 48, 192),
    (10, 48, 192),
    (11, 64, 256),
    (12, 64, 256),
];

/// The fire modules that follow a pooling layer, which halves the sides of the feature map.
const POOLED: [usize; 3] = [3, 6, 9];

/// The fire modules whose outputs LPIPS compares.
const FEATURES: [usize; 6] = [4, 7, 9, 10, 11, 12];

/// The convolutions of SqueezeNet 1.1 (Iandola et al. 2016). Their outputs are the feature
/// maps that a distance compares.
///
/// Gradients flow to the image, never to the weights. `valid()` gives the network on the inner
/// backend.
#[derive(Module, Debug)]
pub struct SqueezeNet<B: Backend> {
    first: FrozenConv2d<B>,
    fires: Vec<Fire<B>>,
    standardize: Standardize<B>,
}

impl<B: Backend> SqueezeNet<B> {
    /// The smallest side of an image in pixels. Below 17, the last feature map would have no positions.
    /// Below 25, a pooling window would be larger than its input. 32 is the next power of two.
    pub const SMALLEST_SIDE: usize = 32;

    /// Loads the network from a `.pth` or `.safetensors` file with torchvision's names of
    /// `squeezenet1_1`: `features.0`, and `features.N.squeeze`, `.expand1x1` and `.expand3x3`,
    /// each with `.weight` `[out, in, k, k]` and `.bias` `[out]`.
    ///
    /// # Errors
    ///
    /// The errors of [`WeightFile::open`] and [`WeightFile::tensor`].
    pub fn load(path: impl AsRef<Path>, device: &B::Device) -> Result<Self, WeightsError> {
        let file = WeightFile::open(path)?;
        let window = Window::valid([3, 3], 2);
        let first = FrozenConv2d::load(&file, "features.0", [3, FIRST], window, device)?;
        let mut fires = Vec::with_capacity(FIRES.len());
        let mut inputs = FIRST;
        for (layer, squeezed, half) in FIRES {
            let load = |part: &str, channels, kernel| {
                let name = format!("features.{layer}.{part}");
                FrozenConv2d::load(&file, &name, channels, Window::same(kernel), device)
            };
            fires.push(Fire {
                squeeze: load("squeeze", [inputs, squeezed], [1, 1])?,
                expand1x1: load("expand1x1", [squeezed, half], [1, 1])?,
                expand3x3: load("expand3x3", [squeezed, half], [3, 3])?,
            });
            inputs = 2 * half;
        }
        Ok(Self {
            first,
            fires,
            standardize: Standardize::new(device),
        })
    }

    /// Returns the channels of the seven feature maps: 64, 128, 256, 384, 384, 512, 512.
    pub fn widths(&self) -> Vec<usize> {
        let fires = FIRES.iter().zip(&self.fires);
        let shown = fires.filter(|((layer, ..), _)| FEATURES.contains(layer));
        std::iter::once(self.first.outputs())
            .chain(shown.map(|(_, fire)| fire.outputs()))
            .collect()
    }
}

impl<B: Kernels> SqueezeNet<B> {
    /// Computes the feature maps that LPIPS compares: those after the first convolution, and after the
    /// fire modules `features.4`, 7, 9, 10, 11 and 12.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 3, height, width]`, RGB in [0, 1], both sides at least
    ///   [`SMALLEST_SIDE`](Self::SMALLEST_SIDE)
    /// - output `k`: `[batch, widths[k], height_k, width_k]`. For a side of 64 pixels, the sides of
    ///   the feature maps are 31, 15, 7, 3, 3, 3 and 3.
    pub fn forward(&self, rgb: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let mut x = self.first.forward_relu(self.standardize.forward(rgb));
        let mut features = vec![x.clone()];
        for ((layer, ..), fire) in FIRES.iter().zip(&self.fires) {
            if POOLED.contains(layer) {
                // Sides are rounded up, so the last window may reach past the image.
                x = max_pool2d(x, [3, 3], [2, 2], [0, 0], [1, 1], true);
            }
            x = fire.forward(x);
            if FEATURES.contains(layer) {
                features.push(x.clone());
            }
        }
        features
    }
}

/// A fire module: a convolution to few channels, then a 1x1 and a 3x3 convolution that each make half
/// of the output.
#[derive(Module, Debug)]
struct Fire<B: Backend> {
    squeeze: FrozenConv2d<B>,
    expand1x1: FrozenConv2d<B>,
    expand3x3: FrozenConv2d<B>,
}

impl<B: Backend> Fire<B> {
    fn outputs(&self) -> usize {
        self.expand1x1.outputs() + self.expand3x3.outputs()
    }
}

impl<B: Kernels> Fire<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let squeezed = self.squeeze.forward_relu(x);
        let halves = [&self.expand1x1, &self.expand3x3];
        Tensor::cat(
            halves
                .map(|half| half.forward_relu(squeezed.clone()))
                .to_vec(),
            1,
        )
    }
}
