//! Preparation of images for networks trained on ImageNet: standardized colors, and a smallest size.

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

/// The mean and standard deviation of red, green and blue over ImageNet, for images in [0, 1].
///
/// LPIPS writes the same standardization as (2x - 1 - shift) / scale, with shift
/// (-.030, -.088, -.188) and scale (.458, .448, .450).
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// Subtracts ImageNet's mean color and divides by its standard deviation.
#[derive(Module, Debug)]
pub(crate) struct Standardize<B: Backend> {
    /// `[1, 3, 1, 1]`
    mean: Tensor<B, 4>,
    /// `[1, 3, 1, 1]`
    deviation: Tensor<B, 4>,
}

impl<B: Backend> Standardize<B> {
    pub(crate) fn new(device: &B::Device) -> Self {
        let channels = |values| Tensor::<B, 1>::from_floats(values, device).reshape([1, 3, 1, 1]);
        Self {
            mean: channels(MEAN),
            deviation: channels(DEVIATION),
        }
    }

    /// Standardizes images `[n, 3, h, w]`, RGB in [0, 1].
    pub(crate) fn forward(&self, rgb: Tensor<B, 4>) -> Tensor<B, 4> {
        (rgb - self.mean.clone()) / self.deviation.clone()
    }
}

/// Enlarges an image by nearest-neighbor interpolation, so that both sides are at least `smallest`.
///
/// A side that is already large enough is not changed. Otherwise, row i of the result is row
/// floor(i * side / smallest) of the image, and likewise for columns.
pub(crate) fn enlarge<B: Backend>(image: Tensor<B, 4>, smallest: usize) -> Tensor<B, 4> {
    [2, 3].into_iter().fold(image, |image, dim| {
        let side = image.dims()[dim];
        if side >= smallest {
            return image;
        }
        let sources: Vec<i32> = (0..smallest)
            .map(|i| (i * side / smallest) as i32)
            .collect();
        let sources = Tensor::<B, 1, Int>::from_ints(sources.as_slice(), &image.device());
        image.select(dim, sources)
    })
}
