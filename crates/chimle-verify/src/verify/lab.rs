//! The check of the color conversion between a colorization network and its loss.

use std::path::Path;

use chimle_core::nn::{TrainingBackend, lab_to_rgb};

use super::check::Report;
use super::comparison::{Comparison, absolute, magnitude, relative_or_absolute};
use super::folder::{floats, image_shape, name_of, open, values};
use crate::error::Error;

/// The largest difference allowed of an sRGB value. It is relative for values above 1.
const LIMIT: f64 = 1e-4;

/// The largest difference allowed of a gradient, relative to the largest gradient.
const GRADIENT_LIMIT: f64 = 2e-3;

/// Checks the conversion of a network's Lab to sRGB, and its gradient.
pub(super) fn check<B: TrainingBackend>(
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
