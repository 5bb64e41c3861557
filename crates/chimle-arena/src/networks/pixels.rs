//! Resizing operations on maps that only rearrange or copy pixels.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

/// Stacks each 2x2 block of pixels as channels: `[n, c, h, w]` to `[n, 4c, h/2, w/2]`.
///
/// A 3x3 convolution of the result has stride 2 and sees 6x6 pixels. It replaces the papers' 4x4 convolution of
/// stride 2 and can represent the same functions. The reason is speed: on the CPU, the 3x3 kernel of
/// `chimle-kernels` is several times as fast as Burn's strided convolution (`cargo run --release -p chimle-arena
/// --example convolutions`).
pub fn stack_pixels<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 4> {
    let [n, c, h, w] = map.dims();
    map.reshape([n, c, h / 2, 2, w / 2, 2])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([n, 4 * c, h / 2, w / 2])
}

/// Reverses [`stack_pixels`]. This is the pixel shuffle (Shi et al. 2016): `[n, 4c, h, w]` to `[n, c, 2h, 2w]`.
pub fn shuffle_pixels<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 4> {
    let [n, c, h, w] = map.dims();
    map.reshape([n, c / 4, 2, 2, h, w])
        .permute([0, 1, 4, 2, 5, 3])
        .reshape([n, c / 4, 2 * h, 2 * w])
}

/// Doubles the sides of a map by nearest-neighbor interpolation: `[n, c, h, w]` to `[n, c, 2h, 2w]`.
pub fn enlarge<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 4> {
    let [.., height, width] = map.dims();
    let nearest = InterpolateOptions::new(InterpolateMode::Nearest);
    interpolate(map, [2 * height, 2 * width], nearest)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;
    use burn_flex::Flex;

    use super::*;

    #[test]
    fn stacked_pixels_are_those_of_one_place_and_can_be_shuffled_back() {
        let device = Default::default();
        let map = Tensor::<Flex, 4>::random([2, 3, 4, 6], Distribution::Default, &device);
        let stacked = stack_pixels(map.clone());
        assert_eq!(stacked.dims(), [2, 12, 2, 3]);
        let corner = stacked.clone().slice([0..1, 4..8, 1..2, 2..3]).into_data();
        let block = map.clone().slice([0..1, 1..2, 2..4, 4..6]).into_data();
        assert_eq!(
            corner.to_vec::<f32>().unwrap(),
            block.to_vec::<f32>().unwrap()
        );
        assert_eq!(shuffle_pixels(stacked).into_data(), map.into_data());
    }
}
