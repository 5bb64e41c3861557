//! The check of the gradients of the total loss.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use chimle_core::nn::{Generator, TrainingBackend, fresh_leaves};
use chimle_core::perceptual::{Distance, ImageDistance};

use super::case::Case;
use super::check::Report;
use super::comparison::{Comparison, absolute, magnitude};
use super::conditioning;
use super::folder::{name_of, open};
use super::losses::target;
use super::parameters::{Arrays, gradients_of, read_all};
use crate::error::Error;

/// The ending of the file of gradients.
pub(super) const GRADIENTS: &str = "_grads.safetensors";

/// The largest difference allowed of a gradient, relative to its parameter's scale.
const LIMIT: f64 = 2e-3;

/// A parameter's scale is its largest gradient, plus this share of the largest gradient of all parameters.
/// The second term allows for gradients that are zero in theory and differ only by rounding.
const FLOOR: f64 = 5e-4;

/// The limit of an ill-conditioned parameter, as a multiple of the movement of its gradients by rounding
/// errors.
const MULTIPLE: f64 = 2.0;

/// The largest limit of an ill-conditioned parameter. A comparison with a larger limit would check nothing.
const LARGEST_LIMIT: f64 = 5e-2;

/// The share of all gradients that may lie beyond [`LIMIT`] if there are ill-conditioned parameters. A unit
/// at a kink changes only a few gradients that much.
const SHARE: f64 = 1e-3;

/// The scale of each parameter's gradients, by name.
pub(super) type Scales = BTreeMap<String, f64>;

/// Checks the gradients of the total loss.
///
/// All gradients must be within [`LIMIT`]. If one is not, [`conditioning`] measures how far rounding errors
/// move the gradients of each parameter. The limit of an ill-conditioned parameter is proportional to this
/// movement.
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
    let found = gradients(&case.generator, case, distance)?;
    let mut strict = Comparison::new(LIMIT);
    let expected = read_all(&file, &found, "gradient", &mut strict)?;
    let scales = scales(&expected);

    let compare = |comparison: &mut Comparison, name: &str| {
        let (found, scale) = (&found[name], scales[name]);
        let difference = |found, expected| absolute(found, expected) / scale;
        comparison.add_all(
            name,
            &found.shape,
            &found.values,
            &expected[name],
            difference,
        );
    };
    let is_within = |name: &str| {
        let mut comparison = Comparison::new(LIMIT);
        compare(&mut comparison, name);
        comparison.is_within()
    };
    let limits = if expected.keys().all(|name| is_within(name)) {
        BTreeMap::new()
    } else {
        ill_conditioned(conditioning::movements(case, distance, &found, &scales)?)
    };

    let mut loose = Vec::new();
    for name in expected.keys() {
        match limits.get(name) {
            None => compare(&mut strict, name),
            Some(&limit) => {
                let mut comparison = Comparison::new(limit);
                compare(&mut comparison, name);
                loose.push(comparison);
            }
        }
    }
    report.push(check(""), strict.outcome());
    let count = loose.len();
    if let Some(worst) = Comparison::worst(loose) {
        let what = format!(", {count} ill-conditioned parameters");
        report.push(check(&what), worst.outcome());
        let what = format!(", share beyond {LIMIT:e}");
        report.push(
            check(&what),
            share_beyond(&found, &expected, &scales).outcome(),
        );
    }
    Ok(())
}

/// Returns the gradients of the total loss of a generator with the inputs of a case.
///
/// The loss is computed on the stored images, through which the gradients flow as through the computed
/// ones. The two differ only by rounding. But a perceptual distance has so many kinks that rounding alone
/// would put some of its units on the other side.
pub(super) fn gradients<B: TrainingBackend>(
    generator: &Generator<B>,
    case: &Case<B>,
    distance: &ImageDistance<B>,
) -> Result<Arrays, Error> {
    let target = target(case, distance);
    let generator = &fresh_leaves::<B, _>(generator.clone());
    let images = generator.forward_raw(case.conditioning.clone(), case.codes.clone());
    let mut losses = Vec::with_capacity(images.len());
    for (i, (image, target)) in images.into_iter().zip(target.levels()).enumerate() {
        let stored = case
            .io
            .tensor(&format!("output.{i}"), image.dims(), &image.device())?;
        let rounding = Tensor::from_inner(stored - image.clone().inner());
        let rgb = generator.raw_to_rgb(image + rounding);
        losses.push(distance.distance(rgb, target));
    }
    let total = Tensor::cat(losses, 0).sum();
    Ok(gradients_of(generator, &total.backward()))
}

