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
    /// VGG16, with which CHIMLE is trained
    Vgg16,
    /// AlexNet, with which LPIPS is usually reported
    Alexnet,
    /// SqueezeNet 1.1, the smallest
    Squeezenet,
}

/// Returns LPIPS on VGG16 with the weights that `chimle weights` has fetched: the distance of the paper.
///
/// # Errors
/// If the weights have not been fetched. The error says how to fetch them.
pub fn of_the_paper() -> Result<DistanceConfig, Failure> {
    let fetched = |name: &str| {
        weights::named("--perceptual", Path::new(name)).map_err(|_| Failure::Flag {
            flag: "--preset",
            reason: "paper trains with LPIPS on VGG16, whose weights are not in the cache: fetch them with `chimle weights \
                     vgg16 lpips-vgg16`, give their files with --perceptual and --lpips, or choose another distance \
                     with --distance"
                .to_owned(),
        })
    };
    Ok(DistanceConfig::Lpips {
        backbone: Backbone::Vgg16,
        weights: fetched("vgg16")?,
        linear: Some(fetched("lpips-vgg16")?),
    })
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
