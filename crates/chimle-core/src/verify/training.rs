//! Losses, their gradients, and a step of Adam.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Param;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_imle::{Objective, Target, shown_to_rgb};
use chimle_nn::{Generator, NamedVisitor, TrainingBackend, WeightFile, WeightsError, is_mapping};
use chimle_perceptual::Distance;

use super::Report;
use super::case::Case;
use super::comparison::{Comparison, absolute, magnitude, relative};
use super::folder::{floats, name_of, open, values};
use crate::error::Error;
use crate::optimizer::{self, Groups};

/// The ending of the file of gradients.
const GRADIENTS: &str = "_grads.safetensors";

/// How far a loss may lie, as a share of it.
const LOSS_LIMIT: f64 = 1e-3;

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

/// How far a parameter may lie after a step of Adam, and at most which share of the step that is.
const PARAMETER_LIMIT: f64 = 1e-5;
const STEP_SHARE: f64 = 0.1;

/// The losses of every level.
pub(super) fn check_losses<B: TrainingBackend>(
    case: &Case<B>,
    distance: &Distance<B>,
    report: &mut Report,
) -> Result<(), Error> {
    let objective = Objective {
        intermediate_supervision: true,
    };
    let (conditioning, codes) = (case.conditioning.clone(), case.codes.clone());
    let target = target(case, distance);
    let losses = objective.losses(&case.generator, distance, conditioning, codes, &target);

    let levels = losses.iter().cloned().enumerate();
    let mut all: Vec<_> = levels
        .map(|(i, loss)| (format!("loss, level {}", i + 1), format!("loss.{i}"), loss))
        .collect();
    let total = Tensor::cat(losses, 0).sum();
    all.push(("total loss".to_owned(), "loss.total".to_owned(), total));
    for (what, name, loss) in all {
        let shape = loss.dims();
        let expected = floats(&case.io, &name, &shape)?;
        let mut comparison = Comparison::new(LOSS_LIMIT);
        comparison.add_all(&name, &shape, &values(loss), &expected, relative);
        let check = format!("{}: {what}", case.setup.name());
        report.push(check, comparison.outcome());
    }
    Ok(())
}

/// The gradients of the total loss.
pub(super) fn check_gradients<B: TrainingBackend>(
    case: &Case<B>,
    distance: &Distance<B>,
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
    distance: &Distance<B>,
) -> Result<Tensor<B, 1>, Error> {
    let architecture = case.generator.config().architecture;
    let target = target(case, distance);
    let (conditioning, codes) = (case.conditioning.clone(), case.codes.clone());
    let images = case.generator.forward(conditioning, codes);
    let mut losses = Vec::with_capacity(images.len());
    for (i, (image, target)) in images.into_iter().zip(target.levels()).enumerate() {
        let stored = case
            .io
            .tensor(&format!("output.{i}"), image.dims(), &image.device())?;
        let rounding = Tensor::from_inner(stored - image.clone().inner());
        let rgb = shown_to_rgb(architecture, image + rounding);
        losses.push(distance.distance(rgb, target));
    }
    Ok(Tensor::cat(losses, 0).sum())
}

fn target<B: TrainingBackend>(case: &Case<B>, distance: &Distance<B>) -> Target<B> {
    let images = case.targets.iter().cloned().map(Tensor::inner).collect();
    Target::from_inner(Target::new(&distance.valid(), images))
}

/// A step of Adam on the stored gradients: on those of this build, one of 1e-9 that rounding has
/// turned over would send its parameter a whole step the other way.
pub(super) fn check_step<B: TrainingBackend>(
    case: &Case<B>,
    report: &mut Report,
) -> Result<(), Error> {
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

/// The sum of every parameter times its stored gradient, whose gradients are just those.
fn loss_with_gradients<B: TrainingBackend>(
    generator: &Generator<B>,
    gradients: &WeightFile,
) -> Result<Tensor<B, 1>, Error> {
    struct Sum<'a, B: TrainingBackend> {
        gradients: &'a WeightFile,
        stored: BTreeSet<String>,
        terms: Result<Vec<Tensor<B, 1>>, WeightsError>,
    }
    impl<B: TrainingBackend> NamedVisitor<B> for Sum<'_, B> {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
            if !self.stored.contains(name) {
                return;
            }
            if let Ok(terms) = &mut self.terms {
                let value = release_layout(param.val());
                match self.gradients.tensor(name, value.dims(), &value.device()) {
                    Ok(gradient) => terms.push((value * gradient).sum()),
                    Err(error) => self.terms = Err(error),
                }
            }
        }
    }
    let mut sum = Sum {
        gradients,
        stored: gradients.names().into_iter().collect(),
        terms: Ok(Vec::new()),
    };
    generator.visit_named(&mut sum);
    Ok(Tensor::cat(sum.terms?, 0).sum())
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
    fn of<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Self {
        let tensor = release_layout(tensor);
        Self {
            shape: tensor.dims().to_vec(),
            values: values(tensor),
        }
    }
}

/// The release has a linear layer's weight transposed, all else as it is here.
fn release_layout<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, D> {
    if D == 2 { tensor.transpose() } else { tensor }
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
