//! Adaptive instance normalization, tested with known numbers, and its gradients, tested against
//! Burn's.

use burn::backend::Autodiff;
use burn::tensor::{Tensor, TensorData, Tolerance};
use burn_flex::Flex;
use chimle_kernels::modulate;

type B = Autodiff<Flex>;

const EPSILON: f64 = 1e-5;

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<B, D> {
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

/// Different numbers around an offset, the same in every run.
fn wave<const D: usize>(shape: [usize; D], offset: f32) -> Tensor<B, D> {
    let count = shape.iter().product::<usize>();
    let value = |k: usize| offset + (k as f32 * 0.7).sin() + 0.3 * (k as f32 * 0.11).cos();
    tensor((0..count).map(value).collect(), shape)
}

#[test]
fn known_numbers_are_normalized_by_sample_and_channel() {
    // The means are 2.5, 3, 25 and 1. The biased variances are 1.25, 0, 125 and 3.
    let map = [
        [1., 2., 3., 4.],
        [3., 3., 3., 3.],
        [10., 20., 30., 40.],
        [0., 0., 0., 4.],
    ];
    let gain = tensor(vec![1.0, 5.0, 1.0, 2.0], [2, 2]);
    let bias = tensor(vec![0.0, 7.0, 0.0, 1.0], [2, 2]);
    let found = modulate(tensor(map.concat(), [2, 2, 2, 2]), gain, bias, EPSILON);
    let unit = 1.0 / 1.25001f32.sqrt();
    let tens = 10.0 / 125.00001f32.sqrt();
    let last = 2.0 / 3.00001f32.sqrt();
    let expected = [
        [-1.5 * unit, -0.5 * unit, 0.5 * unit, 1.5 * unit],
        [7.0; 4],
        [-1.5 * tens, -0.5 * tens, 0.5 * tens, 1.5 * tens],
        [1.0 - last, 1.0 - last, 1.0 - last, 1.0 + 3.0 * last],
    ];
    let expected = TensorData::new(expected.concat(), [2, 2, 2, 2]);
    found
        .into_data()
        .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
}

/// Computes the modulation by its definition, in operations that Burn differentiates.
fn defined(map: Tensor<B, 4>, gain: Tensor<B, 2>, bias: Tensor<B, 2>) -> Tensor<B, 4> {
    let [batch, channels, height, width] = map.dims();
    let flat = map.reshape([batch, channels, height * width]);
    let centered = flat.clone() - flat.mean_dim(2);
    let variance = (centered.clone() * centered.clone()).mean_dim(2);
    let normalized = centered / (variance + EPSILON).sqrt();
    let planes = |values: Tensor<B, 2>| values.unsqueeze_dim::<3>(2);
    (normalized * planes(gain) + planes(bias)).reshape([batch, channels, height, width])
}

#[test]
fn the_gradients_are_those_of_the_definition() {
    // Single pixels, odd sides, planes longer than a stretch of summation, and a large offset.
    for (shape, offset) in [
        ([1, 1, 1, 1], 0.0),
        ([3, 5, 3, 7], 0.5),
        ([2, 2, 72, 65], 20.0),
    ] {
        let map = wave(shape, offset).require_grad();
        let gain = wave([shape[0], shape[1]], 1.0).require_grad();
        let bias = wave([shape[0], shape[1]], -1.0).require_grad();
        let factor = wave(shape, 0.2).sin();
        let ours = modulate(map.clone(), gain.clone(), bias.clone(), EPSILON);
        let theirs = defined(map.clone(), gain.clone(), bias.clone());
        let same = |a: TensorData, b: TensorData| {
            let largest = b.iter::<f32>().fold(1e-3f32, |most, b| most.max(b.abs()));
            a.assert_approx_eq::<f32>(&b, Tolerance::absolute(1e-4 * largest));
        };
        same(ours.to_data(), theirs.to_data());
        let ours = (ours * factor.clone()).sum().backward();
        let theirs = (theirs * factor).sum().backward();
        let (a, b) = (map.grad(&ours).unwrap(), map.grad(&theirs).unwrap());
        same(a.into_data(), b.into_data());
        for values in [gain, bias] {
            let (a, b) = (values.grad(&ours).unwrap(), values.grad(&theirs).unwrap());
            same(a.into_data(), b.into_data());
        }
    }
}
