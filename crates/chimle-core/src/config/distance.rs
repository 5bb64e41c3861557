//! The setting that names a distance.

use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use chimle_perceptual::{Backbone, ImageDistance, Lpips};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The setting of the distance that the search and the loss use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DistanceConfig {
    /// The mean absolute difference.
    L1,
    /// The mean squared difference.
    L2,
    /// The distance between Laplacian pyramids. It needs no weights.
    LaplacianPyramid,
    /// LPIPS.
    Lpips {
        /// The network whose features are compared. The default is VGG16.
        #[serde(default)]
        backbone: Backbone,
        /// The file with the network's weights: torchvision's `.pth`, or safetensors.
        #[serde(alias = "vgg", with = "crate::path_text")]
        weights: PathBuf,
        /// The file with the linear weights of LPIPS for the network. Without it, all features have the
        /// same weight.
        #[serde(default, with = "crate::path_text::option")]
        linear: Option<PathBuf>,
    },
    /// A weighted sum of distances.
    Sum(Vec<WeightedDistance>),
    /// One distance for the loss, and another one for the search. For example, LPIPS trains the network,
    /// and the Laplacian pyramid chooses the codes, which is several times faster than LPIPS. In the paper,
    /// both are LPIPS.
    Separate {
        /// The distance that the loss and the validation use.
        loss: Box<DistanceConfig>,
        /// The distance with which the search compares candidates.
        search: Box<DistanceConfig>,
    },
    /// The name of a custom distance. The calling program chooses the name, and passes the distance
    /// itself to [`Trainer::create_with`](crate::Trainer::create_with).
    Custom(String),
}

/// One term of a [`DistanceConfig::Sum`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightedDistance {
    /// The factor of the distance, a positive number.
    pub weight: f64,
    /// The distance. It must not be a sum, a pair of separate distances, or a custom distance.
    pub distance: DistanceConfig,
}

impl DistanceConfig {
    /// Checks the parts of a sum, and of separate distances.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if a sum is empty, has a weight that is not positive, or contains anything but
    /// single distances; or if one of two separate distances is itself separate or custom.
    pub fn validate(&self) -> Result<(), Error> {
        let setting = |field, reason: &str| {
            Err(Error::Setting {
                field,
                reason: reason.to_owned(),
            })
        };
        if let Self::Separate { loss, search } = self {
            for part in [loss, search] {
                if matches!(**part, Self::Separate { .. } | Self::Custom(_)) {
                    let reason = "may not contain separate or custom distances";
                    return setting("distance.separate", reason);
                }
                part.validate()?;
            }
            return Ok(());
        }
        let error = |reason: &str| setting("distance.sum", reason);
        let Self::Sum(terms) = self else {
            return Ok(());
        };
        if terms.is_empty() {
            return error("must have at least one term");
        }
        for WeightedDistance { weight, distance } in terms {
            if !(weight.is_finite() && *weight > 0.0) {
                return error("must have positive weights");
            }
            if matches!(
                distance,
                Self::Sum(_) | Self::Separate { .. } | Self::Custom(_)
            ) {
                return error(
                    "may not have a sum, separate distances or a custom distance among its terms",
                );
            }
        }
        Ok(())
    }

