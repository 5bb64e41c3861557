//! What measures of sets are computed on.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_kernels::Kernels;

use crate::imagenet::enlarge;
use crate::inception::InceptionV3;
use crate::vgg16::Vgg16;

/// A network that describes an image by one vector: what FID, KID, precision and recall compare.
///
/// ```no_run
/// use burn::tensor::Tensor;
/// use burn_flex::Flex;
/// use chimle_perceptual::{Extractor, InceptionV3};
///
/// let device = Default::default();
/// let network = InceptionV3::<Flex>::load("pt_inception-2015-12-05-6726825d.pth", &device)?;
/// let extractor = Extractor::InceptionV3(network);
/// let images = Tensor::zeros([4, 3, 256, 256], &device);
/// assert_eq!(extractor.extract(images).dims(), [4, 2048]);
/// # Ok::<(), chimle_perceptual::WeightsError>(())
/// ```
#[derive(Module, Debug)]
pub enum Extractor<B: Backend> {
    /// The 2048 features that FID is published on.
    InceptionV3(InceptionV3<B>),
    /// The mean over positions of the features after relu5_3. Its numbers are not comparable with
    /// published ones.
    Vgg16(Vgg16<B>),
}

impl<B: Kernels> Extractor<B> {
    /// What to call the features in a report.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InceptionV3(_) => "Inception-v3 (FID)",
            Self::Vgg16(_) => "VGG16 relu5_3, mean over positions",
        }
    }

    /// Numbers that describe an image: 2048, or the width of VGG16's last block (512).
    pub fn dimension(&self) -> usize {
        match self {
            Self::InceptionV3(_) => InceptionV3::<B>::FEATURES,
            Self::Vgg16(network) => network.widths()[LAST_BLOCK],
        }
    }

    /// The features `[n, dimension]` of images `[n, 3, h, w]`, RGB in [0, 1], of any size.
    ///
    /// Inception-v3 resizes them to 299 pixels; for VGG16, a side under 16 is enlarged to 16 by
    /// nearest neighbour.
    pub fn extract(&self, rgb: Tensor<B, 4>) -> Tensor<B, 2> {
        match self {
            Self::InceptionV3(network) => network.features(rgb),
            Self::Vgg16(network) => {
                let features = network.forward(enlarge(rgb, Vgg16::<B>::SMALLEST_SIDE));
                let last = features[LAST_BLOCK].clone();
                last.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2)
            }
        }
    }
}

/// VGG16's fifth block, which ends in relu5_3.
const LAST_BLOCK: usize = 4;
