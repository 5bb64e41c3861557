//! The learned perceptual image patch similarity.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_kernels::{Kernels, normalize_channels};
use chimle_weights::{WeightFile, WeightsError};

use crate::backbone::{Backbone, BackboneNetwork};
use crate::features::Features;

/// Added to the squared norm inside the root and to the norm outside it, as in the published code.
/// Inside the root, it keeps the gradient of an all-zero feature vector finite.
const EPSILON: f64 = 1e-10;

/// LPIPS (Zhang et al. 2018) on a [`Backbone`].
///
/// The features of five layers (seven for SqueezeNet) are divided by their L2 norm over channels, at
/// each position. The squared difference of two images' features is weighted per channel, summed over
/// channels, averaged over positions, and summed over the layers. With learned weights this is LPIPS
/// version 0.1. Without learned weights, every weight is 1. Each backbone has its own learned weights,
/// and distances on different backbones must not be compared.
///
/// # Examples
///
/// The network has random weights, because this example has no file of weights. To read published
/// weights, use [`load`](Self::load).
///
/// ```
/// use burn::tensor::Tensor;
/// use burn_flex::Flex;
/// use chimle_perceptual::{Distance, ImageDistance, Lpips, Vgg16Config};
///
/// let device = Default::default();
/// let network = Vgg16Config::new().with_widths([4, 4, 8, 8, 8]).init::<Flex>(&device);
/// let distance = ImageDistance::<Flex>::Lpips(Lpips::unweighted(network));
/// let images = Tensor::<Flex, 4>::ones([2, 3, 16, 16], &device);
/// let distances = distance.between(images.clone(), images);
/// assert_eq!(distances.dims(), [2]);
/// assert_eq!(distances.sum().into_scalar(), 0.0);
/// ```
#[derive(Module, Debug)]
pub struct Lpips<B: Backend> {
    network: BackboneNetwork<B>,
    /// The learned weights, one `[1, 1, channels, 1]` per layer.
    linear: Option<Vec<Tensor<B, 4>>>,
}

impl<B: Backend> Lpips<B> {
    /// Creates the unweighted distance on a network's feature maps.
    pub fn unweighted(network: impl Into<BackboneNetwork<B>>) -> Self {
        Self {
            network: network.into(),
            linear: None,
        }
    }

    /// Creates the distance with the learned weights of a file: `linK.model.1.weight`
    /// `[1, channels, 1, 1]`, for K from 0 to 4 (to 6 for SqueezeNet).
    ///
    /// # Errors
    ///
    /// The errors of [`WeightFile::tensor`].
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

    /// Loads LPIPS on VGG16: the network with torchvision's names and, if given, the learned weights
    /// with the names of LPIPS 0.1.
    ///
    /// # Errors
    ///
    /// The errors of [`WeightFile::open`] and [`WeightFile::tensor`].
    pub fn load(
        vgg: &Path,
        linear: Option<&Path>,
        device: &B::Device,
    ) -> Result<Self, WeightsError> {
        Self::load_on(Backbone::Vgg16, vgg, linear, device)
    }

    /// Loads LPIPS on any backbone. The learned weights must be those of the same backbone.
    ///
    /// # Errors
    ///
    /// The errors of [`load`](Self::load).
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

    /// Returns the kind of network whose feature maps are compared.
    pub fn backbone(&self) -> Backbone {
        self.network.backbone()
    }

    /// Returns the number of layers whose features are compared.
    pub(crate) fn layers(&self) -> usize {
        self.network.widths().len()
    }

    /// Computes one layer's term of the distances, `[targets, candidates]`, from its mean squared
    /// differences `[targets, candidates, channels]`.
    pub(crate) fn layer_distance(&self, layer: usize, by_channel: Tensor<B, 3>) -> Tensor<B, 2> {
        let [g, c, channels] = by_channel.dims();
        let weighted = match &self.linear {
            Some(weights) => by_channel * weights[layer].clone().reshape([1, 1, channels]),
            None => by_channel,
        };
        weighted.sum_dim(2).reshape([g, c])
    }

    /// Converts the features of all layers to points `[n, d]` whose squared Euclidean distance is the
    /// LPIPS distance. A negative learned weight counts as zero. The published weights are not
    /// negative.
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
    /// Computes the backbone's feature maps of images, divided by their L2 norm over channels at each
    /// position.
    ///
    /// A side below the backbone's smallest side (16 pixels for VGG16, 32 for the others) is enlarged
    /// to it by nearest-neighbor interpolation.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 3, height, width]`, RGB in [0, 1]
    /// - feature map `k`: `[batch, channels_k, height_k, width_k]`
    pub fn features(&self, rgb: Tensor<B, 4>) -> Features<B> {
        let layers = self.network.forward(rgb);
        let layers = layers.into_iter();
        Features(layers.map(|x| normalize_channels(x, EPSILON)).collect())
    }
}
