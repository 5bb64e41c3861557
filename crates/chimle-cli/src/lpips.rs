//! The perceptual distance that `--backbone`, `--perceptual` and `--lpips` describe.

use std::path::Path;

use chimle_core::DistanceConfig;
use chimle_core::perceptual::Backbone;
use clap::ValueEnum;

use crate::error::Failure;
use crate::weights;

/// The network of a perceptual distance.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum BackboneName {
    /// What CHIMLE trains with
    Vgg16,
    /// What LPIPS is usually reported with
    Alexnet,
    /// SqueezeNet 1.1, the smallest
    Squeezenet,
}

/// Returns the configuration of LPIPS, or `None` without `--perceptual`.
///
/// # Errors
/// If weights are given by name and the cache does not have them.
pub fn distance(
    backbone: BackboneName,
    perceptual: Option<&Path>,
    linear: Option<&Path>,
) -> Result<Option<DistanceConfig>, Failure> {
    let Some(weights) = perceptual else {
        return Ok(None);
    };
    let backbone = match backbone {
        BackboneName::Vgg16 => Backbone::Vgg16,
        BackboneName::Alexnet => Backbone::AlexNet,
        BackboneName::Squeezenet => Backbone::SqueezeNet,
    };
    let linear = linear.map(|path| weights::named("--lpips", path));
    Ok(Some(DistanceConfig::Lpips {
        backbone,
        weights: weights::named("--perceptual", weights)?,
        linear: linear.transpose()?,
    }))
}
