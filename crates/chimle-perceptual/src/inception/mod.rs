//! Inception-v3 as the Frechet inception distance (FID) uses it, frozen.

mod mixed;
mod unit;

use std::path::Path;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::{interpolate, max_pool2d};
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use chimle_kernels::Kernels;
use chimle_weights::{WeightFile, WeightsError};

use crate::frozen::Window;
use mixed::{Mixed, Pool};
use unit::{Chain, Source};

/// Inception-v3 (Szegedy et al. 2016) in the form that published FID values use: TensorFlow's network
/// of 2015-12-05, as in the PyTorch port `pytorch-fid`.
///
/// It differs from torchvision's `inception_v3` in three ways: its weights are different, its average
/// pooling leaves out the padding, and the last branch of `Mixed_7c` takes the maximum. Batch
/// normalization (eps 1e-3) is folded into the convolutions.
///
/// Gradients flow to the image, never to the weights. `valid()` gives the network on the inner
/// backend.
#[derive(Module, Debug)]
pub struct InceptionV3<B: Backend> {
    /// 299x299 to 73x73.
    first: Chain<B>,
    /// 73x73 to 35x35.
    second: Chain<B>,
    /// 35x35 to 17x17.
    middle: Vec<Mixed<B>>,
    /// 17x17 to 8x8.
    last: Vec<Mixed<B>>,
}

impl<B: Backend> InceptionV3<B> {
    /// The number of features.
    pub const FEATURES: usize = 2048;

    /// The side in pixels to which images are resized.
    pub const SIDE: usize = 299;

    /// Loads the network from `pt_inception-2015-12-05-6726825d.pth`, or from a `.safetensors` file
    /// with the same names: `NAME.conv.weight` and `NAME.bn.{weight,bias,running_mean,running_var}` of
    /// every unit. The classifier after the features is not read.
    ///
    /// # Errors
    ///
    /// The errors of [`WeightFile::open`] and [`WeightFile::tensor`].
    pub fn load(path: impl AsRef<Path>, device: &B::Device) -> Result<Self, WeightsError> {
        let file = &WeightFile::open(path)?;
        let source = Source { file, device };
        let valid = |kernel, stride| Window::valid([kernel, kernel], stride);
        Ok(Self {
            first: source.chain(
                None,
                3,
                &[
                    ("Conv2d_1a_3x3", 32, valid(3, 2)),
                    ("Conv2d_2a_3x3", 32, valid(3, 1)),
                    ("Conv2d_2b_3x3", 64, Window::same([3, 3])),
                ],
            )?,
            second: source.chain(
                None,
                64,
                &[
                    ("Conv2d_3b_1x1", 80, valid(1, 1)),
                    ("Conv2d_4a_3x3", 192, valid(3, 1)),
                ],
            )?,
            middle: vec![
                source.block_a("Mixed_5b", 192, 32)?,
                source.block_a("Mixed_5c", 256, 64)?,
                source.block_a("Mixed_5d", 288, 64)?,
                source.block_b("Mixed_6a", 288)?,
                source.block_c("Mixed_6b", 768, 128)?,
                source.block_c("Mixed_6c", 768, 160)?,
                source.block_c("Mixed_6d", 768, 160)?,
                source.block_c("Mixed_6e", 768, 192)?,
            ],
            last: vec![
                source.block_d("Mixed_7a", 768)?,
                source.block_e("Mixed_7b", 1280, Pool::Average)?,
                source.block_e("Mixed_7c", 2048, Pool::Max)?,
            ],
        })
    }

    /// Prepares images for the network.
    ///
    /// Images are resized bilinearly, with pixel centers at half integers, repeated edge pixels and no
    /// antialiasing filter. Published values of FID are computed on images resized in this way.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 3, height, width]`, RGB in [0, 1], of any size
    /// - output: `[batch, 3, 299, 299]`, in [-1, 1]
    pub fn prepare(rgb: Tensor<B, 4>) -> Tensor<B, 4> {
        let bilinear = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
        interpolate(rgb, [Self::SIDE; 2], bilinear) * 2.0 - 1.0
    }
}

impl<B: Kernels> InceptionV3<B> {
    /// Computes the outputs of the network's four stages.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 3, height, width]`, RGB in [0, 1], of any size
    /// - output 0: `[batch, 64, 73, 73]`, after the first max pooling
    /// - output 1: `[batch, 192, 35, 35]`, after the second max pooling
    /// - output 2: `[batch, 768, 17, 17]`, after `Mixed_6e`
    /// - output 3: `[batch, 2048, 1, 1]`, the mean of `Mixed_7c` over its 8x8 positions
    pub fn forward(&self, rgb: Tensor<B, 4>) -> [Tensor<B, 4>; 4] {
        let halve = |x| max_pool2d(x, [3, 3], [2, 2], [0, 0], [1, 1], false);
        let blocks = |x, blocks: &[Mixed<B>]| blocks.iter().fold(x, |x, block| block.forward(x));
        let first = halve(self.first.forward(Self::prepare(rgb)));
        let second = halve(self.second.forward(first.clone()));
        let third = blocks(second.clone(), &self.middle);
        let last = blocks(third.clone(), &self.last);
        [first, second, third, last.mean_dim(3).mean_dim(2)]
    }

    /// Computes the features of FID: the last output of [`forward`](Self::forward).
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 3, height, width]`, RGB in [0, 1], of any size
    /// - output: `[batch, 2048]`
    pub fn features(&self, rgb: Tensor<B, 4>) -> Tensor<B, 2> {
        let [.., pooled] = self.forward(rgb);
        pooled.flatten::<3>(2, 3).squeeze_dim(2)
    }
}
