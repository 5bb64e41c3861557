//! The comparison of features, tested with known numbers, and its gradients, tested against Burn's.

use burn::backend::Autodiff;
use burn::tensor::{Tensor, TensorData, Tolerance};
use burn_flex::Flex;
use chimle_kernels::{normalize_channels, squared_differences};

type B = Autodiff<Flex>;

const EPSILON: f64 = 1e-10;

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<B, D> {
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

/// Different numbers of both signs, the same in every run.
fn wave<const D: usize>(shape: [usize; D], phase: f32) -> Tensor<B, D> {
    let count = shape.iter().product::<usize>();
    let value = |k: usize| (k as f32 * 0.7 + phase).sin() + 0.3 * (k as f32 * 0.11).cos();
    tensor((0..count).map(value).collect(), shape)
}

fn assert_same(found: TensorData, expected: TensorData) {
    let largest = expected
        .iter::<f32>()
        .fold(1e-3f32, |most, x| most.max(x.abs()));
    found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5 * largest));
}

#[test]
fn a_pixel_becomes_a_unit_vector_over_the_channels() {
    // Two images of two channels and two pixels; the last pixel is zero.
    let map = tensor(vec![3., 5., 4., -12., 0.6, 0., 0.8, 0.], [2, 2, 1, 2]);
    let found = normalize_channels(map, EPSILON);
    let expected = [0.6, 5. / 13., 0.8, -12. / 13., 0.6, 0., 0.8, 0.];
    assert_same(
        found.into_data(),
        TensorData::new(expected.to_vec(), [2, 2, 1, 2]),
    );
}

#[test]
fn images_are_compared_with_the_target_of_their_group() {
    let targets = tensor(vec![1., 1., 0., 2., 5., 5., 5., 5.], [2, 2, 1, 2]);
    let images = [
        [1., 1., 0., 2.],
        [2., 0., 0., 4.],
        [5., 5., 5., 5.],
        [6., 5., 5., 2.],
    ];
    let found = squared_differences(tensor(images.concat(), [4, 2, 1, 2]), targets);
    let expected = vec![0., 0., 1., 2., 0., 0., 0.5, 4.5];
    assert_same(found.into_data(), TensorData::new(expected, [2, 2, 2]));
}

/// Computes the distance of LPIPS before its weights, by the definition, in operations that Burn
/// differentiates.
fn defined(images: Tensor<B, 4>, targets: Tensor<B, 4>) -> Tensor<B, 3> {
    let unit = |x: Tensor<B, 4>| {
        let norm = (x.clone().powf_scalar(2.0).sum_dim(1) + EPSILON).sqrt() + EPSILON;
        x / norm
    };
    let [count, channels, height, width] = images.dims();
    let groups = targets.dims()[0];
    let images = unit(images).reshape([groups, count / groups, channels, height * width]);
    let targets = unit(targets).reshape([groups, 1, channels, height * width]);
    let squares = (images - targets).powf_scalar(2.0);
    squares.mean_dim(3).squeeze_dim(3)
}

#[test]
fn the_gradients_of_images_and_targets_are_those_of_the_definition() {
    // The sizes are groups, images per group, channels, height and width. They include single
    // values, odd sides, and more pixels and planes than one task processes.
    for [groups, count, channels, height, width] in [
        [1, 1, 1, 1, 1],
        [2, 3, 5, 3, 7],
        [1, 2, 40, 33, 35],
        [2, 1, 3, 130, 129],
    ] {
        let images = wave([groups * count, channels, height, width], 0.0).require_grad();
        let targets = wave([groups, channels, height, width], 1.0).require_grad();
        let factor = wave([groups, count, channels], 2.0);
        let ours = squared_differences(
            normalize_channels(images.clone(), EPSILON),
            normalize_channels(targets.clone(), EPSILON),
        );
        let theirs = defined(images.clone(), targets.clone());
        assert_same(ours.to_data(), theirs.to_data());

        let ours = (ours * factor.clone()).sum().backward();
        let theirs = (theirs * factor).sum().backward();
        for map in [images, targets] {
            let (a, b) = (map.grad(&ours).unwrap(), map.grad(&theirs).unwrap());
            assert_same(a.into_data(), b.into_data());
        }
    }
}

#[test]
fn where_all_is_zero_the_gradient_is_finite() {
    let images = Tensor::<B, 4>::zeros([1, 3, 2, 2], &Default::default()).require_grad();
    let target = normalize_channels(wave([1, 3, 2, 2], 0.0), EPSILON);
    let distance = squared_differences(normalize_channels(images.clone(), EPSILON), target);
    let gradient = images.grad(&distance.sum().backward()).unwrap();
    let values: Vec<f32> = gradient.into_data().iter().collect();
    assert!(
        values
            .iter()
            .all(|value| value.is_finite() && *value != 0.0),
        "{values:?}"
    );
}
