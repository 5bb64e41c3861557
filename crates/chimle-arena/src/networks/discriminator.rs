//! The patch discriminator (Isola et al. 2017), on one or more scales.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::leaky_relu;
use burn::tensor::backend::Backend;
use burn::tensor::module::avg_pool2d;
use chimle_kernels::Kernels;
use serde::{Deserialize, Serialize};

use super::conv::{Conv3x3, instance_norm};
use super::pixels::stack_pixels;

/// The negative slope of LeakyReLU.
const SLOPE: f64 = 0.2;
/// The number of layers that halve the side. Small images have fewer.
const HALVINGS: usize = 3;
/// The smallest side of the map of verdicts.
const SMALLEST_MAP: usize = 4;

/// The settings of a discriminator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscriminatorConfig {
    /// The number of channels of the first layer. They double with each halving.
    pub width: usize,
    /// The number of scales. Each scale after the first reads the image at half the size, with half the width.
    pub scales: usize,
}

impl Default for DiscriminatorConfig {
    fn default() -> Self {
        Self {
            width: 32,
            scales: 2,
        }
    }
}

impl DiscriminatorConfig {
    /// Creates a discriminator of images with `channels` channels and sides of `side` pixels.
    pub fn init<B: Backend>(
        &self,
        channels: usize,
        side: usize,
        device: &B::Device,
    ) -> Discriminator<B> {
        let scale = |k: usize| {
            let width = (self.width >> k).max(4);
            PatchDiscriminator::new(channels, width, side >> k, device)
        };
        Discriminator {
            scales: (0..self.scales.max(1)).map(scale).collect(),
        }
    }
}

/// Patch discriminators on several scales.
#[derive(Module, Debug)]
pub struct Discriminator<B: Backend> {
    scales: Vec<PatchDiscriminator<B>>,
}

impl<B: Kernels> Discriminator<B> {
    /// Judges images, and returns the maps of all layers for each scale. The last map of a scale is the verdict:
    /// one score per patch.
    ///
    /// # Shapes
    ///
    /// - input: `[n, channels, h, w]`
    /// - verdict of scale k: `[n, 1, h_k, w_k]`
    pub fn layers(&self, images: Tensor<B, 4>) -> Vec<Vec<Tensor<B, 4>>> {
        let mut images = Some(images);
        let count = self.scales.len();
        let judged = self.scales.iter().enumerate().map(|(k, scale)| {
            let own = images.take().expect("one image per scale");
            if k + 1 < count {
                images = Some(avg_pool2d(own.clone(), [2, 2], [2, 2], [0, 0], true, false));
            }
            scale.layers(own)
        });
        judged.collect()
    }

    /// Judges images, and returns the verdict of each scale. The shapes are those of [`layers`](Self::layers).
    pub fn forward(&self, images: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let layers = self.layers(images).into_iter();
        layers
            .map(|mut maps| maps.pop().expect("a discriminator has layers"))
            .collect()
    }
}

/// A fully convolutional network that judges each patch of an image.
#[derive(Module, Debug)]
pub struct PatchDiscriminator<B: Backend> {
    halvings: Vec<Conv3x3<B>>,
    verdict: Conv3x3<B>,
}

impl<B: Backend> PatchDiscriminator<B> {
    /// Creates a discriminator of images with `channels` channels and sides of `side` pixels.
    pub fn new(channels: usize, width: usize, side: usize, device: &B::Device) -> Self {
        let most = (side / SMALLEST_MAP).max(2).ilog2() as usize;
        let mut inputs = channels;
        let halvings = (0..HALVINGS.min(most)).map(|k| {
            let outputs = width << k;
            let layer = Conv3x3::new(4 * inputs, outputs, device);
            inputs = outputs;
            layer
        });
        let halvings = halvings.collect();
        Self {
            halvings,
            verdict: Conv3x3::new(inputs, 1, device),
        }
    }
}

impl<B: Kernels> PatchDiscriminator<B> {
    /// Judges images, and returns the maps of all layers. The last map is the verdict: one score per patch.
    ///
    /// # Shapes
    ///
    /// - input: `[n, channels, h, w]`
    /// - verdict: `[n, 1, h', w']`
    pub fn layers(&self, images: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let mut maps: Vec<Tensor<B, 4>> = Vec::new();
        let mut map = images;
        for (k, layer) in self.halvings.iter().enumerate() {
            let stacked = stack_pixels(map);
            // The first layer is not normalized, so that the discriminator sees absolute values and not only
            // contrasts.
            map = match k {
                0 => layer.forward_leaky(stacked, SLOPE),
                _ => leaky_relu(instance_norm(layer.forward(stacked)), SLOPE),
            };
            maps.push(map.clone());
        }
        maps.push(self.verdict.forward(map));
        maps
    }
}
