//! Feature extractors for measures of sets of images.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_kernels::Kernels;

use crate::imagenet::enlarge;
use crate::inception::InceptionV3;
use crate::vgg16::Vgg16;

/// A network that describes an image by one feature vector. FID, KID, precision and recall compare
/// these vectors.
///
/// # Examples
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
    /// The 2048 features of Inception-v3, from which published FID values are computed.
    InceptionV3(InceptionV3<B>),
    /// The features of VGG16 after relu5_3, averaged over positions. Measures on these features must
    /// not be compared with published ones.
    Vgg16(Vgg16<B>),
}

impl<B: Kernels> Extractor<B> {
    /// Returns the name of the features in a report.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InceptionV3(_) => "Inception-v3 (FID)",
            Self::Vgg16(_) => "VGG16 relu5_3, mean over positions",
        }
    }

    /// Returns the number of features: 2048 for Inception-v3, or the width of VGG16's last block (512
    /// by default).
    pub fn dimension(&self) -> usize {
        match self {
            Self::InceptionV3(_) => InceptionV3::<B>::FEATURES,
            Self::Vgg16(network) => network.widths()[LAST_BLOCK],
        }
    }

    /// Computes the features of images.
    ///
    /// Inception-v3 resizes images to 299 x 299 pixels. For VGG16, a side below 16 pixels is enlarged
    /// to 16 by nearest-neighbor interpolation.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 3, height, width]`, RGB in [0, 1], of any size
    /// - output: `[batch, dimension]`
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

/// The index of VGG16's fifth block, which ends in relu5_3.
const LAST_BLOCK: usize = 4;
