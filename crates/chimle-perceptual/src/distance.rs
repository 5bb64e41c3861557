//! Distances between images.

use burn::module::{AutodiffModule, Module};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_imle::{Distance, TrainingDistance};
use chimle_kernels::{Kernels, TrainingBackend, squared_differences};

use crate::features::Features;
use crate::laplacian;
use crate::lpips::Lpips;

/// A distance between RGB images `[batch, 3, height, width]` in [0, 1].
///
/// Every distance is zero for equal images and has finite gradients. No distance has parameters to
/// train: its weights are plain tensors that no optimizer sees. To use your own distance, implement
/// [`Distance`].
#[derive(Clone, Debug)]
pub enum ImageDistance<B: Backend> {
    /// The mean absolute difference over pixels and channels.
    L1,
    /// The mean squared difference over pixels and channels.
    L2,
    /// The mean absolute difference of each band of a Laplacian pyramid, summed over the bands.
    ///
    /// This is the Lap1 loss of GLO (Bojanowski et al. 2018), divided by the number of values in the
    /// image. In GLO, the absolute differences of band j are summed over its pixels and weighted by
    /// 4^j, because the band has 4^j times fewer pixels. There are at most five bands, and fewer for
    /// small images. For an image of one pixel, this distance is [`L1`](Self::L1).
    LaplacianPyramid,
    /// LPIPS, or the unweighted distance of a network's features.
    Lpips(Lpips<B>),
    /// The weighted sum of several distances. For example, LPIPS compares the content of images and
    /// the Laplacian pyramid their colors. No part may itself be a sum.
    Sum(Vec<(f64, ImageDistance<B>)>),
}

impl<B: Kernels> Distance<B> for ImageDistance<B> {
    type Output = Tensor<B, 4>;
    type Features = Features<B>;

    fn features(&self, rgb: Tensor<B, 4>) -> Features<B> {
        match self {
            Self::L1 | Self::L2 => Features(vec![rgb]),
            Self::LaplacianPyramid => Features(laplacian::bands(rgb)),
            Self::Lpips(lpips) => lpips.features(rgb),
            Self::Sum(parts) => {
                let parts = parts.iter();
                let features = parts.flat_map(|(_, part)| part.features(rgb.clone()).0);
                Features(features.collect())
            }
        }
    }

    /// # Panics
    ///
    /// If the number of candidates is not a multiple of the number of targets, the images differ in
    /// size, or the features belong to a different distance.
    fn compare(&self, candidates: &Features<B>, targets: &Features<B>) -> Tensor<B, 1> {
        assert_eq!(
            candidates.0.len(),
            targets.0.len(),
            "the features belong to two different distances, or to images of different size"
        );
        self.total(&candidates.0, &targets.0).flatten(0, 1)
    }

    /// Returns the embedding if the distance is a squared Euclidean distance, which holds for L2, LPIPS
    /// and sums of these. Returns `None` for L1 and the Laplacian pyramid.
    fn embed(&self, features: &Features<B>) -> Option<Tensor<B, 2>> {
        match self {
            Self::L1 | Self::LaplacianPyramid => None,
            Self::L2 => {
                let flat: Tensor<B, 2> = features.0[0].clone().flatten(1, 3);
                let values = flat.dims()[1];
                Some(flat.div_scalar((values as f64).sqrt()))
            }
            Self::Lpips(lpips) => Some(lpips.embed(features)),
            Self::Sum(parts) => {
                let mut rest = features.0.as_slice();
                let parts = parts.iter().map(|(weight, part)| {
                    let (own, others) = rest.split_at(part.features_of(&rest[0]));
                    rest = others;
                    let points = part.embed(&Features(own.to_vec()))?;
                    Some(points.mul_scalar(weight.sqrt()))
                });
                Some(Tensor::cat(parts.collect::<Option<_>>()?, 1))
            }
        }
    }
}

impl<B: Kernels> ImageDistance<B> {
    /// Computes the distances `[targets, candidates]` from all features. Each target has its own
    /// candidates.
    fn total(&self, images: &[Tensor<B, 4>], targets: &[Tensor<B, 4>]) -> Tensor<B, 2> {
        if let Self::Sum(parts) = self {
            let (mut images, mut targets) = (images, targets);
            let terms = parts.iter().map(|(weight, part)| {
                let count = part.features_of(&images[0]);
                let (own, theirs) = (&images[..count], &targets[..count]);
                (images, targets) = (&images[count..], &targets[count..]);
                part.total(own, theirs).mul_scalar(*weight)
            });
            return sum(terms);
        }
        let pairs = images.iter().zip(targets).enumerate();
        sum(pairs.map(|(k, (image, target))| self.term(k, image, target)))
    }

    /// Computes one feature's term of the distances, `[targets, candidates]`.
    fn term(&self, feature: usize, images: &Tensor<B, 4>, targets: &Tensor<B, 4>) -> Tensor<B, 2> {
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
            Self::Sum(_) => unreachable!("the terms of a sum are computed by its parts"),
        }
    }

    /// Returns the number of features of the distance, given the first of them.
    fn features_of(&self, first: &Tensor<B, 4>) -> usize {
        match self {
            Self::L1 | Self::L2 => 1,
            Self::LaplacianPyramid => {
                let [.., height, width] = first.dims();
                laplacian::count(height, width)
            }
            Self::Lpips(lpips) => lpips.layers(),
            Self::Sum(_) => unreachable!("no part of a sum is a sum"),
        }
    }
}

fn sum<B: Backend>(terms: impl Iterator<Item = Tensor<B, 2>>) -> Tensor<B, 2> {
    terms
        .reduce(|sum, term| sum + term)
        .expect("every distance has at least one feature")
}

impl<B: Backend> ImageDistance<B> {
    /// Moves the distance to another device.
    pub fn to_device(self, device: &B::Device) -> Self {
        match self {
            Self::Lpips(lpips) => Self::Lpips(lpips.to_device(device)),
            Self::Sum(parts) => {
                let parts = parts.into_iter();
                Self::Sum(parts.map(|(w, part)| (w, part.to_device(device))).collect())
            }
            other => other,
        }
    }
}

impl<B: TrainingBackend> TrainingDistance<B> for ImageDistance<B> {
    type Valid = ImageDistance<B::InnerBackend>;

    fn valid(&self) -> ImageDistance<B::InnerBackend> {
        match self {
            Self::L1 => ImageDistance::L1,
            Self::L2 => ImageDistance::L2,
            Self::LaplacianPyramid => ImageDistance::LaplacianPyramid,
            Self::Lpips(lpips) => ImageDistance::Lpips(lpips.valid()),
            Self::Sum(parts) => {
                ImageDistance::Sum(parts.iter().map(|(w, part)| (*w, part.valid())).collect())
            }
        }
    }

    fn constants(features: Features<B::InnerBackend>) -> Features<B> {
        Features::from_inner(features)
    }
}

/// Computes the mean absolute difference `[g, c]` of features `[g * c, channels, height, width]` and
/// `[g, channels, height, width]`, for `g` targets with `c` candidates each.
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
