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

/// The image of every level, as the network shows it and as RGB.
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
        let rgb = shown_to_rgb(architecture, image.clone());
        let parts: [(_, _, _, fn(f64, f64) -> f64); 2] = [
            ("outputs", format!("output.{i}"), image, absolute),
            // A color outside sRGB can be far above 1.
            ("RGB", format!("rgb.{i}"), rgb, relative_or_absolute),
        ];
        for (what, name, image, difference) in parts {
            let shape = image.dims();
            let expected = floats(&case.io, &name, &shape)?;
            let mut comparison = Comparison::new(LIMIT);
            comparison.add_all(&name, &shape, &values(image), &expected, difference);
            report.push(
                format!("{}: {what}, level {}", case.setup.name(), i + 1),
                comparison.outcome(),
            );
        }
    }
    Ok(())
}
