//! The check of the optimizer.

use chimle_core::nn::{TrainingBackend, is_mapping};
use chimle_core::optimizer::{self, Groups};

use super::case::Case;
use super::check::Report;
use super::comparison::{Comparison, absolute};
use super::folder::{name_of, open};
use super::gradients::GRADIENTS;
use super::parameters::{Array, loss_with_gradients, parameters_of, read_all};
use crate::error::Error;

/// The largest difference allowed of a parameter after a step of Adam, and the same relative to the
/// length of the step. The smaller of the two applies.
const PARAMETER_LIMIT: f64 = 1e-5;
const STEP_SHARE: f64 = 0.1;

/// Checks one step of Adam on the stored gradients.
///
/// The gradients of this build are not used: where the true gradient is zero, rounding decides the
/// sign of the computed one, and Adam would move the parameter by a whole step in either direction.
pub(super) fn check<B: TrainingBackend>(case: &Case<B>, report: &mut Report) -> Result<(), Error> {
    let check = |what: &str| format!("{}: {what} after a step of Adam", case.setup.name());
    let paths = [GRADIENTS, "_after_adam.safetensors"].map(|ending| case.setup.file(ending));
    let [Some(gradients), Some(file)] = [open(&paths[0])?, open(&paths[1])?] else {
        let missing = paths.iter().find(|path| !path.exists());
        report.absent(
            check("parameters"),
            missing.map(|path| name_of(path)).unwrap_or_default(),
        );
        return Ok(());
    };
    let adam = &case.setup.adam;
    let (rate, mapping_rate) = (adam.lr, adam.lr * adam.map_lr_multiplier);
    let stepped = optimizer::step(
        &mut optimizer::adam(adam.betas),
        case.generator.clone(),
        loss_with_gradients(&case.generator, &gradients)?.backward(),
        &Groups::of(&case.generator),
        rate,
        mapping_rate,
    );

    let found = parameters_of(&stepped);
    let limited = |rate: f64| Comparison::new(PARAMETER_LIMIT.min(STEP_SHARE * rate));
    let (mut rest, mut mapping) = (limited(rate), limited(mapping_rate));
    for (name, expected) in &read_all(&file, &found, "value", &mut rest)? {
        let Array { shape, values } = &found[name];
        let group = if is_mapping(name) {
            &mut mapping
        } else {
            &mut rest
        };
        group.add_all(name, shape, values, expected, absolute);
    }
    report.push(check("parameters"), rest.outcome());
    report.push(check("mapping networks"), mapping.outcome());
    Ok(())
}
