//! A fine pattern in one of four directions. Reduction or compression removes it completely.

use image::{Rgb, RgbImage};

use super::MODES;

/// Half the pattern's contrast in 8-bit levels, for super-resolution.
const STRONG: f64 = 26.0;

/// Half the pattern's contrast in 8-bit levels, for decompression.
///
/// A JPEG of quality 1 divides every frequency of an 8 x 8 block by 255 and rounds it. The largest
/// frequency of a pattern of contrast ±c is at most 8c, which is 56 here and rounds to 0. The
/// remaining range, up to 127, is for what the picture adds to that frequency.
const WEAK: f64 = 7.0;

/// The degradation that removes a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texture {
    /// The pattern vanishes when the image is reduced.
    HiddenFromReduction {
        /// The factor by which the sides are reduced: 2, or at least 4.
        times: usize,
    },
    /// The pattern vanishes in a JPEG of quality 1.
    HiddenFromJpeg,
}

impl Texture {
    /// Adds the pattern to an image in each direction.
    ///
    /// The pattern repeats every four pixels. Its mean over each 8 x 8 block is therefore zero, and so
    /// is its response to bicubic reduction by 4 or more. Reduction by 2 would leave much of this
    /// pattern. For that case, the four modes are rows and columns of period 2, in both phases.
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
                    // The range of values is narrowed by the contrast. Otherwise values would be clamped,
                    // which would shift the mean.
                    let v = contrast + f64::from(v) * (1.0 - 2.0 * contrast / 255.0);
                    (v.round() + sign * contrast) as u8
                }))
            })
        })
    }
}
