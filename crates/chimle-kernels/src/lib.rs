//! The operations of CHIMLE that are worth a kernel of their own.
//!
//! [`Kernels`] extends Burn's [`Backend`] with the generator's convolution: 3x3, stride 1, zero
//! padding 1, with bias. Every method has a default in Burn's own operations; a backend overrides
//! what it can do faster. [`conv3x3`] is the operation on tensors, and differentiable.
//!
//! - Flex (the CPU, feature `flex`, on by default): matrix products over unrolled bands of the
//!   image, forward and backward, in the crate's own code. Burn's weight gradient on the CPU is a
//!   convolution whose kernel is the whole gradient map.
//! - CubeCL (CUDA, WGPU; feature `cubecl`): Burn's own operations throughout.
//!
//! A function that trains is generic over [`TrainingBackend`], one that evaluates over
//! [`Kernels`].
//!
//! ```
//! use burn::tensor::Tensor;
//! use burn_flex::Flex;
//! use chimle_kernels::conv3x3;
//!
//! let device = Default::default();
//! let ones = |shape| Tensor::<Flex, 4>::ones(shape, &device);
//! let sums = conv3x3(ones([1, 1, 3, 3]), ones([1, 1, 3, 3]), Tensor::zeros([1], &device));
//! // How many of the nine taps lie within the image, as the padding is zero.
//! sums.into_data().assert_eq(&Tensor::<Flex, 4>::from_floats(
//!     [[[[4., 6., 4.], [6., 9., 6.], [4., 6., 4.]]]], &device).into_data(), true);
//! ```
//!
//! [`Backend`]: burn::tensor::backend::Backend

mod autodiff;
mod backends;
mod conv3x3;
#[cfg(feature = "flex")]
mod unrolled;

pub use conv3x3::{Kernels, TrainingBackend, conv3x3};
