//! A step of Adam, compared with Burn's Adam.

use burn::optim::{AdamConfig, SimpleOptimizer};
use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use chimle_kernels::{AdamFactors, adam_step};

const BETAS: [f32; 2] = [0.9, 0.999];
const EPSILON: f32 = 1e-8;
const RATE: f64 = 3e-4;

/// Different numbers of both signs and many magnitudes, the same in every run.
fn wave(count: usize, seed: f32) -> Vec<f32> {
    let value = |k: usize| {
        let x = k as f32 + seed;
        (0.7 * x).sin() * (4.0 * (0.13 * x).cos()).exp()
    };
    (0..count).map(value).collect()
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<Flex, D> {
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

fn assert_same_steps<const D: usize>(shape: [usize; D], gradient: impl Fn(f32) -> Tensor<Flex, D>) {
    let burns = AdamConfig::new()
        .with_beta_1(BETAS[0])
        .with_beta_2(BETAS[1])
        .with_epsilon(EPSILON)
        .build();
    let count = shape.iter().product();
    let mut ours = (tensor(wave(count, 0.5), shape), None);
    let mut theirs = (ours.0.clone(), None);
    for time in 1..5 {
        let gradient = gradient(time as f32);
        let factors = AdamFactors::new(BETAS, EPSILON, RATE, time);
        let (parameter, moments) = adam_step(ours.0, gradient.clone(), ours.1, &factors);
        ours = (parameter, Some(moments));
        theirs = SimpleOptimizer::<Flex>::step(&burns, RATE, theirs.0, gradient, theirs.1);
        assert_eq!(ours.0.to_data(), theirs.0.to_data(), "step {time}");
        let [first, second] = ours.1.clone().expect("moments after a step");
        let momentum = theirs.1.clone().expect("a state after a step").momentum;
        assert_eq!(momentum.time, time);
        assert_eq!(first.into_data(), momentum.moment_1.into_data());
        assert_eq!(second.into_data(), momentum.moment_2.into_data());
    }
}

#[test]
fn steps_are_those_of_burns_adam_to_the_last_bit() {
    assert_same_steps([1], |seed| tensor(wave(1, seed), [1]));
    let shape = [7, 5, 3, 3];
    assert_same_steps(shape, |seed| tensor(wave(315, seed), shape));
    // Longer than the part of a parameter that one task processes.
    assert_same_steps([40_003], |seed| tensor(wave(40_003, seed), [40_003]));
    // The gradient of a linear layer's weight can be a transposed view.
    assert_same_steps([5, 9], |seed| tensor(wave(45, seed), [9, 5]).transpose());
    // Nothing moves, and nothing is divided by zero.
    assert_same_steps([8], |_| tensor(vec![0.0; 8], [8]));
}

#[test]
fn a_step_leaves_other_references_as_they_are() {
    let before = || tensor(wave(20, 1.0), [20]);
    let parameter = before();
    let factors = AdamFactors::new(BETAS, EPSILON, RATE, 2);
    let moments = [before(), before().abs()];
    let (after, _) = adam_step(parameter.clone(), before(), Some(moments.clone()), &factors);
    assert_ne!(after.into_data(), parameter.to_data());
    assert_eq!(parameter.into_data(), before().into_data());
    assert_eq!(moments[0].to_data(), before().into_data());
    assert_eq!(moments[1].to_data(), before().abs().into_data());
}
