//! Perceptual distances, and the way from Lab to sRGB that they see colorizations through.

use std::path::Path;

use chimle_nn::{TrainingBackend, WeightFile};
use chimle_perceptual::{Distance, Lpips, Vgg16, lab_to_rgb};

use super::Report;
use super::comparison::{Comparison, absolute, magnitude, relative_or_absolute};
use super::folder::{floats, matching, name_of, open, values};
use crate::error::Error;

/// How far a distance or an sRGB value may lie.
const LIMIT: f64 = 1e-4;

/// How far a gradient may lie, as a share of the largest.
const GRADIENT_LIMIT: f64 = 2e-3;

/// The distances that weights were found for.
pub(super) struct PerceptualWeights<B: TrainingBackend> {
    /// LPIPS with its learned weights, the distance of the losses and the search; or the file
    /// missing.
    pub(super) lpips: Result<Distance<B>, String>,
    /// The same with every weight 1.
    unweighted: Result<Distance<B>, String>,
}

impl<B: TrainingBackend> PerceptualWeights<B> {
    /// Reads those in a folder, if there is one.
    pub(super) fn find(folder: Option<&Path>, device: &B::Device) -> Result<Self, Error> {
        let missing = |file: &str| Err(format!("{file} among the weights"));
        let Some(folder) = folder else {
            let none = Err("folder of perceptual weights given".to_owned());
            return Ok(Self {
                lpips: none.clone(),
                unweighted: none,
            });
        };
        let mut vgg = matching(folder, "vgg16", ".safetensors")?;
        vgg.extend(matching(folder, "vgg16", ".pth")?);
        let Some(vgg) = vgg.first() else {
            return Ok(Self {
                lpips: missing("vgg16*.safetensors"),
                unweighted: missing("vgg16*.safetensors"),
            });
        };
        let vgg = Vgg16::load(vgg, device)?;

        // As LPIPS publishes them, or as the cache of `chimle weights` has them.
        let linear = matching(folder, "lpips", "")?.into_iter();
        let mut linear = linear.map(|path| match path.is_dir() {
            true => path.join("vgg.pth"),
            false => path,
        });
        let lpips = match linear.find(|path| path.exists() && name_of(path).ends_with("vgg.pth")) {
            Some(path) => {
                let linear = WeightFile::open(path)?;
                Ok(Distance::Lpips(Lpips::weighted(
                    vgg.clone(),
                    &linear,
                    device,
                )?))
            }
            None => missing("lpips*/vgg.pth or lpips*vgg.pth"),
        };
        Ok(Self {
            lpips,
            unweighted: Ok(Distance::Lpips(Lpips::unweighted(vgg))),
        })
    }
}

/// LPIPS, learned and unweighted, of stored pairs of images.
pub(super) fn check_lpips<B: TrainingBackend>(
    folder: &Path,
    weights: &PerceptualWeights<B>,
    device: &B::Device,
    report: &mut Report,
) -> Result<(), Error> {
    let path = folder.join("perceptual.safetensors");
    let file = open(&path)?;
    for (check, name, distance) in [
        ("LPIPS", "lpips_vgg", &weights.lpips),
        (
            "unweighted VGG distance",
            "vgg_unweighted",
            &weights.unweighted,
        ),
    ] {
        let (file, distance) = match (&file, distance) {
            (Some(file), Ok(distance)) => (file, distance.valid()),
            (None, _) => {
                report.absent(check, name_of(&path));
                continue;
            }
            (_, Err(missing)) => {
                report.absent(check, missing);
                continue;
            }
        };
        let shape = image_shape(file, "a")?;
        let a = file.tensor::<B::InnerBackend, 4>("a", shape, device)?;
        let b = file.tensor("b", shape, device)?;
        let found = values(distance.between(a, b));
        let shape = [found.len()];
        let expected = floats(file, name, &shape)?;
        let mut comparison = Comparison::new(LIMIT);
        comparison.add_all(name, &shape, &found, &expected, relative_or_absolute);
        report.push(check, comparison.outcome());
    }
    Ok(())
}

/// Network Lab to sRGB, and its gradient.
pub(super) fn check_lab_to_rgb<B: TrainingBackend>(
    folder: &Path,
    device: &B::Device,
    report: &mut Report,
) -> Result<(), Error> {
    let path = folder.join("lab_to_rgb.safetensors");
    let Some(file) = open(&path)? else {
        report.absent("Lab to sRGB", name_of(&path));
        return Ok(());
    };
    let shape = image_shape(&file, "network_lab")?;
    let lab = file
        .tensor::<B, 4>("network_lab", shape, device)?
        .require_grad();
    let weight = file.tensor::<B, 4>("weight", shape, device)?;
    let rgb = lab_to_rgb(lab.clone());

    let expected = floats(&file, "rgb", &shape)?;
    let mut comparison = Comparison::new(LIMIT);
    let found = values(rgb.clone());
    comparison.add_all("rgb", &shape, &found, &expected, relative_or_absolute);
    report.push("Lab to sRGB", comparison.outcome());

    let gradients = (rgb * weight).sum().backward();
    let found = lab.grad(&gradients).map(values).unwrap_or_default();
    let expected = floats(&file, "grad", &shape)?;
    let largest = magnitude(&expected);
    let mut comparison = Comparison::new(GRADIENT_LIMIT);
    comparison.add_all("grad", &shape, &found, &expected, |found, expected| {
        absolute(found, expected) / largest
    });
    report.push("Lab to sRGB, gradient", comparison.outcome());
    Ok(())
}

/// The shape of the images under `name`, if that is what they are.
fn image_shape(file: &WeightFile, name: &str) -> Result<[usize; 4], Error> {
    let shape = file.shape(name)?;
    match shape[..] {
        [batch, 3, height, width] => Ok([batch, 3, height, width]),
        _ => Err(Error::Config {
            path: file.path().to_owned(),
            reason: format!("`{name}` has shape {shape:?}, expected [batch, 3, height, width]"),
        }),
    }
}
