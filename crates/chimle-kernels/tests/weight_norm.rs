//! Weight normalization, tested with known numbers, and its gradients, tested against Burn's.

use burn::backend::Autodiff;
use burn::tensor::{Tensor, TensorData, Tolerance};
use burn_flex::Flex;
use chimle_kernels::weight_norm;

type B = Autodiff<Flex>;

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
fn each_output_has_the_length_that_is_given() {
    let direction = tensor(vec![3.0, 4.0, 0.0, -2.0], [2, 2, 1, 1]);
    let length = tensor(vec![10.0, 7.0], [2, 1, 1, 1]);
    let expected = TensorData::new(vec![6.0f32, 8.0, 0.0, -7.0], [2, 2, 1, 1]);
    weight_norm(direction, length)
        .into_data()
        .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
}

/// Computes the normalization by its definition, in operations that Burn differentiates.
fn defined(direction: Tensor<B, 4>, length: Tensor<B, 4>) -> Tensor<B, 4> {
    let outputs = direction.dims()[0];
    let flat = direction.clone().reshape([outputs as i32, -1]);
    let norm = (flat.clone() * flat).sum_dim(1).sqrt();
    direction * (length / norm.reshape([outputs, 1, 1, 1]))
}

#[test]
fn the_gradients_are_those_of_the_definition() {
    // Single numbers, and rows longer than a stretch of summation.
    for shape in [[1, 1, 1, 1], [5, 3, 3, 3], [3, 500, 3, 3]] {
        let direction = wave(shape, 0.1).require_grad();
        let length = wave([shape[0], 1, 1, 1], 1.0).require_grad();
        let factor = wave(shape, 0.2).sin();
        let ours = weight_norm(direction.clone(), length.clone());
        let theirs = defined(direction.clone(), length.clone());
        // A gradient can cancel to zero, apart from rounding.
        let same = |a: TensorData, b: TensorData| {
            let largest = b.iter::<f32>().fold(1e-1f32, |most, b| most.max(b.abs()));
            a.assert_approx_eq::<f32>(&b, Tolerance::absolute(1e-5 * largest));
        };
        same(ours.to_data(), theirs.to_data());
        let ours = (ours * factor.clone()).sum().backward();
        let theirs = (theirs * factor).sum().backward();
        for tensor in [&direction, &length] {
            let gradient = |gradients| tensor.grad(gradients).expect("a gradient").into_data();
            same(gradient(&ours), gradient(&theirs));
        }
    }
}

#[test]
fn sixteen_and_sixty_four_bits_keep_their_type() {
    use burn::tensor::FloatDType;
    let expected = weight_norm(wave([4, 3, 3, 3], 0.1), wave([4, 1, 1, 1], 1.0)).into_data();
    for (dtype, tolerance) in [(FloatDType::BF16, 2e-2), (FloatDType::F64, 1e-6)] {
        let direction = wave([4, 3, 3, 3], 0.1).cast(dtype);
        let found = weight_norm(direction, wave([4, 1, 1, 1], 1.0).cast(dtype));
        assert_eq!(FloatDType::from(found.dtype()), dtype);
        found
            .into_data()
            .convert::<f32>()
            .assert_approx_eq::<f32>(&expected, Tolerance::absolute(tolerance));
    }
}
