//! The learned perceptual image patch similarity.

use std::path::Path;

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use crate::features::Features;
use crate::vgg16::Vgg16;
use chimle_weights::{WeightFile, WeightsError};

/// Inside the root and again outside it, as in the published code: inside it keeps the gradient
/// of an all-zero feature vector finite.
const EPSILON: f64 = 1e-10;

/// VGG16 halves its input four times.
const SMALLEST_SIDE: usize = 16;

/// LPIPS on VGG16 (Zhang et al. 2018).
///
/// The features of five layers are each divided by their L2 norm over channels; the squared
/// difference is weighted per channel, summed over channels, averaged over positions, and summed
/// over the layers. With learned weights this is LPIPS version 0.1; without, every weight is 1.
#[derive(Module, Debug)]
pub struct Lpips<B: Backend> {
    vgg: Vgg16<B>,
    /// One `[1, 1, channels, 1]` a layer.
    linear: Option<Vec<Tensor<B, 4>>>,
}

impl<B: Backend> Lpips<B> {
    /// The unweighted distance on a network's features.
    pub fn unweighted(vgg: Vgg16<B>) -> Self {
        Self { vgg, linear: None }
    }

    /// The distance weighted by a file's `linK.model.1.weight` `[1, channels, 1, 1]`, K = 0 to 4.
    ///
    /// # Errors
    ///
    /// See [`WeightFile::tensor`].
    pub fn weighted(
        vgg: Vgg16<B>,
        linear: &WeightFile,
        device: &B::Device,
    ) -> Result<Self, WeightsError> {
        let weights = vgg
            .widths()
            .into_iter()
            .enumerate()
            .map(|(k, width)| {
                let name = format!("lin{k}.model.1.weight");
                let weight = linear.tensor::<B, 4>(&name, [1, width, 1, 1], device)?;
                Ok(weight.reshape([1, 1, width, 1]))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            vgg,
            linear: Some(weights),
        })
    }

    /// Reads VGG16 (torchvision's names) and, if given, the learned weights (LPIPS 0.1's names).
    ///
    /// # Errors
    ///
    /// See [`WeightFile::open`] and [`WeightFile::tensor`].
    pub fn load(
        vgg: &Path,
        linear: Option<&Path>,
        device: &B::Device,
    ) -> Result<Self, WeightsError> {
        let vgg = Vgg16::load(vgg, device)?;
        match linear {
            Some(path) => Self::weighted(vgg, &WeightFile::open(path)?, device),
            None => Ok(Self::unweighted(vgg)),
        }
    }

    /// The features of five layers, each divided by its L2 norm over channels.
    ///
    /// Input `[n, 3, h, w]`, RGB in [0, 1]. A side under 16 is enlarged to 16 by nearest
    /// neighbour.
    pub fn features(&self, rgb: Tensor<B, 4>) -> Features<B> {
        let large_enough = enlarge(enlarge(rgb, 2), 3);
        let layers = self.vgg.forward(large_enough);
        Features(layers.into_iter().map(normalize).collect())
    }

    /// One layer's share of the distance, `[g, c]`, from the difference of normalized features,
    /// `[g, c, channels, positions]`.
    pub(crate) fn layer_distance(&self, layer: usize, difference: Tensor<B, 4>) -> Tensor<B, 2> {
        let [g, c, _, _] = difference.dims();
        // Positions first: the weights then multiply one number a channel.
        let by_channel = difference.square().mean_dim(3);
        let weighted = match &self.linear {
            Some(weights) => by_channel * weights[layer].clone(),
            None => by_channel,
        };
        weighted.sum_dim(2).reshape([g, c])
    }
}

/// x / (sqrt(sum of x^2 over channels + eps) + eps).
fn normalize<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let norm = (x.clone().square().sum_dim(1) + EPSILON).sqrt() + EPSILON;
    x / norm
}

/// Repeats rows (or columns) so that `dim` has at least [`SMALLEST_SIDE`] of them; row i shows
/// row floor(i * side / 16).
fn enlarge<B: Backend>(x: Tensor<B, 4>, dim: usize) -> Tensor<B, 4> {
    let side = x.dims()[dim];
    if side >= SMALLEST_SIDE {
        return x;
    }
    let sources: Vec<i32> = (0..SMALLEST_SIDE)
        .map(|i| (i * side / SMALLEST_SIDE) as i32)
        .collect();
    let sources = Tensor::<B, 1, Int>::from_ints(sources.as_slice(), &x.device());
    x.select(dim, sources)
}
