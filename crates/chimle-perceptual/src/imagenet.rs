//! What networks trained on ImageNet do to colors first, and how small an image they take.

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

/// Mean and deviation of ImageNet's red, green and blue, of images in [0, 1].
///
/// LPIPS writes the same as (2x - 1 - shift) / scale, with shift (-.030, -.088, -.188) and scale
/// (.458, .448, .450).
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// Subtracts ImageNet's mean color and divides by its deviation.
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

    /// RGB in [0, 1], `[n, 3, h, w]`.
    pub(crate) fn forward(&self, rgb: Tensor<B, 4>) -> Tensor<B, 4> {
        (rgb - self.mean.clone()) / self.deviation.clone()
    }
}

/// Repeats rows and columns so that there are at least `smallest` of each; of `side` rows, row i
/// shows row floor(i * side / smallest).
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
