//! The learned perceptual image patch similarity.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_kernels::{Kernels, normalize_channels};
use chimle_weights::{WeightFile, WeightsError};

use crate::backbone::{Backbone, BackboneNetwork};
use crate::features::Features;

/// Inside the root and again outside it, as in the published code: inside it keeps the gradient
/// of an all-zero feature vector finite.
const EPSILON: f64 = 1e-10;

/// LPIPS (Zhang et al. 2018) on a [`Backbone`].
///
/// The features of five layers (SqueezeNet: seven) are each divided by their L2 norm over channels;
/// the squared difference is weighted per channel, summed over channels, averaged over positions,
/// and summed over the layers. With learned weights this is LPIPS version 0.1; without, every
/// weight is 1. Each backbone has its own learned weights, and distances on two backbones are not
/// comparable.
#[derive(Module, Debug)]
pub struct Lpips<B: Backend> {
    network: BackboneNetwork<B>,
    /// One `[1, 1, channels, 1]` a layer.
    linear: Option<Vec<Tensor<B, 4>>>,
}

impl<B: Backend> Lpips<B> {
    /// The unweighted distance on a network's features.
    pub fn unweighted(network: impl Into<BackboneNetwork<B>>) -> Self {
        Self {
            network: network.into(),
            linear: None,
        }
    }

    /// The distance weighted by a file's `linK.model.1.weight` `[1, channels, 1, 1]`, K from 0 to 4
    /// (SqueezeNet: 6).
    ///
    /// # Errors
    ///
    /// See [`WeightFile::tensor`].
    pub fn weighted(
        network: impl Into<BackboneNetwork<B>>,
        linear: &WeightFile,
        device: &B::Device,
    ) -> Result<Self, WeightsError> {
        let network = network.into();
        let weights = network
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
            network,
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
        Self::load_on(Backbone::Vgg16, vgg, linear, device)
    }

    /// As [`load`](Self::load), on any backbone; the learned weights must be that backbone's.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_on(
        backbone: Backbone,
        network: &Path,
        linear: Option<&Path>,
        device: &B::Device,
    ) -> Result<Self, WeightsError> {
        let network = backbone.load(network, device)?;
        match linear {
            Some(path) => Self::weighted(network, &WeightFile::open(path)?, device),
            None => Ok(Self::unweighted(network)),
        }
    }

    /// The network whose features are compared.
    pub fn backbone(&self) -> Backbone {
        self.network.backbone()
    }

    /// Returns the number of layers whose features are compared.
    pub(crate) fn layers(&self) -> usize {
        self.network.widths().len()
    }

    /// Computes one layer's term of the distance, `[g, c]`, from its mean squared differences
    /// `[g, c, channels]`.
    pub(crate) fn layer_distance(&self, layer: usize, by_channel: Tensor<B, 3>) -> Tensor<B, 2> {
        let [g, c, channels] = by_channel.dims();
        let weighted = match &self.linear {
            Some(weights) => by_channel * weights[layer].clone().reshape([1, 1, channels]),
            None => by_channel,
        };
        weighted.sum_dim(2).reshape([g, c])
    }

    /// Features of all layers as points `[n, d]`, scaled so that their squared Euclidean distance is
    /// this one. A learned weight below zero, of which the published ones have none, counts as zero.
    pub(crate) fn embed(&self, features: &Features<B>) -> Tensor<B, 2> {
        let layers = features.0.iter().enumerate().map(|(k, layer)| {
            let [n, channels, height, width] = layer.dims();
            let positions = height * width;
            let layer = layer.clone().reshape([n, 1, channels, positions]);
            let scaled = layer.div_scalar((positions as f64).sqrt());
            let weighted = match &self.linear {
                Some(weights) => scaled * weights[k].clone().clamp_min(0.0).sqrt(),
                None => scaled,
            };
            weighted.reshape([n, channels * positions])
        });
        Tensor::cat(layers.collect(), 1)
    }
}

impl<B: Kernels> Lpips<B> {
    /// The backbone's features, each divided by its L2 norm over channels.
    ///
    /// Input `[n, 3, h, w]`, RGB in [0, 1]. A side under the backbone's smallest (VGG16: 16, the
    /// others: 32) is enlarged to it by nearest neighbour.
    pub fn features(&self, rgb: Tensor<B, 4>) -> Features<B> {
        let layers = self.network.forward(rgb);
        let layers = layers.into_iter();
        Features(layers.map(|x| normalize_channels(x, EPSILON)).collect())
    }
}
