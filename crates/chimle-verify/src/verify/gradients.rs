//! The check of the gradients of the total loss.

use burn::tensor::Tensor;
use chimle_core::nn::TrainingBackend;
use chimle_core::perceptual::{Distance, ImageDistance};

use super::case::Case;
use super::check::Report;
use super::comparison::{Comparison, absolute, magnitude};
use super::folder::{name_of, open};
use super::losses::target;
use super::parameters::{Array, gradients_of, read_all};
use crate::error::Error;

/// The ending of the file of gradients.
pub(super) const GRADIENTS: &str = "_grads.safetensors";

/// How far a gradient may lie, as a share of the largest of its parameter, and this much more as a
/// share of the largest of all parameters: some gradients are zero in theory.
const GRADIENT_LIMIT: f64 = 2e-3;
const GRADIENT_FLOOR: f64 = 1e-6;

/// How many gradients may lie further off, and how far. Where the input of a LeakyReLU is zero but
/// for rounding, one side of the kink is as good as the other: so do the release's own gradients
/// lie up to 9e-3 from those that 64 bits give. In its image-to-image network one unit is at -2.4e-7,
/// where its neighbors have a deviation of 0.48; on the other side, it moves a bias's gradient by
/// 2.5e-2 of the largest.
const KINK_SHARE: f64 = 1e-3;
const KINK_LIMIT: f64 = 5e-2;

/// Checks the gradients of the total loss.
pub(super) fn check<B: TrainingBackend>(
    case: &Case<B>,
    distance: &ImageDistance<B>,
    report: &mut Report,
) -> Result<(), Error> {
    let check = |what: &str| format!("{}: gradients{what}", case.setup.name());
    let path = case.setup.file(GRADIENTS);
    let Some(file) = open(&path)? else {
        report.absent(check(""), name_of(&path));
        return Ok(());
    };
    let found = gradients_of(&case.generator, &total_loss(case, distance)?.backward());

    let mut largest = Comparison::new(KINK_LIMIT);
    let expected = read_all(&file, &found, "gradient", &mut largest)?;
    let most = expected
        .values()
        .map(|of| magnitude(of))
        .fold(0.0, f64::max);
    let floor = GRADIENT_FLOOR / GRADIENT_LIMIT * most;
    let (mut far, mut all) = (0, 0);
    for (name, expected) in &expected {
        let Array { shape, values } = &found[name];
        let scale = magnitude(expected) + floor;
        let difference = |found, expected| absolute(found, expected) / scale;
        largest.add_all(name, shape, values, expected, difference);
        let pairs = values.iter().zip(expected);
        let differences =
            pairs.map(|(&found, &expected)| difference(found.into(), expected.into()));
        far += differences.filter(|&by| by > GRADIENT_LIMIT).count();
        all += expected.len();
    }
    report.push(check(""), largest.outcome());
    let mut share = Comparison::new(KINK_SHARE);
    share.add(far as f64 / all as f64, || format!("{far} of {all}"));
    let what = format!(", share beyond {GRADIENT_LIMIT:e}");
    report.push(check(&what), share.outcome());
    Ok(())
}

/// The sum of all losses, with each image moved onto the stored one, to which it is equal but for
/// rounding. A perceptual distance has so many kinks that rounding alone would put some of its
/// units on the other side.
fn total_loss<B: TrainingBackend>(
    case: &Case<B>,
    distance: &ImageDistance<B>,
) -> Result<Tensor<B, 1>, Error> {
    let target = target(case, distance);
    let (conditioning, codes) = (case.conditioning.clone(), case.codes.clone());
    let images = case.generator.forward_raw(conditioning, codes);
    let mut losses = Vec::with_capacity(images.len());
    for (i, (image, target)) in images.into_iter().zip(target.levels()).enumerate() {
        let stored = case
            .io
            .tensor(&format!("output.{i}"), image.dims(), &image.device())?;
        let rounding = Tensor::from_inner(stored - image.clone().inner());
        let rgb = case.generator.raw_to_rgb(image + rounding);
        losses.push(distance.distance(rgb, target));
    }
    Ok(Tensor::cat(losses, 0).sum())
}
