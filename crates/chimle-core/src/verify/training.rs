//! Losses, their gradients, and a step of Adam.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Param;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_imle::{Objective, Target};
use chimle_nn::{Generator, NamedVisitor, TrainingBackend, WeightFile, is_mapping};
use chimle_perceptual::Distance;

use super::Report;
use super::case::Case;
use super::comparison::{Comparison, absolute, magnitude, relative};
use super::folder::{floats, name_of, open, values};
use crate::error::Error;
use crate::optimizer::{self, Groups};

/// How far a loss may lie, as a share of it.
const LOSS_LIMIT: f64 = 1e-3;

/// How far a gradient may lie, as a share of the largest of its parameter.
const GRADIENT_LIMIT: f64 = 2e-3;

/// This much more is granted to all, as a share of the largest gradient of all parameters: some
/// are zero in theory.
const GRADIENT_FLOOR: f64 = 1e-6;

/// How far a parameter may lie after a step, and at most which share of the step that may be.
const PARAMETER_LIMIT: f64 = 1e-5;
const PARAMETER_SHARE: f64 = 0.1;

/// Adam's first step is as long for a tiny gradient as for a large one. Below this one its
/// direction is a matter of rounding, and the parameter must lie within two steps.
const VANISHING: f64 = 1e-5;
const STEPS: f64 = 2.0;

/// The losses of every level, and what training makes of them.
pub(super) fn check<B: TrainingBackend>(
    case: &Case<B>,
    distance: &Distance<B>,
    report: &mut Report,
) -> Result<(), Error> {
    let targets = case.targets.iter().cloned().map(Tensor::inner).collect();
    let target = Target::from_inner(Target::new(&distance.valid(), targets));
    let objective = Objective {
        intermediate_supervision: true,
    };
    let (conditioning, codes) = (case.conditioning.clone(), case.codes.clone());
    let losses = objective.losses(&case.generator, distance, conditioning, codes, &target);
    let total = Tensor::cat(losses.clone(), 0).sum();

    let levels = losses.into_iter().enumerate();
    let mut all: Vec<_> = levels
        .map(|(i, loss)| (format!("loss, level {}", i + 1), format!("loss.{i}"), loss))
        .collect();
    let name = "total loss".to_owned();
    all.push((name, "loss.total".to_owned(), total.clone()));
    for (what, name, loss) in all {
        let shape = loss.dims();
        let expected = floats(&case.io, &name, &shape)?;
        let mut comparison = Comparison::new(LOSS_LIMIT);
        comparison.add_all(&name, &shape, &values(loss), &expected, relative);
        let check = format!("{}: {what}", case.setup.name());
        report.push(check, comparison.outcome());
    }

    let gradients = total.backward();
    let found = gradients_of(&case.generator, &gradients);
    check_gradients(case, &found, report)?;
    check_step(case, gradients, &found, report)
}

fn check_gradients<B: TrainingBackend>(
    case: &Case<B>,
    found: &Arrays,
    report: &mut Report,
) -> Result<(), Error> {
    let check = format!("{}: gradients", case.setup.name());
    let path = case.setup.file("_grads.safetensors");
    let Some(file) = open(&path)? else {
        report.absent(check, name_of(&path));
        return Ok(());
    };
    let mut comparison = Comparison::new(GRADIENT_LIMIT);
    let expected = read_all(&file, found, "gradient", &mut comparison)?;
    let largest = expected
        .values()
        .map(|of| magnitude(of))
        .fold(0.0, f64::max);
    let floor = GRADIENT_FLOOR / GRADIENT_LIMIT * largest;
    for (name, expected) in &expected {
        let Array { shape, values } = &found[name];
        let scale = magnitude(expected) + floor;
        let difference = |found, expected| absolute(found, expected) / scale;
        comparison.add_all(name, shape, values, expected, difference);
    }
    report.push(check, comparison.outcome());
    Ok(())
}

