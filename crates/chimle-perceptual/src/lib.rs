//! Distances between images as people see them, on any [Burn](burn) backend.
//!
//! - [`Distance`] is what a search minimizes and training lowers: [`Distance::Lpips`], or one
//!   that needs no weights ([`Distance::L1`], [`Distance::L2`], [`Distance::LaplacianPyramid`]).
//! - [`Features`] is what a distance keeps of a target. Compute it once, then compare any number
//!   of candidates with it: [`Distance::distance`].
//! - [`Lpips`] is the perceptual distance itself, on [`Vgg16`]; [`WeightFile`] reads their
//!   weights from the user's `.pth` or `.safetensors` files. The crate ships none.
//! - [`lab_to_rgb`] turns a colorization network's output into the RGB that distances compare.
//!
//! Images are `[batch, 3, height, width]`, sRGB in [0, 1]. No distance has parameters to train;
//! gradients flow to the images alone.
//!
//! # Example
//!
//! Two targets, three candidates for each; on the inner backend, `distance.valid()` does the same
//! without a graph.
//!
//! ```
//! use burn::tensor::{Distribution, Tensor};
//! use burn_flex::Flex;
//! use chimle_perceptual::Distance;
//!
//! let device = Default::default();
//! let uniform = Distribution::Uniform(0.0, 1.0);
//! let targets = Tensor::<Flex, 4>::random([2, 3, 32, 32], uniform, &device);
//! let candidates = Tensor::<Flex, 4>::random([6, 3, 32, 32], uniform, &device);
//!
//! let distance = Distance::LaplacianPyramid;
//! let features = distance.features(targets.clone());
//! let distances = distance.distance(candidates, &features);
//! let nearest = distances.reshape([2, 3]).argmin(1); // one index a target
//! assert_eq!(nearest.dims(), [2, 1]);
//!
//! let same = distance.distance(targets, &features);
//! assert_eq!(same.sum().into_scalar(), 0.0);
//! ```

mod distance;
mod features;
mod lab;
mod laplacian;
mod lpips;
mod vgg16;

pub use chimle_weights::{WeightFile, WeightsError};
pub use distance::Distance;
pub use features::Features;
pub use lab::lab_to_rgb;
pub use lpips::Lpips;
pub use vgg16::{Vgg16, Vgg16Config};
