//! The comparison of features as in LPIPS, as operations on tensors.

use burn::tensor::{Tensor, TensorPrimitive};

use crate::kernels::Kernels;

/// Normalizes each pixel over the channels: divides its values by `sqrt(sum of their squares +
/// epsilon) + epsilon`.
///
/// The results are the unit vectors of LPIPS (Zhang et al. 2018, equation 1). A pixel whose values
/// are all zero stays zero. The operation is differentiable, and sums have at least 32 bits. Input
/// and output are `[batch, c, h, w]`.
pub fn normalize_channels<B: Kernels>(map: Tensor<B, 4>, epsilon: f64) -> Tensor<B, 4> {
    let output = B::normalize_channels(map.into_primitive().tensor(), epsilon);
    Tensor::from_primitive(TensorPrimitive::Float(output))
}

/// Computes the squared differences of images and targets, averaged over the positions of each
/// channel.
///
/// Images i k to i k + k - 1 are compared with target i, which is not copied. The operation is
/// differentiable in images and targets.
///
/// # Shapes
///
/// - images: `[g k, c, h, w]`
/// - targets: `[g, c, h, w]`
/// - output: `[g, k, c]`
///
/// # Panics
///
/// If g is zero or does not divide the number of images, or if the other sizes differ.
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
