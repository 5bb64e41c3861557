//! The ways of evaluating a generator against each other.

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

/// The gradients of the images' mean square in all parameters that have one, by name.
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
    let _alone = small::differentiate_alone();
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

/// The root of the mean square of the differences over that of the values.
fn apart(found: &[f32], expected: &[f32]) -> f32 {
    let square = |sum: f32, value: f32| sum + value * value;
    let differences = found.iter().zip(expected).map(|(a, b)| a - b);
    let size = expected.iter().copied().fold(0.0, square);
    (differences.fold(0.0, square) / size.max(1e-20)).sqrt()
}

#[test]
fn maps_worked_out_again_give_the_same_gradients() {
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
        for ((name, again), (_, kept)) in again.iter().zip(&kept) {
            let apart = apart(again, kept);
            // A bias in front of an instance normalization has a gradient of rounding alone.
            assert!(apart < 1e-5 || name.ends_with("bias"), "{name}: {apart:e}");
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
