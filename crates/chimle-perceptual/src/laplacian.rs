//! The Laplacian pyramid.

use burn::tensor::backend::Backend;
use burn::tensor::module::conv2d;
use burn::tensor::ops::{ConvOptions, PadMode};
use burn::tensor::{Tensor, s};

/// The largest number of bands, including the coarsest image.
const MOST_BANDS: usize = 5;

/// An image is not split further if its shorter side is below this.
const SMALLEST_SPLIT: usize = 4;

/// The 5-tap binomial filter (Burt & Adelson 1983).
const BINOMIAL: [f32; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];

/// Returns the number of bands of an image of this size.
pub(crate) fn count(height: usize, width: usize) -> usize {
    let mut side = height.min(width);
    let mut count = 1;
    while count < MOST_BANDS && side >= SMALLEST_SPLIT {
        side = side.div_ceil(2);
        count += 1;
    }
    count
}

/// Splits images `[n, c, h, w]` into the bands of a Laplacian pyramid, finest first. The sides of each
/// band are half those of the previous one, rounded up.
///
/// A band is an image minus its low-passed version. Every second row and column of the low-passed
/// image is then split again. The last band is the remaining low-passed image. There are at most five
/// bands, and an image whose shorter side is below 4 is not split. Edges are padded by their last
/// pixel.
pub(crate) fn bands<B: Backend>(image: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
    let mut bands = Vec::with_capacity(MOST_BANDS);
    let mut image = image;
    loop {
        let [_, _, h, w] = image.dims();
        if bands.len() + 1 == MOST_BANDS || h.min(w) < SMALLEST_SPLIT {
            bands.push(image);
            return bands;
        }
        let low = low_pass(image.clone());
        bands.push(image - low.clone());
        image = low.slice(s![.., .., ..;2, ..;2]);
    }
}

/// Applies the binomial filter along rows and columns, channel by channel.
fn low_pass<B: Backend>(image: Tensor<B, 4>) -> Tensor<B, 4> {
    let [n, c, h, w] = image.dims();
    let kernel = Tensor::<B, 1>::from_floats(BINOMIAL, &image.device());
    let reach = BINOMIAL.len() / 2;
    let planes = image
        .reshape([n * c, 1, h, w])
        .pad((reach, reach, reach, reach), PadMode::Edge);
    let valid = || ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
    let columns = kernel.clone().reshape([1, 1, BINOMIAL.len(), 1]);
    let rows = kernel.reshape([1, 1, 1, BINOMIAL.len()]);
    let filtered = conv2d(conv2d(planes, columns, None, valid()), rows, None, valid());
    filtered.reshape([n, c, h, w])
}
