//! Pillow's bicubic resampling of 8-bit images, bit for bit.
//!
//! The filter is cubic convolution with a = -0.5 (Keys 1981). When an image is reduced, the filter is
//! widened by the scale, which prevents aliasing. Weights are fixed-point numbers with 22 fractional
//! bits. Rows are resampled first and rounded to 8 bits, then columns. Faster resizers use a different
//! order of the passes or a different precision of the weights. Many of their values therefore differ
//! in the last bit.

use image::RgbImage;

use crate::{DataError, Planes};

/// The radius of the cubic kernel, in pixels of the smaller image.
const SUPPORT: f64 = 2.0;

/// The number of fractional bits of a weight. Of 32 bits, the pixel takes 8, and 2 are left for
/// overshoot.
const PRECISION: u32 = 32 - 8 - 2;

/// Returns the size (width, height) of a picture after its longer side is reduced to `largest`. A
/// picture whose longer side is at most `largest` keeps its size.
///
/// # Examples
///
/// ```
/// assert_eq!(chimle_data::size_within((4000, 3000), 1000), (1000, 750));
/// assert_eq!(chimle_data::size_within((400, 300), 1000), (400, 300));
/// ```
pub fn size_within((width, height): (u32, u32), largest: u32) -> (u32, u32) {
    let longer = width.max(height);
    if longer <= largest {
        return (width, height);
    }
    let side = |side: u32| {
        let scaled = f64::from(side) * f64::from(largest) / f64::from(longer);
        scaled.round().max(1.0) as u32
    };
    (side(width), side(height))
}

/// Resizes an image to `width` x `height`, which may also be larger than the image. The values are
/// those of Pillow's `BICUBIC` filter.
///
/// # Errors
///
/// [`DataError::Setting`] if a side of the image or of the result is 0.
///
/// # Examples
///
/// ```
/// use chimle_data::downsample;
/// use image::{Rgb, RgbImage};
///
/// # fn main() -> Result<(), chimle_data::DataError> {
/// let image = RgbImage::from_pixel(64, 32, Rgb([10, 20, 30]));
/// let small = downsample(&image, 16, 8)?;
/// assert_eq!(small, RgbImage::from_pixel(16, 8, Rgb([10, 20, 30])));
/// # Ok(())
/// # }
/// ```
pub fn downsample(image: &RgbImage, width: u32, height: u32) -> Result<RgbImage, DataError> {
    if [width, height, image.width(), image.height()].contains(&0) {
        return Err(DataError::Setting {
            field: "image size",
            value: format!(
                "{}x{} to be resized to {width}x{height}",
                image.width(),
                image.height()
            ),
            needed: "at least one pixel per side",
        });
    }
    // A photograph can take a gigabyte, so it is not copied first.
    Ok(match (width == image.width(), height == image.height()) {
        (true, true) => image.clone(),
        (false, true) => resample_rows(image, width),
        (true, false) => resample_columns(image, height),
        (false, false) => resample_columns(&resample_rows(image, width), height),
    })
}

/// Resizes an image with any number of channels, as [`downsample`] does. Values are rounded to 8 bits
/// before and after.
///
/// # Errors
///
/// The errors of [`downsample`].
pub fn downsample_planes(image: &Planes, height: usize, width: usize) -> Result<Planes, DataError> {
    let mut resized = Planes {
        channels: image.channels,
        height,
        width,
        data: Vec::with_capacity(image.channels * height * width),
    };
    for first in (0..image.channels).step_by(3) {
        // Channels are resized independently, so three at a time are treated as a color image.
        let part = image.channels(first..image.channels.min(first + 3));
        let channels = part.channels;
        let three = if channels == 3 {
            part
        } else {
            let channel = |c: usize| c.min(channels - 1);
            Planes::from_fn(3, part.height, part.width, |c, row, column| {
                part.get(channel(c), row, column)
            })
        };
        let small = downsample(&three.to_rgb(), width as u32, height as u32)?;
        let small = Planes::from_rgb(&small);
        resized
            .data
            .extend_from_slice(&small.channels(0..channels).data);
    }
    Ok(resized)
}

fn resample_rows(image: &RgbImage, width: u32) -> RgbImage {
    let kernels = kernels(image.width() as usize, width as usize);
    let mut resampled = RgbImage::new(width, image.height());
    let rows = image
        .as_raw()
        .chunks_exact(3 * image.width() as usize)
        .zip(resampled.chunks_exact_mut(3 * width as usize));
    for (from, to) in rows {
        for (kernel, pixel) in kernels.iter().zip(to.chunks_exact_mut(3)) {
            let mut sum = [HALF; 3];
            let pixels = from[3 * kernel.first..].chunks_exact(3);
            for (weight, values) in kernel.weights.iter().zip(pixels) {
                for (sum, value) in sum.iter_mut().zip(values) {
                    *sum += weight * i32::from(*value);
                }
            }
            pixel.copy_from_slice(&sum.map(to_byte));
        }
    }
    resampled
}

fn resample_columns(image: &RgbImage, height: u32) -> RgbImage {
    let kernels = kernels(image.height() as usize, height as usize);
    let row_length = 3 * image.width() as usize;
    let mut resampled = RgbImage::new(image.width(), height);
    let mut sums = vec![0; row_length];
    for (kernel, to) in kernels.iter().zip(resampled.chunks_exact_mut(row_length)) {
        sums.fill(HALF);
        let rows = image.as_raw()[row_length * kernel.first..].chunks_exact(row_length);
        for (weight, from) in kernel.weights.iter().zip(rows) {
            for (sum, value) in sums.iter_mut().zip(from) {
                *sum += weight * i32::from(*value);
            }
        }
        for (value, sum) in to.iter_mut().zip(&sums) {
            *value = to_byte(*sum);
        }
    }
    resampled
}

/// The initial value of a sum. With it, dropping the fractional bits rounds the sum.
const HALF: i32 = 1 << (PRECISION - 1);

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// The weights of one output pixel.
struct Kernel {
    /// The input pixel that the first weight belongs to.
    first: usize,
    weights: Vec<i32>,
}

fn kernels(from: usize, to: usize) -> Vec<Kernel> {
    let scale = from as f64 / to as f64;
    let widening = scale.max(1.0);
    (0..to)
        .map(|i| {
            let center = (i as f64 + 0.5) * scale;
            // The casts truncate, and turn negative numbers into 0.
            let first = (center - SUPPORT * widening + 0.5) as usize;
            let end = ((center + SUPPORT * widening + 0.5) as usize).min(from);
            let weights: Vec<f64> = (first..end)
                .map(|j| cubic((j as f64 - center + 0.5) / widening))
                .collect();
            let total: f64 = weights.iter().sum();
            let one = f64::from(1 << PRECISION);
            Kernel {
                first,
                weights: weights
                    .iter()
                    .map(|weight| (weight / total * one).round() as i32)
                    .collect(),
            }
        })
        .collect()
}

/// Evaluates Keys' kernel with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}
