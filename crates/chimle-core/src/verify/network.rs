//! What a reference network shows.

use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use chimle_imle::shown_to_rgb;
use chimle_nn::{LatentCode, TrainingBackend};

use super::Report;
use super::case::Case;
use super::comparison::{Comparison, absolute, relative_or_absolute};
use super::folder::{floats, values};
use crate::error::Error;

/// How far a value of an image may lie.
const LIMIT: f64 = 1e-4;

/// The image of every level, and the RGB that a stored one stands for.
pub(super) fn check<B: TrainingBackend>(case: &Case<B>, report: &mut Report) -> Result<(), Error> {
    let generator = case.generator.valid();
    let conditioning = case.conditioning.iter().cloned().map(Tensor::inner);
    let codes = case.codes.iter().map(|code| LatentCode {
        global: code.global.clone().inner(),
        local: code.local.clone().inner(),
    });
    let images = generator.forward(conditioning.collect(), codes.collect());

    let architecture = generator.config().architecture;
    for (i, image) in images.into_iter().enumerate() {
        let (shape, device) = (image.dims(), image.device());
        let (output, rgb) = (format!("output.{i}"), format!("rgb.{i}"));
        let mut outputs = Comparison::new(LIMIT);
        let stored = floats(&case.io, &output, &shape)?;
        outputs.add_all(&output, &shape, &values(image), &stored, absolute);

        // Of the stored output: near black a color is so large a multiple of it that rounding
        // alone would show. Outside sRGB it can be far above 1.
        let stored = case
            .io
            .tensor::<B::InnerBackend, 4>(&output, shape, &device)?;
        let found = values(shown_to_rgb(architecture, stored));
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
