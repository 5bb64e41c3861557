//! The check of perceptual distances.

use std::path::Path;

use chimle_core::nn::{TrainingBackend, WeightFile};
use chimle_core::perceptual::{Distance, ImageDistance, Lpips, TrainingDistance, Vgg16};

use super::check::Report;
use super::comparison::{Comparison, relative_or_absolute};
use super::folder::{floats, image_shape, matching, name_of, open, values};
use crate::error::Error;

/// The largest difference allowed of a distance. It is relative for distances above 1.
const LIMIT: f64 = 1e-4;

/// LPIPS with the weights that were found.
pub(super) struct PerceptualWeights<B: TrainingBackend> {
    /// LPIPS with its learned weights, or the name of the missing file. The losses and the search of
    /// the reference networks use this distance.
    pub(super) lpips: Result<ImageDistance<B>, String>,
    /// LPIPS with all weights 1, or the name of the missing file.
    unweighted: Result<ImageDistance<B>, String>,
}

impl<B: TrainingBackend> PerceptualWeights<B> {
    /// Reads the weights in a folder, if a folder is given.
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

        // Either the folder that LPIPS publishes, or the file that `chimle weights` downloads.
        let linear = matching(folder, "lpips", "")?.into_iter();
        let mut linear = linear.map(|path| match path.is_dir() {
            true => path.join("vgg.pth"),
            false => path,
        });
        let lpips = match linear.find(|path| path.exists() && name_of(path).ends_with("vgg.pth")) {
            Some(path) => {
                let linear = WeightFile::open(path)?;
                Ok(ImageDistance::Lpips(Lpips::weighted(
                    vgg.clone(),
                    &linear,
                    device,
                )?))
            }
            None => missing("lpips*/vgg.pth or lpips*vgg.pth"),
        };
        Ok(Self {
            lpips,
            unweighted: Ok(ImageDistance::Lpips(Lpips::unweighted(vgg))),
        })
    }
}

/// Checks LPIPS with and without its learned weights on stored pairs of images.
pub(super) fn check<B: TrainingBackend>(
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
