//! The check of the training losses.

use burn::tensor::Tensor;
use chimle_core::imle::{Objective, Target};
use chimle_core::nn::TrainingBackend;
use chimle_core::perceptual::{Features, ImageDistance, TrainingDistance};

use super::case::Case;
use super::check::Report;
use super::comparison::{Comparison, relative};
use super::folder::{floats, values};
use crate::error::Error;

/// The largest relative difference allowed of a loss.
const LIMIT: f64 = 1e-3;

/// Checks the loss of every level, and their sum.
pub(super) fn check<B: TrainingBackend>(
    case: &Case<B>,
    distance: &ImageDistance<B>,
    report: &mut Report,
) -> Result<(), Error> {
    let objective = Objective {
        intermediate_supervision: true,
    };
    let target = target(case, distance);
    let losses = objective.losses(
        &case.generator,
        distance,
        case.conditioning.clone(),
        |level, _| case.codes[level].clone(),
        &target,
    );

    let levels = losses.iter().cloned().enumerate();
    let mut all: Vec<_> = levels
        .map(|(i, loss)| (format!("loss, level {}", i + 1), format!("loss.{i}"), loss))
        .collect();
    let total = Tensor::cat(losses, 0).sum();
    all.push(("total loss".to_owned(), "loss.total".to_owned(), total));
    for (what, name, loss) in all {
        let shape = loss.dims();
        let expected = floats(&case.io, &name, &shape)?;
        let mut comparison = Comparison::new(LIMIT);
        comparison.add_all(&name, &shape, &values(loss), &expected, relative);
        let check = format!("{}: {what}", case.setup.name());
        report.push(check, comparison.outcome());
    }
    Ok(())
}

/// Returns the true images with their features.
pub(super) fn target<B: TrainingBackend>(
    case: &Case<B>,
    distance: &ImageDistance<B>,
) -> Target<Features<B>> {
    let images = case.targets.iter().cloned().map(Tensor::inner).collect();
    Target::new(&distance.valid(), images).constants::<B, ImageDistance<B>>()
}
