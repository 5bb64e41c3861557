//! The setting that names a distance.

use std::path::PathBuf;

use burn::tensor::backend::Backend;
use chimle_perceptual::{Backbone, ImageDistance, Lpips};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The distance of the search and the loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DistanceConfig {
    /// Mean absolute difference.
    L1,
    /// Mean squared difference.
    L2,
    /// Laplacian pyramid. It needs no weights.
    LaplacianPyramid,
    /// LPIPS.
    Lpips {
        /// The network whose features are compared. The default is VGG16.
        #[serde(default)]
        backbone: Backbone,
        /// The network's weights, torchvision's `.pth` or safetensors.
        #[serde(alias = "vgg", with = "crate::path_text")]
        weights: PathBuf,
        /// The linear weights of LPIPS for the network. Without them every feature counts the same.
        #[serde(default, with = "crate::path_text::option")]
        linear: Option<PathBuf>,
    },
    /// A distance of the program's own, by a name of its choice. The program gives the distance
    /// itself to [`Trainer::create_with`](crate::Trainer::create_with).
    Custom(String),
}

impl DistanceConfig {
    /// Loads the distance, with its weights from their files.
    ///
    /// # Errors
    ///
    /// Names the file of weights that is missing, damaged or another network's.
    /// [`Error::Setting`] for a [`Custom`](Self::Custom) distance, which cannot be loaded.
    pub fn load<B: Backend>(&self, device: &B::Device) -> Result<ImageDistance<B>, Error> {
        Ok(match self {
            Self::L1 => ImageDistance::L1,
            Self::L2 => ImageDistance::L2,
            Self::LaplacianPyramid => ImageDistance::LaplacianPyramid,
            Self::Lpips {
                backbone,
                weights,
                linear,
            } => {
                let linear = linear.as_deref();
                ImageDistance::Lpips(Lpips::load_on(*backbone, weights, linear, device)?)
            }
            Self::Custom(name) => {
                return Err(Error::Setting {
                    field: "distance",
                    reason: format!(
                        "is {name:?}, which only the program that trained with it can provide"
                    ),
                });
            }
        })
    }

    /// Returns the name printed next to the distance's values. Values with different names must not
    /// be compared.
    pub fn name(&self) -> String {
        match self {
            Self::L1 => "L1".to_owned(),
            Self::L2 => "L2".to_owned(),
            Self::LaplacianPyramid => "Laplacian pyramid".to_owned(),
            Self::Lpips {
                backbone, linear, ..
            } => {
                let network = match backbone {
                    Backbone::Vgg16 => "VGG16",
                    Backbone::AlexNet => "AlexNet",
                    Backbone::SqueezeNet => "SqueezeNet 1.1",
                };
                match linear {
                    Some(_) => format!("LPIPS ({network})"),
                    None => format!("unweighted {network} distance"),
                }
            }
            Self::Custom(name) => name.clone(),
        }
    }

    /// Estimates how many bytes the distance takes, at its peak, for one image of this size.
    ///
    /// For LPIPS these are two maps of the first convolutions and the features that are compared. For
    /// a distance of the program's own nothing is known, and the estimate is 0.
    pub fn bytes_per_image(&self, height: usize, width: usize) -> u64 {
        let per_pixel = match self {
            Self::L1 => 12,
            Self::L2 => 6,
            Self::LaplacianPyramid => 24,
            Self::Lpips { backbone, .. } => match backbone {
                Backbone::Vgg16 => 2 * 64 + 122,
                Backbone::AlexNet => 24,
                Backbone::SqueezeNet => 64,
            },
            Self::Custom(_) => 0,
        };
        (4 * per_pixel * height * width) as u64
    }

    /// Returns whether the distance is a squared Euclidean distance between features.
    pub(crate) fn is_euclidean(&self) -> bool {
        match self {
            // The search asks a distance of the program's own.
            Self::L2 | Self::Lpips { .. } | Self::Custom(_) => true,
            Self::L1 | Self::LaplacianPyramid => false,
        }
    }
}
