//! A fine pattern in one of four directions, which reduction or compression removes completely.

use image::{Rgb, RgbImage};

use super::MODES;

/// Half the pattern's contrast in 8-bit levels, for super-resolution.
const STRONG: f64 = 26.0;

/// Half the pattern's contrast for decompression. A JPEG of quality 1 divides every frequency of an 8 x 8 block by
/// 255 and rounds. The largest frequency of a pattern of contrast ±c is 8c (all of its energy in one), so only the
/// mean of this pattern is left, with room for what the picture adds.
const WEAK: f64 = 7.0;

/// What a pattern is hidden from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texture {
    /// The pattern vanishes when the image is reduced.
    HiddenFromReduction {
        /// How many times smaller the sides become: 2, or 4 and more.
        times: usize,
    },
    /// The pattern vanishes in a JPEG of quality 1.
    HiddenFromJpeg,
}

impl Texture {
    /// Lays the pattern over an image in each direction.
    ///
    /// The pattern repeats every four pixels. So its mean over each 8 x 8 block is zero, and so is
    /// its response to bicubic reduction by 4 or more. Reduction by 2 would leave much of it, so
    /// the four modes are then rows and columns of period 2, in both phases.
    pub(super) fn directions(self, plain: &RgbImage) -> [RgbImage; MODES] {
        let (contrast, hides_period_two_only) = match self {
            Self::HiddenFromReduction { times } => (STRONG, times == 2),
            Self::HiddenFromJpeg => (WEAK, false),
        };
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
                    // The range is compressed by the contrast, so clamping does not shift the mean.
                    let v = contrast + f64::from(v) * (1.0 - 2.0 * contrast / 255.0);
                    (v.round() + sign * contrast) as u8
                }))
            })
        })
    }
}