    /// Creates the distance and loads its weights from their files.
    ///
    /// # Errors
    ///
    /// If a file of weights is missing, is damaged, or belongs to another network. The error names the
    /// file. [`Error::Setting`] for a [`Custom`](Self::Custom) distance, which cannot be loaded.
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
            Self::Sum(terms) => {
                self.validate()?;
                let terms = terms.iter().map(|WeightedDistance { weight, distance }| {
                    Ok((*weight, distance.load(device)?))
                });
                ImageDistance::Sum(terms.collect::<Result<_, Error>>()?)
            }
            Self::Separate { loss, search } => {
                self.validate()?;
                ImageDistance::Separate {
                    loss: Box::new(loss.load(device)?),
                    search: Box::new(search.load(device)?),
                }
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
            Self::Sum(terms) => {
                let terms = terms.iter().map(|WeightedDistance { weight, distance }| {
                    let name = distance.name();
                    if *weight == 1.0 {
                        name
                    } else {
                        format!("{weight} x {name}")
                    }
                });
                terms.collect::<Vec<_>>().join(" + ")
            }
            // Only the distance of the loss has values that are printed.
            Self::Separate { loss, .. } => loss.name(),
            Self::Custom(name) => name.clone(),
        }
    }

    /// Estimates how many bytes the distance takes, at its peak, for one image of this size.
    ///
    /// The estimate for LPIPS covers two maps of the first convolutions and the features that are
    /// compared. The estimate for a custom distance is 0, because nothing is known about it.
    pub fn bytes_per_image(&self, height: usize, width: usize) -> u64 {
        if let Self::Sum(terms) = self {
            let terms = terms.iter();
            return terms
                .map(|term| term.distance.bytes_per_image(height, width))
                .sum();
        }
        if let Self::Separate { loss, search } = self {
            let parts = [loss, search].map(|part| part.bytes_per_image(height, width));
            return parts[0].max(parts[1]);
        }
        let per_pixel = match self {
            Self::L1 => 12,
            Self::L2 => 6,
            Self::LaplacianPyramid => 24,
            Self::Lpips { backbone, .. } => match backbone {
                Backbone::Vgg16 => 2 * 64 + 122,
                Backbone::AlexNet => 24,
                Backbone::SqueezeNet => 64,
            },
            Self::Sum(_) | Self::Separate { .. } | Self::Custom(_) => 0,
        };
        (4 * per_pixel * height * width) as u64
    }

    /// Estimates how many bytes the features of one image of this size take. Returns `None` for a custom
    /// distance, because nothing is known about it.
    pub(crate) fn feature_bytes(&self, height: usize, width: usize) -> Option<u64> {
        // The number of values per pixel, times 4.
        let quarters = match self {
            Self::L1 | Self::L2 => 12,
            Self::LaplacianPyramid => 16,
            Self::Lpips { backbone, .. } => match backbone {
                Backbone::Vgg16 => 4 * 122,
                Backbone::AlexNet => 64,
                Backbone::SqueezeNet => 96,
            },
            Self::Sum(terms) => {
                let terms = terms.iter();
                return terms
                    .map(|term| term.distance.feature_bytes(height, width))
                    .sum();
            }
            // Only the features of the loss are kept between steps.
            Self::Separate { loss, .. } => return loss.feature_bytes(height, width),
            Self::Custom(_) => return None,
        };
        Some((quarters * height * width) as u64)
    }

    /// Returns the file with the weights of VGG16, if the distance or one of its terms compares VGG16
    /// features.
    pub fn vgg16_weights(&self) -> Option<&Path> {
        match self {
            Self::Lpips {
                backbone: Backbone::Vgg16,
                weights,
                ..
            } => Some(weights),
            Self::Sum(terms) => terms.iter().find_map(|term| term.distance.vgg16_weights()),
            Self::Separate { loss, search } => {
                loss.vgg16_weights().or_else(|| search.vgg16_weights())
            }
            _ => None,
        }
    }

    /// Returns whether the search compares by a squared Euclidean distance between features.
    pub(crate) fn is_euclidean(&self) -> bool {
        match self {
            // The search itself asks a custom distance whether it is Euclidean.
            Self::L2 | Self::Lpips { .. } | Self::Custom(_) => true,
            Self::L1 | Self::LaplacianPyramid => false,
            Self::Sum(terms) => terms.iter().all(|term| term.distance.is_euclidean()),
            Self::Separate { search, .. } => search.is_euclidean(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Section {
        distance: DistanceConfig,
    }

    fn read(toml: &str) -> DistanceConfig {
        toml::from_str::<Section>(toml).unwrap().distance
    }

    #[test]
    fn a_sum_is_read_from_toml() {
        let distance = read(
            r#"
            [[distance.sum]]
            weight = 1.0
            distance = { lpips = { weights = "vgg.pth", linear = "lpips.pth" } }
            [[distance.sum]]
            weight = 0.5
            distance = "laplacian-pyramid"
            "#,
        );
        assert!(distance.validate().is_ok());
        assert_eq!(distance.name(), "LPIPS (VGG16) + 0.5 x Laplacian pyramid");
        assert!(!distance.is_euclidean());
    }

    #[test]
    fn separate_distances_are_read_from_toml() {
        let distance = read(
            r#"
            [distance.separate]
            loss = { lpips = { weights = "vgg.pth" } }
            search = "l2"
            "#,
        );
        assert!(distance.validate().is_ok());
        assert_eq!(distance.name(), "unweighted VGG16 distance");
        assert!(distance.is_euclidean());
        let nested = read(
            r#"
            [distance.separate]
            loss = { separate = { loss = "l1", search = "l2" } }
            search = "l2"
            "#,
        );
        let error = nested.validate().unwrap_err().to_string();
        assert!(error.contains("distance.separate"), "{error}");
    }

    #[test]
    fn a_sum_that_cannot_be_computed_is_refused() {
        for (sum, reason) in [
            ("[]", "at least one term"),
            (
                r#"[{ weight = -1.0, distance = "l1" }]"#,
                "positive weights",
            ),
            (r#"[{ weight = 1.0, distance = { sum = [] } }]"#, "a sum"),
            (
                r#"[{ weight = 1.0, distance = { custom = "mine" } }]"#,
                "custom",
            ),
        ] {
            let error = read(&format!("distance = {{ sum = {sum} }}")).validate();
            let error = error.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
