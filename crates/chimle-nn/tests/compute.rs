//! The settings of a generator's evaluation, compared with each other.

mod small;

use burn::backend::Autodiff;
use burn::module::Param;
use burn::tensor::{DType, Tensor};
use burn_flex::Flex;
use chimle_nn::{Compute, Generator, NamedVisitor, Precision};
use small::{ARCHITECTURES, codes, conditioning, generator, values};

type B = Autodiff<Flex>;

const SIDES: [usize; 2] = [4, 6];

fn images(generator: &Generator<B>) -> Vec<Tensor<B, 4>> {
    let inputs = conditioning(generator.config(), 2, SIDES);
    generator.forward_raw(inputs, codes(generator.config(), 2, SIDES))
}

/// Computes the gradients of the images' mean square with respect to all parameters that have one,
/// by name.
fn gradients(generator: &Generator<B>) -> Vec<(String, Vec<f32>)> {
    struct Collect<'a> {
        gradients: &'a <B as burn::tensor::backend::AutodiffBackend>::Gradients,
        found: Vec<(String, Vec<f32>)>,
    }
    impl NamedVisitor<B> for Collect<'_> {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
            if let Some(gradient) = param.val().grad(self.gradients) {
                assert_eq!(gradient.dtype(), DType::F32, "{name}");
                self.found.push((name.to_owned(), values(gradient)));
            }
        }
    }
    let generator = &chimle_nn::fresh_leaves::<B, _>(generator.clone());
    let loss = images(generator)
        .into_iter()
        .map(|image| image.square().mean());
    let gradients = loss.reduce(|a, b| a + b).unwrap().backward();
    let mut collect = Collect {
        gradients: &gradients,
        found: vec![],
    };
    generator.visit_named(&mut collect);
    collect.found
}

/// Returns the Euclidean norm.
fn norm(values: impl Iterator<Item = f32>) -> f32 {
    values.map(|value| value * value).sum::<f32>().sqrt()
}

/// Returns the norm of the differences.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    norm(found.iter().zip(expected).map(|(a, b)| a - b))
}

/// Returns the norm of the differences, divided by the norm of the expected values.
fn apart(found: &[f32], expected: &[f32]) -> f32 {
    difference(found, expected) / norm(expected.iter().copied()).max(1e-10)
}

/// Returns whether a parameter's gradient is zero in theory.
///
/// The last bias of an RRDB adds a constant to each channel, and the instance normalization that follows subtracts the
/// mean. The computed gradient is rounding error.
fn has_no_gradient_in_theory(name: &str) -> bool {
    name.ends_with("RDB3.conv5.0.bias")
}

#[test]
fn recomputation_gives_the_same_images_and_gradients() {
    for architecture in ARCHITECTURES {
        let kept = generator::<B>(architecture, 3);
        let recompute = Compute {
            recompute: true,
            ..Compute::default()
        };
        let again = kept.clone().with_compute(recompute);
        for (a, b) in images(&again).into_iter().zip(images(&kept)) {
            assert!(apart(&values(a), &values(b)) < 1e-6);
        }
        let (again, kept) = (gradients(&again), gradients(&kept));
        assert_eq!(again.len(), kept.len());
        let norms = kept.iter().map(|(_, values)| norm(values.iter().copied()));
        let largest = norms.fold(0.0, f32::max);
        for ((name, again), (same_name, kept)) in again.iter().zip(&kept) {
            assert_eq!(name, same_name);
            if has_no_gradient_in_theory(name) {
                // Rounding error has no relative accuracy, so the limit is relative to the largest gradient.
                let size = norm(kept.iter().copied()) / largest;
                let apart = difference(again, kept) / largest;
                assert!(size < 1e-6 && apart < 1e-6, "{name}: {size:e}, {apart:e}");
            } else {
                let apart = apart(again, kept);
                assert!(apart < 1e-5, "{name}: {apart:e}");
            }
        }
    }
}

#[test]
fn sixteen_bits_stay_near_thirty_two() {
    for architecture in ARCHITECTURES {
        let full = generator::<B>(architecture, 3);
        for (precision, limit) in [(Precision::Bf16, 2e-2), (Precision::F16, 3e-3)] {
            let half = full.clone().with_compute(Compute {
                precision,
                ..Compute::default()
            });
            for (a, b) in images(&half).into_iter().zip(images(&full)) {
                assert_eq!(a.dtype(), DType::F32);
                let (a, b) = (values(a), values(b));
                assert_ne!(a, b, "{precision}");
                let apart = apart(&a, &b);
                assert!(apart < limit, "{precision}: {apart:e}");
            }
        }
    }
}

#[test]
fn gradients_in_bf16_point_where_those_in_f32_do() {
    for architecture in ARCHITECTURES {
        let full = generator::<B>(architecture, 3);
        let half = full.clone().with_compute(Compute {
            precision: Precision::Bf16,
            recompute: true,
        });
        let all = |gradients: Vec<(String, Vec<f32>)>| -> Vec<f32> {
            gradients
                .into_iter()
                .flat_map(|(_, values)| values)
                .collect()
        };
        let (half, full) = (all(gradients(&half)), all(gradients(&full)));
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter()
                .zip(b)
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum()
        };
        let cosine = dot(&half, &full) / (dot(&half, &half) * dot(&full, &full)).sqrt();
        assert!(cosine > 0.99, "{cosine}");
    }
}
