//! The convolution and its gradients against Burn's own.

use burn::backend::Autodiff;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Distribution, Tensor, Tolerance};
use burn_flex::Flex;
use chimle_kernels::conv3x3;

type B = Autodiff<Flex>;

#[test]
fn output_and_gradients_are_burns_own_for_any_shape() {
    let device = Default::default();
    // Batch, channels in and out, height, width: single pixels and rows, odd sides, one channel.
    let shapes = [
        [1, 1, 1, 1, 1],
        [2, 3, 5, 1, 4],
        [1, 5, 2, 2, 2],
        [3, 7, 1, 5, 3],
        [2, 16, 9, 8, 8],
        [1, 33, 17, 13, 6],
    ];
    for [batch, inputs, outputs, height, width] in shapes {
        let normal = Distribution::Normal(0.0, 1.0);
        let input =
            Tensor::<B, 4>::random([batch, inputs, height, width], normal, &device).require_grad();
        let weight =
            Tensor::<B, 4>::random([outputs, inputs, 3, 3], normal, &device).require_grad();
        let bias = Tensor::<B, 1>::random([outputs], normal, &device).require_grad();
        let factor = Tensor::<B, 4>::random([batch, outputs, height, width], normal, &device);

        let ours = conv3x3(input.clone(), weight.clone(), bias.clone());
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let burns = conv2d(input.clone(), weight.clone(), Some(bias.clone()), options);
        let tolerance = Tolerance::<f32>::rel_abs(1e-4, 1e-4);
        ours.to_data().assert_approx_eq(&burns.to_data(), tolerance);

        let ours = (ours * factor.clone()).sum().backward();
        let burns = (burns * factor).sum().backward();
        let same = |a: burn::tensor::TensorData, b: burn::tensor::TensorData| {
            a.assert_approx_eq(&b, tolerance)
        };
        same(
            input.grad(&ours).unwrap().into_data(),
            input.grad(&burns).unwrap().into_data(),
        );
        same(
            weight.grad(&ours).unwrap().into_data(),
            weight.grad(&burns).unwrap().into_data(),
        );
        same(
            bias.grad(&ours).unwrap().into_data(),
            bias.grad(&burns).unwrap().into_data(),
        );
    }
}

#[test]
fn what_needs_no_gradient_gets_none() {
    let device = Default::default();
    let input = Tensor::<B, 4>::ones([1, 2, 4, 4], &device).require_grad();
    let weight = Tensor::<B, 4>::ones([3, 2, 3, 3], &device);
    let bias = Tensor::<B, 1>::zeros([3], &device);
    let gradients = conv3x3(input.clone(), weight.clone(), bias.clone())
        .sum()
        .backward();
    assert!(input.grad(&gradients).is_some());
    assert!(weight.grad(&gradients).is_none());
    assert!(bias.grad(&gradients).is_none());
}
