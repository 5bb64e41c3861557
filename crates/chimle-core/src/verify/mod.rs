//! Whether this build, on this device, computes what the method's authors' release computes.
//!
//! [`verify`] reads a folder of reference numbers and reports one [`Check`] after another. Each
//! says how far the numbers of this build lie from the stored ones, and how far they may lie.
//!
//! The folder may hold any of these; what is absent is reported as such:
//!
//! | files | what they hold |
//! |---|---|
//! | `tim_*.json` | a small network: task, levels, channels, `batch`, `input_side`, `pool`, `adam` |
//! | `tim_*.pth` | its parameters |
//! | `tim_*_io.safetensors` | `input.i`, `code.i` (flat: global, then local row-major), `output.i`, `rgb.i`, `target.i`, `loss.i`, `loss.total`, `search.pool.i`, `search.selected`, `search.distance` |
//! | `tim_*_grads.safetensors` | the gradients of `loss.total`, by parameter |
//! | `tim_*_after_adam.safetensors` | the parameters after one step of Adam |
//! | `perceptual.safetensors` | images `a` and `b`, `lpips_vgg`, `vgg_unweighted` |
//! | `lab_to_rgb.safetensors` | `network_lab`, `rgb`, `weight`, and `grad`, the gradient of sum(`rgb` * `weight`) |
//! | `img_*.safetensors` | a photograph `rgb`, its `lab`, `bicubic.N` (1/N of the side) and `jpeg.qQ.420` |
//! | `sets.safetensors` | features of two sets of images, `real` and `fake`, in f64 |
//! | `metrics.json` | PSNR and SSIM of the JPEG images, by photograph; FID, KID, precision and the like of the sets, under `sets` |

mod case;
mod comparison;
mod folder;
mod network;
mod perceptual;
mod photograph;
mod search;
mod sets;
mod training;

use std::fmt;
use std::path::Path;

use chimle_nn::TrainingBackend;

use crate::error::Error;
use case::Setup;
use folder::matching;
use perceptual::PerceptualWeights;

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What, as in "tim_generic: outputs, level 3".
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
}

/// How a check went.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All numbers lie as near as they must.
    Passed {
        /// The largest difference.
        largest: f64,
        /// What it may be.
        limit: f64,
    },
    /// Some number lies too far off.
    Failed {
        /// The largest difference; NaN if a number is not finite, or there is none to compare.
        largest: f64,
        /// What it may be.
        limit: f64,
        /// Which number that is, what was found and what expected.
        place: String,
    },
    /// There was nothing to check against.
    Absent {
        /// What was looked for.
        file: String,
    },
}

impl Check {
    /// Whether the check was made and failed.
    pub fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Passed { largest, limit } => {
                write!(
                    f,
                    "passed  {}: {largest:.1e} (limit {limit:.1e})",
                    self.name
                )
            }
            Outcome::Failed {
                largest,
                limit,
                place,
            } => write!(
                f,
                "FAILED  {}: {largest:.1e} (limit {limit:.1e}), {place}",
                self.name
            ),
            Outcome::Absent { file } => write!(f, "absent  {}: no {file}", self.name),
        }
    }
}

/// Checks this build on `device` against the numbers in the folder `reference`.
///
/// `weights` is a folder with VGG16's weights (`vgg16*.safetensors` or `.pth`, torchvision's
/// names) and LPIPS's (`lpips*/vgg.pth`), which the checks of losses, gradients and the search
/// need. `each` is shown every check as soon as it is made; all are returned.
///
/// # Errors
/// If a file that is there cannot be read, or does not hold what the [module](self) says; the
/// error names it. A number that is wrong is a failed check and no error.
pub fn verify<B: TrainingBackend>(
    reference: &Path,
    weights: Option<&Path>,
    device: &B::Device,
    each: &mut dyn FnMut(&Check),
) -> Result<Vec<Check>, Error> {
    let mut report = Report {
        each,
        checks: Vec::new(),
    };
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
        match &weights.lpips {
            Ok(distance) => {
                training::check_losses(&case, distance, &mut report)?;
                training::check_gradients(&case, distance, &mut report)?;
                search::check(&case, distance, &mut report)?;
            }
            Err(missing) => report.absent(format!("{name}: losses, gradients and search"), missing),
        }
        training::check_step(&case, &mut report)?;
    }

    perceptual::check_lpips(reference, &weights, device, &mut report)?;
    perceptual::check_lab_to_rgb::<B>(reference, device, &mut report)?;
    photograph::check(reference, &mut report)?;
    sets::check(reference, &mut report)?;
    Ok(report.checks)
}

/// The checks made so far.
struct Report<'a> {
    each: &'a mut dyn FnMut(&Check),
    checks: Vec<Check>,
}

impl Report<'_> {
    fn push(&mut self, name: impl Into<String>, outcome: Outcome) {
        let name = name.into();
        let check = Check { name, outcome };
        (self.each)(&check);
        self.checks.push(check);
    }

    fn absent(&mut self, name: impl Into<String>, file: impl Into<String>) {
        self.push(name, Outcome::Absent { file: file.into() });
    }
}
