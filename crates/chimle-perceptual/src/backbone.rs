//! The networks that LPIPS is published for.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_kernels::Kernels;
use chimle_weights::WeightsError;
use serde::{Deserialize, Serialize};

use crate::alexnet::AlexNet;
use crate::imagenet::enlarge;
use crate::squeezenet::SqueezeNet;
use crate::vgg16::Vgg16;

/// The network whose feature maps a perceptual distance compares.
///
/// The names of the networks in configurations are `vgg16`, `alexnet` and `squeezenet`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backbone {
    /// VGG16. CHIMLE is trained with it.
    #[default]
    Vgg16,
    /// AlexNet. LPIPS is usually reported on it.
    AlexNet,
    /// SqueezeNet 1.1, the smallest of the three.
    SqueezeNet,
}

impl Backbone {
    /// Loads the network from a `.pth` or `.safetensors` file with torchvision's names.
    ///
    /// # Errors
    ///
    /// The errors of [`WeightFile::open`](crate::WeightFile::open) and
    /// [`WeightFile::tensor`](crate::WeightFile::tensor).
    pub fn load<B: Backend>(
        self,
        path: impl AsRef<Path>,
        device: &B::Device,
    ) -> Result<BackboneNetwork<B>, WeightsError> {
        Ok(match self {
            Self::Vgg16 => Vgg16::load(path, device)?.into(),
            Self::AlexNet => AlexNet::load(path, device)?.into(),
            Self::SqueezeNet => SqueezeNet::load(path, device)?.into(),
        })
    }
}

/// A loaded [`Backbone`].
#[derive(Module, Debug)]
pub enum BackboneNetwork<B: Backend> {
    /// VGG16, with five feature maps.
    Vgg16(Vgg16<B>),
    /// AlexNet, with five feature maps.
    AlexNet(AlexNet<B>),
    /// SqueezeNet 1.1, with seven feature maps.
    SqueezeNet(SqueezeNet<B>),
}

impl<B: Backend> BackboneNetwork<B> {
    /// Returns the kind of network.
    pub fn backbone(&self) -> Backbone {
        match self {
            Self::Vgg16(_) => Backbone::Vgg16,
            Self::AlexNet(_) => Backbone::AlexNet,
            Self::SqueezeNet(_) => Backbone::SqueezeNet,
        }
    }

    /// Returns the channels of each feature map.
    pub fn widths(&self) -> Vec<usize> {
        match self {
            Self::Vgg16(network) => network.widths(),
            Self::AlexNet(network) => network.widths(),
            Self::SqueezeNet(network) => network.widths(),
        }
    }

    /// Returns the smallest side in pixels that the network accepts. Smaller images are enlarged to it.
    pub fn smallest_side(&self) -> usize {
        match self {
            Self::Vgg16(_) => Vgg16::<B>::SMALLEST_SIDE,
            Self::AlexNet(_) => AlexNet::<B>::SMALLEST_SIDE,
            Self::SqueezeNet(_) => SqueezeNet::<B>::SMALLEST_SIDE,
        }
    }
}

impl<B: Kernels> BackboneNetwork<B> {
    /// Computes the network's feature maps of images.
    ///
    /// A side below [`smallest_side`](Self::smallest_side) is enlarged to it by nearest-neighbor
    /// interpolation.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 3, height, width]`, RGB in [0, 1]
    /// - output `k`: `[batch, widths[k], height_k, width_k]`
    pub fn forward(&self, rgb: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let rgb = enlarge(rgb, self.smallest_side());
        match self {
            Self::Vgg16(network) => network.forward(rgb),
            Self::AlexNet(network) => network.forward(rgb),
            Self::SqueezeNet(network) => network.forward(rgb),
        }
    }
}

impl<B: Backend> From<Vgg16<B>> for BackboneNetwork<B> {
    fn from(network: Vgg16<B>) -> Self {
        Self::Vgg16(network)
    }
}

impl<B: Backend> From<AlexNet<B>> for BackboneNetwork<B> {
    fn from(network: AlexNet<B>) -> Self {
        Self::AlexNet(network)
    }
}

impl<B: Backend> From<SqueezeNet<B>> for BackboneNetwork<B> {
    fn from(network: SqueezeNet<B>) -> Self {
        Self::SqueezeNet(network)
    }
}