fn check_step<B: TrainingBackend>(
    case: &Case<B>,
    gradients: B::Gradients,
    gradient_arrays: &Arrays,
    report: &mut Report,
) -> Result<(), Error> {
    let check = |what: &str| format!("{}: {what} after a step of Adam", case.setup.name());
    let path = case.setup.file("_after_adam.safetensors");
    let Some(file) = open(&path)? else {
        report.absent(check("parameters"), name_of(&path));
        return Ok(());
    };
    let adam = &case.setup.adam;
    let (rate, mapping_rate) = (adam.lr, adam.lr * adam.map_lr_multiplier);
    let stepped = optimizer::step(
        &mut optimizer::adam(adam.betas),
        case.generator.clone(),
        gradients,
        &Groups::of(&case.generator),
        rate,
        mapping_rate,
    );
    let found = parameters_of(&stepped);

    let limited = |rate: f64| Comparison::new(PARAMETER_LIMIT.min(PARAMETER_SHARE * rate));
    let (mut rest, mut mapping) = (limited(rate), limited(mapping_rate));
    let mut vanishing = Comparison::new(STEPS);
    let expected = read_all(&file, &found, "value", &mut rest)?;
    for (name, expected) in &expected {
        let Array { shape, values } = &found[name];
        let gradient = gradient_arrays.get(name);
        let (usual, rate) = if is_mapping(name) {
            (&mut mapping, mapping_rate)
        } else {
            (&mut rest, rate)
        };
        for (i, (&found, &expected)) in values.iter().zip(expected).enumerate() {
            let (pair, difference) = ([found, expected], absolute(found.into(), expected.into()));
            // Without a gradient there is no step at all.
            let gradient = gradient.map(|array| f64::from(array.values[i].abs()));
            if gradient.is_some_and(|size| size <= VANISHING) {
                vanishing.add_one(name, shape, i, pair, difference / rate);
            } else {
                usual.add_one(name, shape, i, pair, difference);
            }
        }
    }
    report.push(check("parameters"), rest.outcome());
    report.push(check("mapping networks"), mapping.outcome());
    if vanishing.any() {
        let what = "parameters of vanishing gradient, in steps,";
        report.push(check(what), vanishing.outcome());
    }
    Ok(())
}

/// The values a file holds under the names of `found`. A name that only one side has is the
/// largest difference there can be.
fn read_all(
    file: &WeightFile,
    found: &Arrays,
    kind: &str,
    comparison: &mut Comparison,
) -> Result<BTreeMap<String, Vec<f32>>, Error> {
    let stored: BTreeSet<String> = file.names().into_iter().collect();
    let ours: BTreeSet<String> = found.keys().cloned().collect();
    for name in stored.difference(&ours) {
        comparison.add(f64::NAN, || format!("`{name}` has no {kind} here"));
    }
    for name in ours.difference(&stored) {
        let file = name_of(file.path());
        comparison.add(f64::NAN, || format!("`{name}` has no {kind} in {file}"));
    }
    stored
        .intersection(&ours)
        .map(|name| Ok((name.clone(), floats(file, name, &found[name].shape)?)))
        .collect()
}

/// Values by a parameter's name, in the authors' layout.
type Arrays = BTreeMap<String, Array>;

struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Array {
    /// The release has a linear layer's weight transposed.
    fn of<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Self {
        let tensor = if D == 2 { tensor.transpose() } else { tensor };
        Self {
            shape: tensor.dims().to_vec(),
            values: values(tensor),
        }
    }
}

fn parameters_of<B: Backend>(generator: &Generator<B>) -> Arrays {
    struct Collect(Arrays);
    impl<B: Backend> NamedVisitor<B> for Collect {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
            self.0.insert(name.to_owned(), Array::of(param.val()));
        }
    }
    let mut collect = Collect(Arrays::new());
    generator.visit_named(&mut collect);
    collect.0
}

fn gradients_of<B: TrainingBackend>(generator: &Generator<B>, gradients: &B::Gradients) -> Arrays {
    struct Collect<'a, B: TrainingBackend>(&'a B::Gradients, Arrays);
    impl<B: TrainingBackend> NamedVisitor<B> for Collect<'_, B> {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
            if let Some(gradient) = param.val().grad(self.0) {
                self.1.insert(name.to_owned(), Array::of(gradient));
            }
        }
    }
    let mut collect = Collect::<B>(gradients, Arrays::new());
    generator.visit_named(&mut collect);
    collect.1
}
