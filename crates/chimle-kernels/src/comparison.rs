//! The comparison of two networks' features, as LPIPS has it, as operations on tensors.

use burn::tensor::{Tensor, TensorPrimitive};

use crate::kernels::Kernels;

/// Each pixel's values over the channels divided by `sqrt(sum of their squares + epsilon) + epsilon`,
/// differentiable: the unit vectors of LPIPS (Zhang et al. 2018, equation 1), zero where all is
/// zero.
///
/// `[batch, c, h, w]` to the same shape. Sums are taken in 32 bits at least.
pub fn normalize_channels<B: Kernels>(map: Tensor<B, 4>, epsilon: f64) -> Tensor<B, 4> {
    let output = B::normalize_channels(map.into_primitive().tensor(), epsilon);
    Tensor::from_primitive(TensorPrimitive::Float(output))
}

/// The squared difference of images and targets, averaged over the positions of each channel,
/// differentiable in both.
///
/// Images `[g k, c, h, w]` and targets `[g, c, h, w]` to `[g, k, c]`: images i k to i k + k - 1 are
/// compared with target i, which is not copied.
///
/// # Panics
///
/// If g is zero or does not divide the number of images, or the other sizes differ.
pub fn squared_differences<B: Kernels>(
    images: Tensor<B, 4>,
    targets: Tensor<B, 4>,
) -> Tensor<B, 3> {
    let [count, of_images @ ..] = images.dims();
    let [groups, of_targets @ ..] = targets.dims();
    assert_eq!(of_images, of_targets, "images and targets differ in size");
    assert!(
        groups > 0 && count.is_multiple_of(groups),
        "{count} images cannot be shared evenly among {groups} targets"
    );
    let images = images.into_primitive().tensor();
    let output = B::squared_differences(images, targets.into_primitive().tensor());
    Tensor::from_primitive(TensorPrimitive::Float(output))
}
