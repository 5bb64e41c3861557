//! The 256 colors of a GIF.

use std::collections::HashMap;

use color_quant::NeuQuant;

use super::Frame;

const MOST_COLORS: usize = 256;

/// The share of pixels from which a color (a background, the lines of a plot) is kept exactly.
const FREQUENT_SHARE: f64 = 0.004;

/// The largest number of frequent colors that are kept exactly.
const MOST_FREQUENT: usize = 48;

/// The approximate number of pixels from which the palette is learned.
const LEARNED_FROM: usize = 400_000;

/// The order in which the cells of an 8 by 8 square are filled (Bayer 1973).
const BAYER: [[u8; 8]; 8] = [
    [0, 32, 8, 40, 2, 34, 10, 42],
    [48, 16, 56, 24, 50, 18, 58, 26],
    [12, 44, 4, 36, 14, 46, 6, 38],
    [60, 28, 52, 20, 62, 30, 54, 22],
    [3, 35, 11, 43, 1, 33, 9, 41],
    [51, 19, 59, 27, 49, 17, 57, 25],
    [15, 47, 7, 39, 13, 45, 5, 37],
    [63, 31, 55, 23, 61, 29, 53, 21],
];

/// The colors for all frames of an animation, and the assignment of pixels to them.
///
/// If the frames have at most 256 colors, all colors are exact. Otherwise frequent colors are exact, and the
/// other pixels are dithered with a fixed pattern. Unlike error diffusion, a fixed pattern leaves a pixel the
/// same in all frames in which it does not change.
pub(super) struct Palette {
    colors: Vec<[u8; 3]>,
    exact: HashMap<[u8; 3], u8>,
    /// The largest change that dithering makes to a channel of a pixel.
    reach: f64,
    nearest: HashMap<[u8; 3], u8>,
}

impl Palette {
    pub fn of(frames: &[Frame]) -> Self {
        let mut counts: HashMap<[u8; 3], usize> = HashMap::new();
        for frame in frames {
            for pixel in frame.image.pixels() {
                *counts.entry(pixel.0).or_default() += 1;
            }
        }
        let total: usize = counts.values().sum();
        let mut frequent: Vec<_> = counts
            .iter()
            .map(|(&color, &count)| (count, color))
            .collect();
        frequent.sort_unstable_by(|one, other| other.cmp(one));
        if frequent.len() > MOST_COLORS {
            frequent.truncate(MOST_FREQUENT);
            frequent.retain(|(count, _)| *count as f64 >= FREQUENT_SHARE * total as f64);
        }
        let mut colors: Vec<_> = frequent.into_iter().map(|(_, color)| color).collect();
        let exact = (0..=u8::MAX)
            .zip(&colors)
            .map(|(index, color)| (*color, index))
            .collect();
        if counts.len() > MOST_COLORS {
            colors.extend(learned(frames, &exact, MOST_COLORS - colors.len()));
        }
        Self {
            reach: spacing(&colors) / 2.0,
            colors,
            exact,
            nearest: HashMap::new(),
        }
    }

    /// Returns the red, green and blue values of all colors.
    pub fn bytes(&self) -> Vec<u8> {
        self.colors.concat()
    }

    /// Returns the index of the palette color for `color` at `(x, y)`.
    pub fn index(&mut self, x: u32, y: u32, color: [u8; 3]) -> u8 {
        if let Some(&index) = self.exact.get(&color) {
            return index;
        }
        let threshold = f64::from(BAYER[(y % 8) as usize][(x % 8) as usize]) / 63.0 - 0.5;
        let shifted = color.map(|channel| {
            (f64::from(channel) + 2.0 * self.reach * threshold)
                .round()
                .clamp(0.0, 255.0) as u8
        });
        let colors = &self.colors;
        *self
            .nearest
            .entry(shifted)
            .or_insert_with(|| nearest(colors, shifted))
    }
}

fn learned(frames: &[Frame], exact: &HashMap<[u8; 3], u8>, count: usize) -> Vec<[u8; 3]> {
    let pixels: usize = frames.iter().map(|frame| frame.image.pixels().len()).sum();
    // The stride is odd, so that it does not sample only a few columns of images whose width is a power of two.
    let every = (pixels / LEARNED_FROM) | 1;
    let rgba: Vec<u8> = frames
        .iter()
        .flat_map(|frame| frame.image.pixels())
        .filter(|pixel| !exact.contains_key(&pixel.0))
        .step_by(every)
        .flat_map(|pixel| [pixel.0[0], pixel.0[1], pixel.0[2], u8::MAX])
        .collect();
    NeuQuant::new(1, count, &rgba)
        .color_map_rgb()
        .chunks_exact(3)
        .map(|color| [color[0], color[1], color[2]])
        .collect()
}

fn squared_distance(one: [u8; 3], other: [u8; 3]) -> i32 {
    (0..3)
        .map(|channel| (i32::from(one[channel]) - i32::from(other[channel])).pow(2))
        .sum()
}

fn nearest(colors: &[[u8; 3]], color: [u8; 3]) -> u8 {
    (0..=u8::MAX)
        .zip(colors)
        .min_by_key(|(_, other)| squared_distance(color, **other))
        .map_or(0, |(index, _)| index)
}

/// Returns the mean distance between a color and its nearest other color, per channel.
fn spacing(colors: &[[u8; 3]]) -> f64 {
    let distances = colors.iter().enumerate().filter_map(|(index, &color)| {
        colors
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .map(|(_, &other)| squared_distance(color, other))
            .min()
    });
    let sum: f64 = distances.map(|squared| f64::from(squared / 3).sqrt()).sum();
    sum / colors.len().max(1) as f64
}
