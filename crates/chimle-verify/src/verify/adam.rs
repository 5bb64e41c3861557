//! The check of the optimizer: one step is compared with stored parameters, two steps with Adam in 64 bits.

use chimle_core::nn::{Generator, TrainingBackend, fresh_leaves, is_mapping};
use chimle_core::optimizer::{self, Groups, ModuleAdam};

use super::case::Case;
use super::check::Report;
use super::comparison::{Comparison, absolute, place};
use super::folder::{name_of, open};
use super::gradients::GRADIENTS;
use super::parameters::{Array, Arrays, loss_with_gradients, parameters_of, read_all, read_known};
use super::setup::AdamSettings;
use crate::error::Error;

/// The largest difference allowed of a parameter after one step: in absolute terms, and relative to the
/// length of the step. The smaller limit applies.
const PARAMETER_LIMIT: f64 = 1e-5;
const STEP_SHARE: f64 = 0.1;

/// The largest difference allowed of a parameter after two steps, relative to the length of a step.
///
/// The first step of Adam hardly depends on the betas, because the bias correction cancels them. The second
/// step does depend on them, although weakly on the second beta: 0.99 in place of 0.999 changes it by 2e-3.
const SECOND_STEP_LIMIT: f64 = 1e-4;

/// The second gradients are the first ones times these factors, in turn.
const FACTORS: [f32; 5] = [1.0, -0.5, 0.25, 3.0, 0.0];

/// Checks one and two steps of Adam on the stored gradients.
///
/// The gradients of this build are not used. If a true gradient is zero, rounding decides the sign of the
/// computed gradient, and Adam would move the parameter by a whole step in either direction.
pub(super) fn check<B: TrainingBackend>(case: &Case<B>, report: &mut Report) -> Result<(), Error> {
    let path = case.setup.file(GRADIENTS);
    let Some(file) = open(&path)? else {
        let name = case.setup.name();
        report.absent(format!("{name}: steps of Adam"), name_of(&path));
        return Ok(());
    };
    let before = parameters_of(&case.generator);
    let gradients = read_known(&file, &before)?;
    let mut optimizer = optimizer::adam(case.setup.adam.betas);
    let [once, twice] = steps(case, &gradients, &mut optimizer);
    check_first(case, &once, report)?;
    check_second(case, &before, &gradients, &twice, report);
    Ok(())
}

/// Returns the parameters after one step, and after a second step with changed gradients.
fn steps<B: TrainingBackend>(
    case: &Case<B>,
    gradients: &Arrays,
    optimizer: &mut ModuleAdam<B, Generator<B>>,
) -> [Arrays; 2] {
    let AdamSettings { lr: rate, .. } = case.setup.adam;
    let mapping_rate = case.setup.adam.mapping_rate();
    let groups = Groups::of(&case.generator);
    let mut generator = fresh_leaves::<B, _>(case.generator.clone());
    [gradients, &changed(gradients)].map(|gradients| {
        let loss = loss_with_gradients(&generator, gradients);
        let before = generator.clone();
        generator = optimizer::step(
            optimizer,
            before,
            loss.backward(),
            &groups,
            rate,
            mapping_rate,
        );
        parameters_of(&generator)
    })
}

/// Returns the gradients of the second step.
fn changed(gradients: &Arrays) -> Arrays {
    let times = |array: &Array| Array {
        shape: array.shape.clone(),
        values: array
            .values
            .iter()
            .zip(FACTORS.into_iter().cycle())
            .map(|(gradient, factor)| gradient * factor)
            .collect(),
    };
    gradients
        .iter()
        .map(|(name, array)| (name.clone(), times(array)))
        .collect()
}

