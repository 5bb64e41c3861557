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

/// Which network's features a perceptual distance compares.
///
/// In configurations: `vgg16`, `alexnet`, `squeezenet`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backbone {
    /// VGG16: what CHIMLE trains with.
    #[default]
    Vgg16,
    /// AlexNet: what LPIPS is usually reported with.
    AlexNet,
    /// SqueezeNet 1.1: the smallest.
    SqueezeNet,
}

impl Backbone {
    /// The network with the weights of a `.pth` or `.safetensors` file under torchvision's names.
    ///
    /// # Errors
    ///
    /// See [`WeightFile::open`](crate::WeightFile::open) and
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
    /// Five features.
    Vgg16(Vgg16<B>),
    /// Five features.
    AlexNet(AlexNet<B>),
    /// Seven features.
    SqueezeNet(SqueezeNet<B>),
}

impl<B: Backend> BackboneNetwork<B> {
    /// Which it is.
    pub fn backbone(&self) -> Backbone {
        match self {
            Self::Vgg16(_) => Backbone::Vgg16,
            Self::AlexNet(_) => Backbone::AlexNet,
            Self::SqueezeNet(_) => Backbone::SqueezeNet,
        }
    }

    /// Channels of each feature.
    pub fn widths(&self) -> Vec<usize> {
        match self {
            Self::Vgg16(network) => network.widths(),
            Self::AlexNet(network) => network.widths(),
            Self::SqueezeNet(network) => network.widths(),
        }
    }

    /// Smaller images are enlarged to this side.
    pub fn smallest_side(&self) -> usize {
        match self {
            Self::Vgg16(_) => Vgg16::<B>::SMALLEST_SIDE,
            Self::AlexNet(_) => AlexNet::<B>::SMALLEST_SIDE,
            Self::SqueezeNet(_) => SqueezeNet::<B>::SMALLEST_SIDE,
        }
    }
}

impl<B: Kernels> BackboneNetwork<B> {
    /// The network's features of images `[n, 3, h, w]`, RGB in [0, 1], each `[n, widths[k], h_k, w_k]`.
    ///
    /// A side under [`smallest_side`](Self::smallest_side) is enlarged to it by nearest neighbour.
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
