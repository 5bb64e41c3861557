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
///
/// # Examples
///
/// ```
/// use burn::tensor::Tensor;
/// use burn_flex::Flex;
/// use chimle_perceptual::{Distance, ImageDistance};
///
/// let image = |value: f32| Tensor::<Flex, 4>::full([1, 3, 8, 8], value, &Default::default());
/// let parts = vec![(1.0, ImageDistance::L1), (2.0, ImageDistance::L2)];
/// let distance = ImageDistance::<Flex>::Sum(parts);
/// let found = distance.between(image(0.0), image(0.5)).into_scalar();
/// assert!((found - (0.5 + 2.0 * 0.25)).abs() < 1e-5);
/// ```
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
    /// small images. For images with a side below 4 pixels, this distance is [`L1`](Self::L1).
    LaplacianPyramid,
    /// LPIPS, or the unweighted distance between a network's feature maps.
    Lpips(Lpips<B>),
    /// The weighted sum of several distances. For example, LPIPS compares the content of images, and
    /// the Laplacian pyramid compares their colors. No part may itself be a sum.
    Sum(Vec<(f64, ImageDistance<B>)>),
    /// One distance for the loss, and another one for the search. Everything but
    /// [`for_search`](TrainingDistance::for_search) uses the distance of the loss. Neither distance may
    /// itself be of this kind.
    Separate {
        /// The distance that the loss and the validation use.
        loss: Box<ImageDistance<B>>,
        /// The distance with which the search compares candidates.
        search: Box<ImageDistance<B>>,
    },
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
            Self::Separate { loss, .. } => loss.features(rgb),
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
    /// and sums of these. Returns `None` for L1, the Laplacian pyramid, and sums that contain them.
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
            Self::Separate { loss, .. } => loss.embed(features),
        }
    }
}

impl<B: Kernels> ImageDistance<B> {
    /// Computes the distances `[targets, candidates]` from all feature maps. Each target has its own
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
        if let Self::Separate { loss, .. } = self {
            return loss.total(images, targets);
        }
        let pairs = images.iter().zip(targets).enumerate();
        sum(pairs.map(|(k, (image, target))| self.term(k, image, target)))
    }

    /// Computes the part of the distances that comes from one feature map, `[targets, candidates]`.
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
            Self::Sum(_) | Self::Separate { .. } => {
                unreachable!("the distance is computed by its parts")
            }
        }
    }

    /// Returns the number of feature maps of the distance, given the first of them.
    fn features_of(&self, first: &Tensor<B, 4>) -> usize {
        match self {
            Self::L1 | Self::L2 => 1,
            Self::LaplacianPyramid => {
                let [.., height, width] = first.dims();
                laplacian::count(height, width)
            }
            Self::Lpips(lpips) => lpips.layers(),
            Self::Sum(_) | Self::Separate { .. } => {
                unreachable!("a part of a sum is a single distance")
            }
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
            Self::Separate { loss, search } => Self::Separate {
                loss: Box::new(loss.to_device(device)),
                search: Box::new(search.to_device(device)),
            },
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
            Self::Separate { loss, search } => ImageDistance::Separate {
                loss: Box::new(loss.valid()),
                search: Box::new(search.valid()),
            },
        }
    }

    fn for_search(&self) -> ImageDistance<B::InnerBackend> {
        match self {
            Self::Separate { search, .. } => search.valid(),
            other => other.valid(),
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
