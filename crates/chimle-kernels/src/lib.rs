//! The operations of CHIMLE that have kernels of their own, as an extension of Burn's [`Backend`].
//!
//! [`Kernels`] adds differentiable operations to a backend:
//!
//! - the generator's convolution [`conv3x3`] (3x3, stride 1, zero padding 1, with bias), also [with
//!   an activation](conv3x3_activated),
//! - the [`dense_block`],
//! - the modulation of a map after [instance normalization](modulate()),
//! - the comparison of features in LPIPS ([`normalize_channels`], [`squared_differences`]),
//! - the [normalization of weights](weight_norm()).
//!
//! It also adds [a step of Adam](adam_step).
//!
//! Every method has a default in Burn's own operations, and a backend overrides the methods that it
//! can compute faster:
//!
//! - Flex (the CPU, feature `flex`, on by default) uses the code of this crate, described below.
//! - CubeCL (CUDA and WGPU, feature `cubecl`) uses Burn's own operations.
//!
//! Use this crate if your network consists of these operations and runs on the CPU. Convolutions of
//! other kernel sizes, strides or paddings are not part of it.
//!
//! # On the CPU
//!
//! Nearly all of the time of training and of the search goes into 3x3 convolutions. A convolution
//! can be computed as a matrix product (over unrolled columns, or nine times over a shifted map).
//! It then runs at best at the rate of the machine's matrix product, which PyTorch already reaches.
//! The convolution here needs fewer multiplications instead: Winograd's F(4x4, 3x3) needs 36
//! products for a tile of 4x4 outputs, and the definition needs 144. This holds for the forward
//! pass and for both gradients. No crate that cargo alone can build offers this convolution with
//! its gradients.
//!
//! - **Error.** The usual points 0, ±1, ±2 are replaced by 0, ±1/√2, ±√2, which reduces the largest
//!   error to about a fifth. Tests compare the result with the definition in 64 bits. The error is
//!   at most 5e-6 of the largest output for all shapes, and at most 1e-5 with 320 channels, also if
//!   all inputs are offset by 30 deviations. The search and the training use the same kernel, so
//!   they see the same image for a code.
//! - **Memory.** A block of tiles is transformed, multiplied and transformed back while it is in
//!   the cache, and nothing is unrolled. The dense block keeps its maps in one buffer, plane by
//!   plane. Each convolution reads the planes below its own, so nothing is concatenated, neither
//!   forward nor backward. Bias, activation, scale and residual are applied when the sums are
//!   stored.
//! - **Instructions.** The vector instructions are chosen at run time by
//!   [pulp](https://docs.rs/pulp): AVX-512, AVX2, NEON, or portable code with four lanes. All cores
//!   are used. The order of every sum depends on the shapes alone, so a run repeats to the last
//!   bit.
//! - **Few pixels, many channels.** In the deep layers of VGG16, the weights have more values than
//!   the maps. The convolution is one matrix product there, and the weights are not transformed. With
//!   somewhat more pixels, the weights are transformed right before their products, so that they are
//!   in the cache. The gradient of a weight is a sum over all tiles; with few tiles, the lanes of a
//!   vector hold input channels in place of tiles, so no sum over lanes is needed.
//! - **Parameters.** Weight normalization and its gradients are one pass over each output channel. A
//!   step of Adam is one pass over the parameter, the gradient and the moments, in place.
//! - **Other types.** Maps of 16 bits are widened to 32 bits, and the result is rounded back.
//!   Floats of 64 bits use Burn's own operations.
//!
//! `docs/performance.md` of the repository compares the speed with PyTorch's.
//!
//! # Example
//!
//! A function that trains is generic over [`TrainingBackend`]. A function that only evaluates is
//! generic over [`Kernels`].
//!
//! ```
//! use burn::tensor::{Tensor, Tolerance};
//! use burn_flex::Flex;
//! use chimle_kernels::conv3x3;
//!
//! let device = Default::default();
//! let ones = |shape| Tensor::<Flex, 4>::ones(shape, &device);
//! let sums = conv3x3(ones([1, 1, 3, 3]), ones([1, 1, 3, 3]), Tensor::zeros([1], &device));
//! // Each sum is the number of taps that lie within the image, because the padding is zero.
//! let expected = Tensor::<Flex, 4>::from_floats([[[[4., 6., 4.], [6., 9., 6.], [4., 6., 4.]]]], &device);
//! sums.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-4));
//! ```
//!
//! [`Backend`]: burn::tensor::backend::Backend

mod activation;
mod adam;
mod autodiff;
mod burn_ops;
mod comparison;
mod conv3x3;
#[cfg(feature = "cubecl")]
mod cubecl;
mod dense_block;
mod differentiation;
#[cfg(feature = "flex")]
mod flex;
mod kernels;
mod modulation;
mod weight_norm;

pub use activation::Activation;
pub use adam::{AdamFactors, AdamStep, Moments, adam_step};
pub use comparison::{normalize_channels, squared_differences};
pub use conv3x3::{conv3x3, conv3x3_activated};
pub use dense_block::{
    DenseBlockGradients, DenseBlockParameters, DenseBlocksParameters, dense_block,
    dense_blocks_recomputed,
};
pub use differentiation::fresh_leaves;
pub use kernels::{Kernels, TrainingBackend};
pub use modulation::{ModulationGradients, modulate};
pub use weight_norm::{WeightNormGradients, weight_norm};
