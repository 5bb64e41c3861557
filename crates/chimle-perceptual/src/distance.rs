//! The distance between images that the search minimizes and training lowers.

use burn::module::{AutodiffModule, Module};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use chimle_kernels::{Kernels, squared_differences};

use crate::features::Features;
use crate::laplacian;
use crate::lpips::Lpips;

/// A distance between RGB images in [0, 1].
///
/// All are zero for equal images, and differentiable with finite gradients. None has parameters
/// to train: it holds plain tensors that no optimizer sees.
#[derive(Clone, Debug)]
pub enum Distance<B: Backend> {
    /// Mean absolute difference over pixels and channels.
    L1,
    /// Mean squared difference over pixels and channels.
    L2,
    /// Mean absolute difference of each band of a Laplacian pyramid, summed over the bands.
    ///
    /// The Lap1 loss of GLO (Bojanowski et al. 2018): there the absolute differences of band j
    /// are summed over its pixels and weighted by 4^j, which undoes the band's having 4^j times
    /// fewer of them. Here it is divided by the number of values in the image. Up to five bands,
    /// fewer for small images (down to one pixel, where it is [`Distance::L1`]).
    LaplacianPyramid,
    /// LPIPS, or the unweighted distance of a network's features.
    Lpips(Lpips<B>),
}

impl<B: Kernels> Distance<B> {
    /// What this distance needs to know of images `[n, 3, h, w]` in [0, 1].
    pub fn features(&self, rgb: Tensor<B, 4>) -> Features<B> {
        match self {
            Self::L1 | Self::L2 => Features(vec![rgb]),
            Self::LaplacianPyramid => Features(laplacian::bands(rgb)),
            Self::Lpips(lpips) => lpips.features(rgb),
        }
    }

    /// Distances `[n]` of images `[n, 3, h, w]` in [0, 1] from targets of the same size.
    ///
    /// With g targets, n = g c, and the images lie target by target: image j is compared with
    /// target j / c. (g = n compares one to one.) The targets are not copied.
    ///
    /// # Panics
    ///
    /// If n is no multiple of g, the sizes differ, or the features are of another distance.
    pub fn distance(&self, rgb: Tensor<B, 4>, target: &Features<B>) -> Tensor<B, 1> {
        self.compare(&self.features(rgb), target)
    }

    /// Distances `[n]` of images from images, one to one, both `[n, 3, h, w]` in [0, 1].
    ///
    /// # Panics
    ///
    /// If the shapes differ.
    pub fn between(&self, a: Tensor<B, 4>, b: Tensor<B, 4>) -> Tensor<B, 1> {
        self.compare(&self.features(a), &self.features(b))
    }

    /// As [`distance`](Self::distance), from the features of both sides.
    ///
    /// # Panics
    ///
    /// As [`distance`](Self::distance).
    pub fn compare(&self, images: &Features<B>, targets: &Features<B>) -> Tensor<B, 1> {
        assert_eq!(
            images.0.len(),
            targets.0.len(),
            "features of two different distances, or of images of different size"
        );
        images
            .0
            .iter()
            .zip(&targets.0)
            .enumerate()
            .map(|(k, (image, target))| self.part(k, image, target))
            .reduce(|sum, part| sum + part)
            .expect("every distance has at least one feature")
            .flatten(0, 1)
    }

    /// One feature's share of the distance, `[g, c]`.
    fn part(&self, feature: usize, images: &Tensor<B, 4>, targets: &Tensor<B, 4>) -> Tensor<B, 2> {
        match self {
            Self::L1 | Self::LaplacianPyramid => absolute_difference(images, targets),
            Self::L2 => {
                let by_channel = squared_differences(images.clone(), targets.clone());
                by_channel.mean_dim(2).squeeze_dim(2)
            }
            Self::Lpips(lpips) => {
                let by_channel = squared_differences(images.clone(), targets.clone());
                lpips.layer_distance(feature, by_channel)
            }
        }
    }
}

impl<B: Backend> Distance<B> {
    /// Features `[n, ..]` as points `[n, d]` of which the squared Euclidean distance is this one;
    /// `None` for a distance that is not of that kind (L1 and the Laplacian pyramid).
    ///
    /// # Panics
    ///
    /// If the features are of another distance.
    pub fn embed(&self, features: &Features<B>) -> Option<Tensor<B, 2>> {
        match self {
            Self::L1 | Self::LaplacianPyramid => None,
            Self::L2 => {
                let flat: Tensor<B, 2> = features.0[0].clone().flatten(1, 3);
                let values = flat.dims()[1];
                Some(flat.div_scalar((values as f64).sqrt()))
            }
            Self::Lpips(lpips) => Some(lpips.embed(features)),
        }
    }

    /// The same distance on another device.
    pub fn to_device(self, device: &B::Device) -> Self {
        match self {
            Self::Lpips(lpips) => Self::Lpips(lpips.to_device(device)),
            other => other,
        }
    }
}

impl<B: AutodiffBackend> Distance<B> {
    /// The same distance without autodiff: for the search and for the features of targets.
    pub fn valid(&self) -> Distance<B::InnerBackend> {
        match self {
            Self::L1 => Distance::L1,
            Self::L2 => Distance::L2,
            Self::LaplacianPyramid => Distance::LaplacianPyramid,
            Self::Lpips(lpips) => Distance::Lpips(lpips.valid()),
        }
    }
}

/// The mean absolute difference `[g, c]` of features `[g c, channels, h, w]` and
/// `[g, channels, h, w]`.
fn absolute_difference<B: Backend>(images: &Tensor<B, 4>, targets: &Tensor<B, 4>) -> Tensor<B, 2> {
    let [n, of_images @ ..] = images.dims();
    let [g, of_targets @ ..] = targets.dims();
    assert_eq!(of_images, of_targets, "images and targets differ in size");
    assert!(
        g > 0 && n.is_multiple_of(g),
        "{n} images cannot be shared evenly among {g} targets"
    );
    let values = of_images.iter().product::<usize>();
    let difference =
        images.clone().reshape([g, n / g, values]) - targets.clone().reshape([g, 1, values]);
    difference.abs().mean_dim(2).squeeze_dim(2)
}
