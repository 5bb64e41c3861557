//! The operations of CHIMLE that are worth a kernel of their own.
//!
//! [`Kernels`] extends Burn's [`Backend`] with some operations, each differentiable: the generator's
//! convolution [`conv3x3`] (3x3, stride 1, zero padding 1, with bias, and [with its
//! activation](conv3x3_activated)), the [`dense_block`], the modulation of a map by
//! [instance normalization](modulate()), and the comparison of features by LPIPS
//! ([`normalize_channels`], [`squared_differences`]). Every method has a default in Burn's own operations; a backend
//! overrides what it can do faster.
//!
//! - Flex (the CPU, feature `flex`, on by default): the crate's own code, below.
//! - CubeCL (CUDA, WGPU; feature `cubecl`): Burn's own operations.
//!
//! # On the CPU
//!
//! Nearly all of the time of training and of the search goes into 3x3 convolutions. As a matrix
//! product (over unrolled columns, or nine times over a shifted map) a convolution runs at best at
//! the rate of the machine's matrix product, and there PyTorch is already. So the convolution here
//! does fewer multiplications: Winograd's F(4x4, 3x3) needs 36 products for a tile of 4x4 outputs
//! where the definition has 144, forward and for both gradients. No crate that cargo alone can build
//! offers it with its gradients.
//!
//! - **Error.** The usual points 0, ±1, ±2 are replaced by 0, ±1/√2, ±√2, which makes the largest error
//!   about a fifth. What is left is held by tests against the definition in 64 bits: at most 5e-6 of
//!   the largest output for any shape, 1e-5 with 320 channels and with inputs that are all offset by
//!   30 deviations. The same kernel searches and trains, so a code is chosen on the image that is
//!   trained on.
//! - **Memory.** A block of tiles is transformed, multiplied and transformed back while it is in the
//!   cache; nothing is unrolled. The dense block keeps its maps in one buffer, plane by plane, in which
//!   each convolution reads the planes below its own: nothing is concatenated, neither forward nor
//!   backward, and bias, activation, scale and residual are applied as the sums are stored.
//! - **Instructions** are chosen at run time (AVX-512, AVX2, NEON, or what the compiler makes of four
//!   lanes), by [pulp](https://docs.rs/pulp). All cores are used; sums are taken in an order that
//!   depends on the shapes alone, so that a run repeats to the last bit.
//! - **Few pixels, many channels**, as in the depths of VGG16: there the weights outweigh the maps, and the
//!   definition is one matrix product, without their transform.
//! - **Other types**: maps of 16 bits are widened to 32, and the result rounded back; 64-bit floats take
//!   Burn's own operations.
//!
//! What it gives beside PyTorch is measured in `docs/performance.md` of the repository.
//!
//! # Use
//!
//! A function that trains is generic over [`TrainingBackend`], one that evaluates over
//! [`Kernels`].
//!
//! ```
//! use burn::tensor::{Tensor, Tolerance};
//! use burn_flex::Flex;
//! use chimle_kernels::conv3x3;
//!
//! let device = Default::default();
//! let ones = |shape| Tensor::<Flex, 4>::ones(shape, &device);
//! let sums = conv3x3(ones([1, 1, 3, 3]), ones([1, 1, 3, 3]), Tensor::zeros([1], &device));
//! // How many of the nine taps lie within the image, as the padding is zero.
//! let expected = Tensor::<Flex, 4>::from_floats([[[[4., 6., 4.], [6., 9., 6.], [4., 6., 4.]]]], &device);
//! sums.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-4));
//! ```
//!
//! [`Backend`]: burn::tensor::backend::Backend

mod activation;
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

pub use activation::Activation;
pub use comparison::{normalize_channels, squared_differences};
pub use conv3x3::{conv3x3, conv3x3_activated};
pub use dense_block::{
    DenseBlockGradients, DenseBlockParameters, DenseBlocksParameters, dense_block,
    dense_blocks_recomputed,
};
pub use differentiation::fresh_leaves;
pub use kernels::{Kernels, TrainingBackend};
pub use modulation::{ModulationGradients, modulate};
