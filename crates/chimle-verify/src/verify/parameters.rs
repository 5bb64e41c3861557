//! The values and gradients of a generator's parameters, by name.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Param;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use chimle_core::nn::{Generator, NamedVisitor, TrainingBackend, WeightFile};

use super::comparison::Comparison;
use super::folder::{floats, name_of, values};
use crate::error::Error;

/// Arrays by parameter name, in the layout of the authors' release.
pub(super) type Arrays = BTreeMap<String, Array>;

/// The values of a tensor.
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
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

/// Converts a parameter to the layout of the authors' release, which transposes the weights of linear
/// layers.
fn release_layout<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, D> {
    if D == 2 { tensor.transpose() } else { tensor }
}

/// Returns the values of all parameters.
pub(super) fn parameters_of<B: Backend>(generator: &Generator<B>) -> Arrays {
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

/// Returns the gradients of all parameters that have one.
pub(super) fn gradients_of<B: TrainingBackend>(
    generator: &Generator<B>,
    gradients: &B::Gradients,
) -> Arrays {
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

/// Reads the arrays of a file whose names are in `found`.
///
/// If a name is only in `found` or only in the file, a difference of NaN is added to the comparison.
pub(super) fn read_all(
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
    let known = read_known(file, found)?;
    Ok(known
        .into_iter()
        .map(|(name, array)| (name, array.values))
        .collect())
}

/// Reads the arrays of a file whose names are in `known`. They must have the shapes of `known`. Other arrays
/// are ignored.
pub(super) fn read_known(file: &WeightFile, known: &Arrays) -> Result<Arrays, Error> {
    file.names()
        .into_iter()
        .filter_map(|name| known.get(&name).map(|array| (name, array.shape.clone())))
        .map(|(name, shape)| {
            let values = floats(file, &name, &shape)?;
            Ok((name, Array { shape, values }))
        })
        .collect()
}

/// Returns a loss with the given gradients: the sum over parameters of each parameter times its gradient.
pub(super) fn loss_with_gradients<B: TrainingBackend>(
    generator: &Generator<B>,
    gradients: &Arrays,
) -> Tensor<B, 1> {
    struct Sum<'a, B: TrainingBackend> {
        gradients: &'a Arrays,
        terms: Vec<Tensor<B, 1>>,
    }
    impl<B: TrainingBackend> NamedVisitor<B> for Sum<'_, B> {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
            if let Some(Array { shape, values }) = self.gradients.get(name) {
                let value = release_layout(param.val());
                let gradient = TensorData::new(values.clone(), shape.clone());
                let gradient = Tensor::<B, D>::from_data(gradient, &value.device());
                self.terms.push((value * gradient).sum());
            }
        }
    }
    let mut sum = Sum {
        gradients,
        terms: Vec::new(),
    };
    generator.visit_named(&mut sum);
    Tensor::cat(sum.terms, 0).sum()
}
