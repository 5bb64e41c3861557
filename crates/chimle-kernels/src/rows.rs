//! Rows of a batch of maps.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

/// The given rows of a batch of maps `[n, c, h, w]`, in the given order; a row may be named many times.
///
/// This is Burn's `select` along the batch, taken of a matrix with a row for each map. Of VGG16's last features of an
/// image of 16 to 31 pixels, `[n, 512, 1, 1]`, the `select` of Burn 0.21 gave wrong values on WGPU where it was not
/// fused with what followed: `chimle verify` found the search choosing other candidates. Of a matrix they are right.
pub fn select_rows<B: Backend>(maps: Tensor<B, 4>, rows: Tensor<B, 1, Int>) -> Tensor<B, 4> {
    let [batch, channels, height, width] = maps.dims();
    let count = rows.dims()[0];
    let matrix = maps.reshape([batch, channels * height * width]);
    matrix
        .select(0, rows)
        .reshape([count, channels, height, width])
}
