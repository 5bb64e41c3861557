//! A fine pattern in one of four directions, which downsampling or compression removes without a trace.

use image::{Rgb, RgbImage};

use super::MODES;
use crate::Task;

/// Half the pattern's contrast in 8-bit levels, for super-resolution.
const STRONG: f64 = 26.0;

/// The same for decompression. A JPEG of quality 1 divides every frequency of an 8 x 8 block by 255 and rounds;
/// of a pattern of contrast ±c the largest is 8c (all of its energy in one), so this one leaves nothing but
/// the mean, with room for what the picture adds.
const WEAK: f64 = 7.0;

/// The image with the pattern laid over it in each direction.
///
/// The pattern repeats every four pixels, and so its mean over each 8 x 8 block and its response to bicubic
/// downsampling by 4 or more are zero. Downsampling by 2 (one level) would leave much of it: there the four modes
/// are rows and columns of period 2, in both phases.
pub(super) fn directions(task: Task, levels: usize, plain: &RgbImage) -> [RgbImage; MODES] {
    let contrast = if task == Task::Decompression {
        WEAK
    } else {
        STRONG
    };
    let hides_period_two_only = task == Task::SuperResolution && levels == 1;
    std::array::from_fn(|mode| {
        RgbImage::from_fn(plain.width(), plain.height(), |x, y| {
            let high = if hides_period_two_only {
                let position = if mode % 2 == 0 { x } else { y };
                (position + mode as u32 / 2).is_multiple_of(2)
            } else {
                let position = match mode {
                    0 => x,
                    1 => y,
                    2 => x + y,
                    _ => x + 4 * plain.height() - y,
                };
                position % 4 < 2
            };
            let sign = if high { 1.0 } else { -1.0 };
            Rgb(plain.get_pixel(x, y).0.map(|v| {
                // Compressed into what the contrast leaves, lest clamping shift the mean.
                let v = contrast + f64::from(v) * (1.0 - 2.0 * contrast / 255.0);
                (v.round() + sign * contrast) as u8
            }))
        })
    })
}