fn scales(expected: &BTreeMap<String, Vec<f32>>) -> Scales {
    let largest = expected.values().map(|of| magnitude(of));
    let floor = FLOOR * largest.fold(0.0, f64::max);
    expected
        .iter()
        .map(|(name, values)| (name.clone(), magnitude(values) + floor))
        .collect()
}

/// Returns the limits of the ill-conditioned parameters.
fn ill_conditioned(movements: BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    movements
        .into_iter()
        .map(|(name, movement)| (name, (MULTIPLE * movement).min(LARGEST_LIMIT)))
        .filter(|(_, limit)| *limit > LIMIT)
        .collect()
}

/// Compares the share of all gradients that lie beyond [`LIMIT`] with [`SHARE`].
fn share_beyond(
    found: &Arrays,
    expected: &BTreeMap<String, Vec<f32>>,
    scales: &Scales,
) -> Comparison {
    let (mut beyond, mut all) = (0, 0);
    for (name, expected) in expected {
        let pairs = found[name].values.iter().zip(expected);
        let differences = pairs.map(|(&f, &e)| absolute(f.into(), e.into()) / scales[name]);
        beyond += differences.filter(|&by| by > LIMIT).count();
        all += expected.len();
    }
    let mut share = Comparison::new(SHARE);
    share.add(beyond as f64 / all as f64, || format!("{beyond} of {all}"));
    share
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use burn::backend::Autodiff;
    use burn_flex::Flex;
    use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

    use super::*;
    use crate::verify::check::{Check, Outcome};
    use crate::verify::folder::values;
    use crate::verify::setup::Setup;

    type B = Autodiff<Flex>;

    /// Copies the image-to-image network of the fixtures into a temporary folder and opens it.
    fn network() -> (tempfile::TempDir, Case<B>) {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let folder = tempfile::tempdir().unwrap();
        for ending in [".json", ".pth", "_io.safetensors", GRADIENTS] {
            let name = format!("tim_generic{ending}");
            fs::copy(fixtures.join(&name), folder.path().join(&name)).unwrap();
        }
        let setup = Setup::read(&folder.path().join("tim_generic.json")).unwrap();
        let case = setup.open(&Default::default()).unwrap();
        (folder, case)
    }

    /// Returns the outcomes of the checks of a case's gradients, by name.
    fn outcomes(case: &Case<B>) -> BTreeMap<String, Outcome> {
        let mut outcomes = BTreeMap::new();
        let mut each = |check: &Check| {
            println!("{check}");
            outcomes.insert(check.name.clone(), check.outcome.clone());
        };
        check(case, &ImageDistance::L2, &mut Report::new(&mut each)).unwrap();
        outcomes
    }

    fn write(path: PathBuf, arrays: &Arrays) {
        let bytes: Vec<(&String, &[usize], Vec<u8>)> = arrays
            .iter()
            .map(|(name, array)| {
                let bytes = array.values.iter().flat_map(|v| v.to_le_bytes()).collect();
                (name, &*array.shape, bytes)
            })
            .collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            (
                name,
                TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap(),
            )
        });
        serialize_to_file(views, None, &path).unwrap();
    }

    /// A unit of the first layer of a mapping network, for one example.
    #[derive(Clone, Copy)]
    struct Unit {
        level: usize,
        unit: usize,
        example: usize,
    }

    impl Unit {
        /// Returns the case's generator with a bias that makes the unit's input `value`.
        fn put_at(self, value: f64, case: &Case<B>) -> Generator<B> {
            let mut generator = case.generator.clone();
            let global = values(case.codes[self.level].global.clone());
            let layer = &mut generator.levels[self.level].mapping.input;
            let [inputs, units] = layer.weight.dims();
            let weight = values(layer.weight.val());
            let products = (0..inputs).map(|k| {
                f64::from(weight[k * units + self.unit])
                    * f64::from(global[self.example * inputs + k])
            });
            let bias = value - products.sum::<f64>();
            layer.bias = layer.bias.take().map(|param| {
                param.map(|old| {
                    let new = old.inner().slice_fill(self.unit..self.unit + 1, bias);
                    Tensor::from_inner(new).require_grad()
                })
            });
            generator
        }
    }

    /// Returns the largest difference of gradients, relative to the scale of their parameter.
    fn apart(found: &Arrays, other: &Arrays) -> f64 {
        let other = other
            .iter()
            .map(|(name, array)| (name.clone(), array.values.clone()));
        let other: BTreeMap<_, _> = other.collect();
        let scales = scales(&other);
        let mut comparison = Vec::new();
        for (name, other) in &other {
            let pairs = found[name].values.iter().zip(other);
            comparison.extend(pairs.map(|(&a, &b)| f64::from((a - b).abs()) / scales[name]));
        }
        comparison.into_iter().fold(0.0, f64::max)
    }

    /// Returns a unit whose side of the kink matters: it changes gradients by more than the strict limit, but
    /// by less than the largest limit permits.
    fn unit_that_matters(case: &Case<B>) -> Unit {
        let (levels, units) = (case.generator.levels.len(), case.generator.config().latent);
        let all = (0..levels).flat_map(|level| {
            (0..units).flat_map(move |unit| {
                (0..case.setup.batch).map(move |example| Unit {
                    level,
                    unit,
                    example,
                })
            })
        });
        all.into_iter()
            .find(|unit| {
                let [above, below] = [1e-6, -1e-6].map(|value| {
                    gradients(&unit.put_at(value, case), case, &ImageDistance::L2).unwrap()
                });
                let by = apart(&above, &below);
                2.0 * LIMIT < by && by < LARGEST_LIMIT / 2.0
            })
            .expect("a unit of the fixture")
    }

    #[test]
    fn a_well_conditioned_network_has_the_strict_limit() {
        let (_folder, case) = network();
        let found = outcomes(&case);
        let [(_, outcome)] = Vec::from_iter(found).try_into().unwrap();
        assert!(matches!(outcome, Outcome::Passed { limit: LIMIT, .. }));
    }

    #[test]
    fn a_unit_at_its_kink_loosens_the_limit_of_the_parameters_it_moves() {
        let (folder, mut case) = network();
        let unit = unit_that_matters(&case);
        let sides = [1e-6, -1e-6]
            .map(|value| gradients(&unit.put_at(value, &case), &case, &ImageDistance::L2).unwrap());
        case.generator = unit.put_at(0.0, &case);
        let found = gradients(&case.generator, &case, &ImageDistance::L2).unwrap();
        // The reference has the unit on the side where this build does not have it.
        let mut other = sides
            .into_iter()
            .max_by(|a, b| apart(&found, a).total_cmp(&apart(&found, b)))
            .unwrap();
        let path = folder.path().join(format!("tim_generic{GRADIENTS}"));
        let check = |other: &Arrays, case: &Case<B>| {
            write(path.clone(), other);
            let found = outcomes(case);
            let loose = found
                .iter()
                .find(|(name, _)| name.contains("ill-conditioned"));
            let loose = loose
                .expect("a check of ill-conditioned parameters")
                .1
                .clone();
            [found["tim_generic: gradients"].clone(), loose]
        };
        let [strict, loose] = check(&other, &case);
        assert!(matches!(strict, Outcome::Passed { limit: LIMIT, .. }));
        let Outcome::Passed { largest, limit } = loose else {
            panic!("{loose:?}");
        };
        assert!(LIMIT < largest && largest < limit && limit <= LARGEST_LIMIT);

        // The unit excuses neither differences of other parameters nor large ones of its own parameters.
        let damage = |other: &mut Arrays, name: &str, share: f64| {
            let values = &mut other.get_mut(name).unwrap().values;
            values[0] += (share * magnitude(values)) as f32;
        };
        damage(&mut other, "level_3_out.0.bias", 1e-2);
        let [strict, loose] = check(&other, &case);
        assert!(matches!(strict, Outcome::Failed { .. }));
        assert!(matches!(loose, Outcome::Passed { .. }));
        let bias = format!("level_{}_map_0.0.bias", unit.level + 1);
        damage(&mut other, &bias, 0.2);
        let [_, loose] = check(&other, &case);
        assert!(matches!(loose, Outcome::Failed { .. }));
    }
}
