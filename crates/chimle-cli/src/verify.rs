//! `chimle verify`: checks that this build computes correctly on a device.

use std::path::PathBuf;

use chimle_core::TrainingBackend;
use chimle_verify::{Check, Outcome, verify};
use clap::Args;

use crate::device::{Command, Common};
use crate::error::Failure;
use crate::output;

/// Checks this build and device against reference numbers.
///
/// Prints a line for each check with the largest difference and its limit, then `N passed, N failed`
/// (and `, N skipped`, if reference files are absent). The exit status is 1 if any check failed, or if
/// nothing was checked.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chimle verify --reference reference/ --weights weights/ --device cuda"
)]
pub struct Verify {
    /// The folder of reference numbers (tim_*.json and the files next to them, perceptual.safetensors, img_*.safetensors,
    /// ...); a check whose files are absent is reported as absent
    #[arg(long, value_name = "DIR")]
    reference: PathBuf,

    /// A folder with the weights of VGG16 (vgg16*.safetensors or .pth) and LPIPS (lpips*/vgg.pth or lpips*vgg.pth);
    /// without this flag, the checks that need them are reported as absent
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
}

impl Command for Verify {
    fn run<B: TrainingBackend>(self, device: B::Device, _: Common) -> Result<(), Failure> {
        // A closed output does not change the results, so the error is ignored here.
        let mut show = |check: &Check| drop(output::say(check));
        let checks = verify::<B>(&self.reference, self.weights.as_deref(), &device, &mut show)?;
        let count = |counted: fn(&Outcome) -> bool| {
            checks
                .iter()
                .filter(|check| counted(&check.outcome))
                .count()
        };
        let passed = count(|outcome| matches!(outcome, Outcome::Passed { .. }));
        let failed = count(|outcome| matches!(outcome, Outcome::Failed { .. }));
        let skipped = count(|outcome| matches!(outcome, Outcome::Absent { .. }));
        let skipped = if skipped > 0 {
            format!(", {skipped} skipped")
        } else {
            String::new()
        };
        output::say(format_args!("{passed} passed, {failed} failed{skipped}"))?;
        if failed > 0 {
            Err(Failure::Reported)
        } else {
            Ok(())
        }
    }
}
