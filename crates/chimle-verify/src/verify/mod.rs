//! The comparison of a build with a folder of reference numbers.

mod adam;
mod case;
mod check;
mod comparison;
mod conditioning;
mod folder;
mod gradients;
mod lab;
mod losses;
mod lpips;
mod network;
mod numbers;
mod parameters;
mod photograph;
mod search;
mod sets;
mod setup;

use std::path::Path;

use chimle_core::nn::TrainingBackend;
use chimle_core::perceptual::ImageDistance;

use crate::error::Error;
use check::Report;
use folder::matching;
use lpips::PerceptualWeights;
use setup::{Loss, Setup};

pub use check::{Check, Outcome};

/// Checks this build on `device` against the numbers in the folder `reference`.
///
/// `weights` is a folder with the weights of VGG16 (`vgg16*.safetensors` or `.pth`, with torchvision's
/// names) and of LPIPS (`lpips*/vgg.pth` or `lpips*vgg.pth`). The checks of LPIPS need these weights, and
/// so do the losses, the gradients and the search of a network whose loss is LPIPS.
/// `each` is called with every check as soon as it is made. All checks are also returned.
///
/// The folder may hold any of the following files. A check whose file is missing is reported as
/// [`Outcome::Absent`].
///
/// | files | contents |
/// |---|---|
/// | `tim_*.json` | a small network: task, levels, channels, `batch`, `input_side`, `pool`, `adam`, `loss` (`"lpips"`, which is the default, or `"l2"`) |
/// | `tim_*.pth` | its parameters |
/// | `tim_*_io.safetensors` | `input.i`, `code.i` (flat: global, then local row-major), `output.i`, `rgb.i`, `target.i`, `loss.i`, `loss.total`, `search.pool.i`, `search.selected`, `search.distance` |
/// | `tim_*_grads.safetensors` | the gradients of `loss.total`, by parameter |
/// | `tim_*_after_adam.safetensors` | the parameters after one step of Adam |
/// | `perceptual.safetensors` | images `a` and `b`, `lpips_vgg`, `vgg_unweighted` |
/// | `lab_to_rgb.safetensors` | `network_lab`, `rgb`, `weight`, and `grad`, the gradient of sum(`rgb` * `weight`) |
/// | `img_*.safetensors` | a photograph `rgb`, its `lab`, `bicubic.N` (1/N of the side) and `jpeg.qQ.420` |
/// | `sets.safetensors` | features of two sets of images, `real` and `fake`, in f64 |
/// | `metrics.json` | PSNR and SSIM of the JPEG images, by photograph; FID, KID, precision and others of the sets, under `sets` |
///
/// Gradients must agree to 2e-3, relative to the largest gradient of the same parameter. If some do not,
/// the check measures how far rounding errors move the gradients of each parameter. It changes every weight
/// by 3e-7 of its value, in eight trials. A parameter whose gradients move by more than 1e-3 is
/// ill-conditioned. Its gradients may differ by twice the movement, but by no more than 5e-2, and at most
/// one gradient in a thousand may differ by more than 2e-3.
///
/// # Errors
///
/// [`Error::NothingChecked`] if every check is absent. Otherwise, an error is returned if a file exists but
/// cannot be read or does not have the contents above. The error names the file. A wrong number is not an
/// error; it gives a failed check.
pub fn verify<B: TrainingBackend>(
    reference: &Path,
    weights: Option<&Path>,
    device: &B::Device,
    each: &mut dyn FnMut(&Check),
) -> Result<Vec<Check>, Error> {
    let mut report = Report::new(each);
    let weights = PerceptualWeights::<B>::find(weights, device)?;

    let cases = matching(reference, "tim_", ".json")?;
    if cases.is_empty() {
        report.absent("generator, training and search", "tim_*.json");
    }
    for json in cases {
        let setup = Setup::read(&json)?;
        let name = setup.name();
        if let Some(file) = setup.missing() {
            report.absent(format!("{name}: generator, training and search"), file);
            continue;
        }
        let case = setup.open::<B>(device)?;
        network::check(&case, &mut report)?;
        let distance = match case.setup.loss {
            Loss::Lpips => weights.lpips.clone(),
            Loss::L2 => Ok(ImageDistance::L2),
        };
        match &distance {
            Ok(distance) => {
                losses::check(&case, distance, &mut report)?;
                gradients::check(&case, distance, &mut report)?;
                search::check(&case, distance, &mut report)?;
            }
            Err(missing) => report.absent(format!("{name}: losses, gradients and search"), missing),
        }
        adam::check(&case, &mut report)?;
    }

    lpips::check(reference, &weights, device, &mut report)?;
    lab::check::<B>(reference, device, &mut report)?;
    photograph::check(reference, &mut report)?;
    sets::check(reference, &mut report)?;
    let checks = report.into_checks();
    let is_absent = |check: &Check| matches!(check.outcome, Outcome::Absent { .. });
    if checks.iter().all(is_absent) {
        return Err(Error::NothingChecked {
            path: reference.to_owned(),
        });
    }
    Ok(checks)
}
