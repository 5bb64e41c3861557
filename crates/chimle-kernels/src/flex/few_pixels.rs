//! The convolution of maps with few pixels and many channels, as one matrix product.
//!
//! In such a layer, the weights have far more values than the maps. Transforming the weights for
//! Winograd's convolution would take longer than the products that it saves.

use burn::tensor::TensorMetadata;
use burn::tensor::ops::FloatTensorOps;
use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use crate::flex::convolution::Finish;
use crate::flex::maps::Maps;
use crate::flex::slices::{maps, tensor, values};
use crate::flex::winograd::TAPS;

/// The largest number of pixels of all images together. Up to this number, the matrix product was
/// the faster way when measured with 512 channels.
const PIXELS: usize = 64;
/// The smallest number of channel pairs for which the transform of the weights dominates the time.
const PAIRS: usize = 128 * 128;

/// Returns whether the matrix product is the better way for weights `[out, in, 3, 3]` and a map
/// `[images, _, h, w]`.
pub(crate) fn is_better([outputs, inputs, ..]: [usize; 4], map: [usize; 4]) -> bool {
    let [images, _, height, width] = map;
    images * height * width <= PIXELS && outputs * inputs >= PAIRS
}

/// Computes a convolution with bias and activation: `[images, in, h, w]` and weights `[out, in, 3,
/// 3]` to `[images, out, h, w]`.
pub(crate) fn convolve(input: &FlexTensor, weight: &FlexTensor, finish: &Finish) -> FlexTensor {
    let input = maps(input);
    let taps = Taps::of(&input);
    let [outputs, inputs, ..] = weight.shape().dims::<4>();
    let pixels = input.frame.images * input.frame.pixels();
    let unrolled = tensor(unroll(&input, taps), [inputs * taps.count(), pixels]);
    let sums = Flex::float_matmul(taps.matrix(weight), unrolled);

    let frame = input.frame.with_planes(outputs);
    let mut output = vec![0.0; outputs * pixels];
    let by_plane = values(&sums).chunks(frame.pixels());
    for (index, sums) in by_plane.enumerate() {
        let (plane, image) = (index / frame.images, index % frame.images);
        let bias = finish.bias.map_or(0.0, |bias| bias[plane]) * finish.bias_scale;
        let output = &mut output[(image * outputs + plane) * frame.pixels()..];
        for (output, sum) in output.iter_mut().zip(sums) {
            let value = sum + bias;
            *output = match finish.slope {
                Some(slope) if value <= 0.0 => slope * value,
                _ => value,
            };
        }
    }
    tensor(output, [frame.images, outputs, frame.height, frame.width])
}

/// Computes the gradient of the input from the gradient of the sums.
pub(crate) fn input_gradient(gradient: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    let gradient = maps(gradient);
    let taps = Taps::of(&gradient);
    let [outputs, inputs, ..] = weight.shape().dims::<4>();
    let frame = gradient.frame.with_planes(inputs);
    let pixels = frame.images * frame.pixels();
    let mut by_plane = Vec::with_capacity(outputs * pixels);
    for plane in 0..outputs {
        for image in 0..frame.images {
            by_plane.extend_from_slice(gradient.plane(image, plane));
        }
    }
    let by_plane = tensor(by_plane, [outputs, pixels]);
    let unrolled = Flex::float_matmul(Flex::float_transpose(taps.matrix(weight)), by_plane);

    let unrolled = values(&unrolled);
    let mut output = vec![0.0; inputs * pixels];
    for (index, output) in output.chunks_mut(frame.pixels()).enumerate() {
        let (image, plane) = (index / inputs, index % inputs);
        for tap in 0..taps.count() {
            let row = (plane * taps.count() + tap) * pixels + image * frame.pixels();
            let of_tap = &unrolled[row..][..frame.pixels()];
            taps.each_pixel(tap, frame.height, frame.width, |to, from| {
                output[from] += of_tap[to]
            });
        }
    }
    tensor(output, [frame.images, inputs, frame.height, frame.width])
}

/// The taps of the kernel that lie over a pixel of the map, at least once.
#[derive(Clone, Copy)]
enum Taps {
    All,
    /// The center alone. With a single pixel, the eight other taps lie over the padding.
    Center,
}

impl Taps {
    fn of(maps: &Maps) -> Self {
        match maps.frame.pixels() {
            1 => Self::Center,
            _ => Self::All,
        }
    }

    fn count(self) -> usize {
        match self {
            Self::All => TAPS,
            Self::Center => 1,
        }
    }

    /// Returns these taps of the weights `[out, in, 3, 3]` as a matrix `[out, in * taps]`.
    fn matrix(self, weight: &FlexTensor) -> FlexTensor {
        let [outputs, inputs, ..] = weight.shape().dims::<4>();
        match self {
            Self::All => Flex::float_reshape(weight.clone(), [outputs, inputs * TAPS].into()),
            Self::Center => {
                let kernels = values(weight).par_chunks_exact(TAPS);
                let centers = kernels.map(|kernel| kernel[TAPS / 2]).collect();
                tensor(centers, [outputs, inputs])
            }
        }
    }

    /// Calls the closure with each output pixel and the input pixel under the tap.
    fn each_pixel(
        self,
        tap: usize,
        height: usize,
        width: usize,
        mut call: impl FnMut(usize, usize),
    ) {
        let tap = match self {
            Self::All => tap,
            Self::Center => TAPS / 2,
        };
        for y in 0..height {
            for x in 0..width {
                let (from_y, from_x) = (y + tap / 3, x + tap % 3);
                if (1..=height).contains(&from_y) && (1..=width).contains(&from_x) {
                    call(y * width + x, (from_y - 1) * width + from_x - 1);
                }
            }
        }
    }
}

/// Returns the input value under each tap, `[in][tap][image][pixel]`. It is zero in the padding.
fn unroll(input: &Maps, taps: Taps) -> Vec<f32> {
    let frame = &input.frame;
    let (count, pixels) = (taps.count(), frame.images * frame.pixels());
    let mut unrolled = vec![0.0; frame.planes * count * pixels];
    for (index, row) in unrolled.chunks_mut(frame.pixels()).enumerate() {
        let (plane_tap, image) = (index / frame.images, index % frame.images);
        let plane = input.plane(image, plane_tap / count);
        taps.each_pixel(plane_tap % count, frame.height, frame.width, |to, from| {
            row[to] = plane[from];
        });
    }
    unrolled
}
