//! The check of a network's images.

use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use chimle_core::nn::{LatentCode, TrainingBackend};

use super::case::Case;
use super::check::Report;
use super::comparison::{Comparison, absolute, relative_or_absolute};
use super::folder::{floats, values};
use crate::error::Error;

/// The largest difference allowed of a value of an image.
const LIMIT: f64 = 1e-4;

/// Checks the image of every level, and the conversion of the stored images to RGB.
pub(super) fn check<B: TrainingBackend>(case: &Case<B>, report: &mut Report) -> Result<(), Error> {
    let generator = case.generator.valid();
    let conditioning = case.conditioning.iter().cloned().map(Tensor::inner);
    let codes = case.codes.iter().map(|code| LatentCode {
        global: code.global.clone().inner(),
        local: code.local.clone().inner(),
    });
    let images = generator.forward_raw(conditioning.collect(), codes.collect());

    for (i, image) in images.into_iter().enumerate() {
        let (shape, device) = (image.dims(), image.device());
        let (output, rgb) = (format!("output.{i}"), format!("rgb.{i}"));
        let mut outputs = Comparison::new(LIMIT);
        let stored = floats(&case.io, &output, &shape)?;
        outputs.add_all(&output, &shape, &values(image), &stored, absolute);

        // The stored output is converted, not the computed one. Near black, the conversion amplifies
        // differences so much that rounding alone would fail the check. Colors outside sRGB can be far
        // above 1, so large values are compared relatively.
        let stored = case
            .io
            .tensor::<B::InnerBackend, 4>(&output, shape, &device)?;
        let found = values(generator.raw_to_rgb(stored));
        let expected = floats(&case.io, &rgb, &shape)?;
        let mut colors = Comparison::new(LIMIT);
        colors.add_all(&rgb, &shape, &found, &expected, relative_or_absolute);

        for (what, comparison) in [("outputs", outputs), ("RGB", colors)] {
            let check = format!("{}: {what}, level {}", case.setup.name(), i + 1);
            report.push(check, comparison.outcome());
        }
    }
    Ok(())
}
