//! Perceptual distances between images, and the networks that they need, for [Burn](burn).
//!
//! Use this crate for the loss of an image generator, or to measure generated images. Its networks are
//! frozen: they cannot be trained or fine-tuned.
//!
//! - [`ImageDistance`] is the distance that a search minimizes and training lowers: LPIPS, or a
//!   distance that needs no weights (L1, L2, a Laplacian pyramid). It implements the [`Distance`]
//!   trait of `chimle-imle`, which you can implement for your own distance.
//! - [`Features`] are the parts of an image that a distance compares. The features of a target are
//!   computed once and compared with any number of candidates.
//! - [`Lpips`] is the perceptual distance itself, on VGG16, AlexNet or SqueezeNet 1.1
//!   ([`Backbone`]).
//! - [`Extractor`] describes an image by one feature vector, for measures of sets of images. The
//!   vectors of [`InceptionV3`] are the features of the Frechet inception distance (FID).
//!
//! Images are `[batch, 3, height, width]`, sRGB in [0, 1]. No distance and no network has
//! parameters to train; gradients flow only to the images. Functions that evaluate a network or a
//! distance need a backend that implements [`Kernels`], the project's own convolutions. These are Flex
//! and, with the feature `cubecl`, all backends on CubeCL. Loading a network works on any Burn backend.
//!
//! # Weights
//!
//! The crate contains no weights. [`WeightFile`] reads the published files unchanged: PyTorch's `.pth`
//! in its old and new formats, and `.safetensors` with the same names:
//!
//! | for | file |
//! |---|---|
//! | [`Vgg16`] | <https://download.pytorch.org/models/vgg16-397923af.pth> |
//! | [`AlexNet`] | <https://download.pytorch.org/models/alexnet-owt-7be5be79.pth> |
//! | [`SqueezeNet`] | <https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth> |
//! | [`InceptionV3`] | <https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth> |
//! | [`Lpips::weighted`] | `vgg.pth`, `alex.pth` or `squeeze.pth` of <https://github.com/richzhang/PerceptualSimilarity/tree/master/lpips/weights/v0.1> |
//!
//! # Examples
//!
//! The example finds the nearest of three candidates for each of two targets:
//!
//! ```
//! use burn::tensor::{Distribution, Tensor};
//! use burn_flex::Flex;
//! use chimle_perceptual::{Distance, ImageDistance};
//!
//! let device = Default::default();
//! let uniform = Distribution::Uniform(0.0, 1.0);
//! let targets = Tensor::<Flex, 4>::random([2, 3, 32, 32], uniform, &device);
//! let candidates = Tensor::<Flex, 4>::random([6, 3, 32, 32], uniform, &device);
//!
//! let distance = ImageDistance::<Flex>::LaplacianPyramid;
//! let features = distance.features(targets.clone());
//! let distances = distance.distance(candidates, &features);
//! let nearest = distances.reshape([2, 3]).argmin(1); // one index per target
//! assert_eq!(nearest.dims(), [2, 1]);
//!
//! let same = distance.distance(targets, &features);
//! assert_eq!(same.sum().into_scalar(), 0.0);
//! ```

mod alexnet;
mod backbone;
mod distance;
mod extractor;
mod features;
mod frozen;
mod imagenet;
mod inception;
mod laplacian;
mod lpips;
mod squeezenet;
mod vgg16;

pub use alexnet::AlexNet;
pub use backbone::{Backbone, BackboneNetwork};
pub use chimle_imle::{Distance, Rows, Selection, TrainingDistance};
pub use chimle_kernels::Kernels;
pub use chimle_weights::{WeightFile, WeightsError};
pub use distance::ImageDistance;
pub use extractor::Extractor;
pub use features::Features;
pub use inception::InceptionV3;
pub use lpips::Lpips;
pub use squeezenet::SqueezeNet;
pub use vgg16::{Vgg16, Vgg16Config};
