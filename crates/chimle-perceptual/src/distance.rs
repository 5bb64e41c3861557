//! Distances between images.

use burn::module::{AutodiffModule, Module};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_imle::{Distance, TrainingDistance};
use chimle_kernels::{Kernels, TrainingBackend, squared_differences};

use crate::features::Features;
use crate::laplacian;
use crate::lpips::Lpips;

/// A distance between RGB images `[n, 3, h, w]` in [0, 1].
///
/// Every distance is zero for equal images and has finite gradients. None has parameters to train:
/// it holds plain tensors that no optimizer sees. For a distance of your own, implement
/// [`Distance`].
#[derive(Clone, Debug)]
pub enum ImageDistance<B: Backend> {
    /// Mean absolute difference over pixels and channels.
    L1,
    /// Mean squared difference over pixels and channels.
    L2,
    /// Mean absolute difference of each band of a Laplacian pyramid, summed over the bands.
    ///
    /// The Lap1 loss of GLO (Bojanowski et al. 2018): there the absolute differences of band j
    /// are summed over its pixels and weighted by 4^j, because the band has 4^j times fewer pixels.
    /// Here the sum is also divided by the number of values in the image. There are at most five
    /// bands, and fewer for small images. For one pixel this is [`L1`](Self::L1).
    LaplacianPyramid,
    /// LPIPS, or the unweighted distance of a network's features.
    Lpips(Lpips<B>),
}

impl<B: Kernels> Distance<B> for ImageDistance<B> {
    type Output = Tensor<B, 4>;
    type Features = Features<B>;

    fn features(&self, rgb: Tensor<B, 4>) -> Features<B> {
        match self {
            Self::L1 | Self::L2 => Features(vec![rgb]),
            Self::LaplacianPyramid => Features(laplacian::bands(rgb)),
            Self::Lpips(lpips) => lpips.features(rgb),
        }
    }

    /// # Panics
    ///
    /// If n is not a multiple of g, the sizes of the images differ, or the features are those of
    /// another distance.
    fn compare(&self, candidates: &Features<B>, targets: &Features<B>) -> Tensor<B, 1> {
        assert_eq!(
            candidates.0.len(),
            targets.0.len(),
            "features of two different distances, or of images of different size"
        );
        candidates
            .0
            .iter()
            .zip(&targets.0)
            .enumerate()
            .map(|(k, (image, target))| self.part(k, image, target))
            .reduce(|sum, part| sum + part)
            .expect("every distance has at least one feature")
            .flatten(0, 1)
    }

    /// L2 and LPIPS are squared Euclidean distances. L1 and the Laplacian pyramid are not.
    fn embed(&self, features: &Features<B>) -> Option<Tensor<B, 2>> {
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
}

impl<B: Kernels> ImageDistance<B> {
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

impl<B: Backend> ImageDistance<B> {
    /// Moves the distance to another device.
    pub fn to_device(self, device: &B::Device) -> Self {
        match self {
            Self::Lpips(lpips) => Self::Lpips(lpips.to_device(device)),
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
        }
    }

    fn constants(features: Features<B::InnerBackend>) -> Features<B> {
        Features::from_inner(features)
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