/// Compares the parameters after one step with the stored ones.
fn check_first<B: TrainingBackend>(
    case: &Case<B>,
    found: &Arrays,
    report: &mut Report,
) -> Result<(), Error> {
    let check = |what: &str| format!("{}: {what} after a step of Adam", case.setup.name());
    let path = case.setup.file("_after_adam.safetensors");
    let Some(file) = open(&path)? else {
        report.absent(check("parameters"), name_of(&path));
        return Ok(());
    };
    let limited = |rate: f64| Comparison::new(PARAMETER_LIMIT.min(STEP_SHARE * rate));
    let mut rest = limited(case.setup.adam.lr);
    let mut mapping = limited(case.setup.adam.mapping_rate());
    for (name, expected) in &read_all(&file, found, "value", &mut rest)? {
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

/// Compares the parameters after two steps with Adam in 64 bits.
fn check_second<B: TrainingBackend>(
    case: &Case<B>,
    before: &Arrays,
    gradients: &Arrays,
    found: &Arrays,
    report: &mut Report,
) {
    let settings = &case.setup.adam;
    let changed = changed(gradients);
    let mut rest = Comparison::new(SECOND_STEP_LIMIT);
    let mut mapping = Comparison::new(SECOND_STEP_LIMIT);
    for (name, Array { shape, values }) in found {
        let (rate, group) = if is_mapping(name) {
            (settings.mapping_rate(), &mut mapping)
        } else {
            (settings.lr, &mut rest)
        };
        let before = &before[name].values;
        let expected: Vec<f64> = match gradients.get(name) {
            None => before.iter().map(|&value| value.into()).collect(),
            Some(first) => {
                let gradients = first.values.iter().zip(&changed[name].values);
                before
                    .iter()
                    .zip(gradients)
                    .map(|(&value, (&first, &second))| {
                        let gradients = [first, second].map(f64::from);
                        f64::from(value) - adam_64(gradients, settings.betas, rate)
                    })
                    .collect()
            }
        };
        for (i, (&found, &expected)) in values.iter().zip(&expected).enumerate() {
            // Each step rounds the parameter to 32 bits.
            let rounding = f64::from(f32::EPSILON) * expected.abs();
            let difference = (absolute(found.into(), expected) - rounding).max(0.0) / rate;
            group.add(difference, || place(name, shape, i, found, expected));
        }
    }
    let name = case.setup.name();
    for (what, comparison) in [("parameters", rest), ("mapping networks", mapping)] {
        let check = format!("{name}: {what} after two steps of Adam, relative to a step");
        report.push(check, comparison.outcome());
    }
}

/// Returns by how much Adam (Kingma & Ba 2015, algorithm 1) lowers a parameter in steps with these gradients.
///
/// This is the paper's algorithm in 64 bits, independent of the optimizer that is checked.
fn adam_64<const STEPS: usize>(
    gradients: [f64; STEPS],
    (beta_1, beta_2): (f32, f32),
    rate: f64,
) -> f64 {
    const EPSILON: f64 = 1e-8;
    let [beta_1, beta_2] = [beta_1, beta_2].map(f64::from);
    let (mut first_moment, mut second_moment) = (0.0, 0.0);
    let mut lowered = 0.0;
    for (t, gradient) in (1..).zip(gradients) {
        first_moment = beta_1 * first_moment + (1.0 - beta_1) * gradient;
        second_moment = beta_2 * second_moment + (1.0 - beta_2) * gradient * gradient;
        let mean = first_moment / (1.0 - beta_1.powi(t));
        let variance: f64 = second_moment / (1.0 - beta_2.powi(t));
        lowered += rate * mean / (variance.sqrt() + EPSILON);
    }
    lowered
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::backend::Autodiff;
    use burn_flex::Flex;

    use super::*;
    use crate::verify::check::Check;
    use crate::verify::setup::Setup;

    /// Returns the names of the failed checks of two steps, with the given betas in place of the stored ones.
    fn failures(betas: (f32, f32)) -> Vec<String> {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let setup = Setup::read(&fixtures.join("tim_generic.json")).unwrap();
        let case: Case<Autodiff<Flex>> = setup.open(&Default::default()).unwrap();
        let before = parameters_of(&case.generator);
        let file = open(&case.setup.file(GRADIENTS)).unwrap().unwrap();
        let gradients = read_known(&file, &before).unwrap();
        let [_, twice] = steps(&case, &gradients, &mut optimizer::adam(betas));
        let mut failures = Vec::new();
        let mut each = |check: &Check| {
            println!("{betas:?} {check}");
            failures.extend(check.failed().then(|| check.name.clone()));
        };
        let mut report = Report::new(&mut each);
        check_second(&case, &before, &gradients, &twice, &mut report);
        failures
    }

    #[test]
    fn the_second_step_shows_wrong_betas() {
        assert_eq!(failures((0.9, 0.999)), Vec::<String>::new());
        for betas in [
            (0.8, 0.999),
            (0.91, 0.999),
            (0.9, 0.99),
            (0.9, 0.9999),
            (0.999, 0.9),
        ] {
            assert_eq!(failures(betas).len(), 2, "{betas:?}");
        }
    }

    #[test]
    fn adam_in_64_bits_moves_by_the_rate_at_first_and_by_the_paper_s_formula_then() {
        let betas = (0.5, 0.75);
        assert!((adam_64([3.0], betas, 0.1) - 0.1).abs() < 1e-9);
        // By hand: the moments after gradients 1 and 2 are 1.25 and 1.1875, corrected by 0.75 and 0.4375.
        let second = 0.1 * (1.25 / 0.75) / (1.1875f64 / 0.4375).sqrt();
        assert!((adam_64([1.0, 2.0], betas, 0.1) - 0.1 - second).abs() < 1e-8);
    }
}
