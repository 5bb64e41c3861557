//! Puts the colors of a small picture onto a photograph of full size.

use std::ops::Range;

use image::RgbImage;
use rayon::prelude::*;

use crate::color::{lightness_and_chroma, linear_of_lab, srgb_table};

/// The deviation of lightness (in [0, 100]) within a window below which colors hardly follow the
/// lightness.
const DEVIATION: f32 = 3.0;

/// A photograph with the colors of a small picture. The result has the lightness and the size of the
/// photograph.
///
/// If color changes together with lightness in the small picture, the enlarged color changes at the
/// same places as the lightness of the photograph. So colors do not run over edges. For this, a* and b*
/// are fitted by lines in L* over each 3 x 3 window of the small picture, and the lines are evaluated
/// at the lightness of the photograph. This is the guided filter (He, Sun & Tang 2013) with
/// coefficients at low resolution (He & Sun 2015). The part of the colors that the lines do not explain
/// is enlarged bilinearly and added. If the two pictures have the same size, nothing is enlarged and
/// every color stays at its pixel.
///
/// A photograph is recolored strip by strip, so that a program can show progress and stop.
///
/// # Examples
///
/// ```
/// use chimle_data::Recoloring;
/// use image::{Rgb, RgbImage};
///
/// let photograph = RgbImage::from_fn(64, 64, |x, _| Rgb([if x < 32 { 60 } else { 190 }; 3]));
/// let small = RgbImage::from_pixel(8, 8, Rgb([200, 100, 60]));
/// let colored = Recoloring::new(&photograph, &small).whole();
/// assert_eq!(colored.dimensions(), (64, 64));
/// assert!(colored.get_pixel(40, 9).0[0] > colored.get_pixel(40, 9).0[2]);
/// ```
#[derive(Debug)]
pub struct Recoloring<'a> {
    photograph: &'a RgbImage,
    /// The lines for a* and b*.
    lines: [Line; 2],
    /// The neighbors of each column and each row of the photograph in the small picture.
    across: Vec<Neighbors>,
    down: Vec<Neighbors>,
    srgb: Vec<u8>,
}

/// A color channel as a line in the lightness of the photograph, at each pixel of the small picture.
#[derive(Debug)]
struct Line {
    slope: Map,
    offset: Map,
}

impl<'a> Recoloring<'a> {
    /// Prepares to put the colors of `small` onto `photograph`.
    ///
    /// # Panics
    ///
    /// If `small` has no pixels.
    pub fn new(photograph: &'a RgbImage, small: &RgbImage) -> Self {
        assert!(
            !small.is_empty(),
            "the picture with the colors has no pixels"
        );
        let colors = small.pixels().map(|pixel| lightness_and_chroma(pixel.0));
        let colors: Vec<[f32; 3]> = colors.collect();
        let [lightness, a, b] = [0, 1, 2].map(|channel| Map {
            height: small.height() as usize,
            width: small.width() as usize,
            data: colors.iter().map(|color| color[channel]).collect(),
        });
        Self {
            photograph,
            across: neighbors(lightness.width, photograph.width() as usize),
            down: neighbors(lightness.height, photograph.height() as usize),
            lines: [a, b].map(|color| Line::fit(&lightness, &color)),
            srgb: srgb_table(),
        }
    }

    /// Recolors all rows, on all cores.
    pub fn whole(&self) -> RgbImage {
        let (width, height) = self.photograph.dimensions();
        let rows = (0..height).into_par_iter();
        let bytes: Vec<u8> = rows.flat_map_iter(|row| self.rows(row..row + 1)).collect();
        RgbImage::from_raw(width, height, bytes).expect("three bytes for each pixel")
    }

    /// Recolors some rows, and returns their bytes, three per pixel.
    ///
    /// # Panics
    ///
    /// If the photograph does not have these rows.
    pub fn rows(&self, rows: Range<u32>) -> Vec<u8> {
        let width = self.photograph.width();
        let mut bytes = Vec::with_capacity(3 * rows.len() * width as usize);
        for y in rows {
            for x in 0..width {
                let lightness = lightness_and_chroma(self.photograph.get_pixel(x, y).0)[0];
                let (row, column) = (self.down[y as usize], self.across[x as usize]);
                let [a, b] = [0, 1].map(|channel| {
                    let Line { slope, offset } = &self.lines[channel];
                    slope.between(row, column) * lightness + offset.between(row, column)
                });
                bytes.extend(self.byte_color(lightness, a, b));
            }
        }
        bytes
    }

    fn byte_color(&self, lightness: f32, a: f32, b: f32) -> [u8; 3] {
        let linear = linear_of_lab([lightness, a, b]);
        let last = (self.srgb.len() - 1) as f32;
        linear.map(|value| self.srgb[(value.clamp(0.0, 1.0) * last + 0.5) as usize])
    }
}

impl Line {
    /// Fits `color` by a line in `lightness` over each 3 x 3 window. The slope at a pixel is the mean slope of the
    /// windows that contain it. The offset lets the line pass through the pixel's own color.
    fn fit(lightness: &Map, color: &Map) -> Self {
        let product = |one: &Map, other: &Map| one.map(|i| one.data[i] * other.data[i]);
        let (mean_lightness, mean_color) = (lightness.mean(), color.mean());
        let variance = product(lightness, lightness).mean();
        let covariance = product(lightness, color).mean();
        let slope = lightness.map(|i| {
            let variance = variance.data[i] - mean_lightness.data[i].powi(2);
            let covariance = covariance.data[i] - mean_lightness.data[i] * mean_color.data[i];
            covariance / (variance.max(0.0) + DEVIATION.powi(2))
        });
        let slope = slope.mean();
        let offset = color.map(|i| color.data[i] - slope.data[i] * lightness.data[i]);
        Self { slope, offset }
    }
}

/// One channel of a small picture.
#[derive(Debug)]
struct Map {
    height: usize,
    width: usize,
    data: Vec<f32>,
}

impl Map {
    /// Computes a map of the same size, each pixel by its index.
    fn map(&self, value: impl Fn(usize) -> f32) -> Self {
        Self {
            height: self.height,
            width: self.width,
            data: (0..self.data.len()).map(value).collect(),
        }
    }

    /// Computes the means over 3 x 3 windows, which are smaller at the border.
    fn mean(&self) -> Self {
        let (height, width) = (self.height, self.width);
        self.map(|i| {
            let (row, column) = (i / width, i % width);
            let rows = row.saturating_sub(1)..(row + 2).min(height);
            let columns = column.saturating_sub(1)..(column + 2).min(width);
            let count = (rows.len() * columns.len()) as f32;
            let sums = rows.map(|r| self.data[r * width..][columns.clone()].iter().sum::<f32>());
            sums.sum::<f32>() / count
        })
    }

    /// Computes the bilinear mean of the four pixels around a point.
    fn between(&self, row: Neighbors, column: Neighbors) -> f32 {
        let line = |row: usize| {
            let line = &self.data[row * self.width..];
            line[column.first] * (1.0 - column.weight) + line[column.second] * column.weight
        };
        line(row.first) * (1.0 - row.weight) + line(row.second) * row.weight
    }
}

/// The two pixels of a small row between which a pixel of a large row lies.
#[derive(Clone, Copy, Debug)]
struct Neighbors {
    first: usize,
    second: usize,
    /// The weight of the second, in [0, 1].
    weight: f32,
}

/// Computes the two neighbors of each pixel when `small` pixels are enlarged to `large`.
fn neighbors(small: usize, large: usize) -> Vec<Neighbors> {
    let scale = small as f32 / large as f32;
    let pixels = (0..large).map(|pixel| {
        let center = ((pixel as f32 + 0.5) * scale - 0.5).clamp(0.0, (small - 1) as f32);
        let first = center as usize;
        Neighbors {
            first,
            second: (first + 1).min(small - 1),
            weight: center - first as f32,
        }
    });
    pixels.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn at_one_size_a_color_picture_keeps_its_colors() {
        let picture = RgbImage::from_fn(9, 7, |x, y| Rgb([20 * x as u8, 30 * y as u8, 90]));
        let recolored = Recoloring::new(&picture, &picture).whole();
        for (one, other) in picture.as_raw().iter().zip(recolored.as_raw()) {
            assert!(one.abs_diff(*other) <= 1, "{one} and {other}");
        }
    }

    #[test]
    fn the_lightness_is_that_of_the_photograph_and_colors_end_at_its_edges() {
        // Dark and red on the left, light and blue on the right. The edge is within a small pixel.
        let photograph = RgbImage::from_fn(64, 64, |x, _| Rgb([if x < 28 { 60 } else { 200 }; 3]));
        let small = RgbImage::from_fn(8, 8, |x, _| match x {
            0..4 => Rgb([110, 40, 40]),
            _ => Rgb([150, 210, 250]),
        });
        let colored = Recoloring::new(&photograph, &small).whole();
        let lightness = |pixel: &Rgb<u8>| lightness_and_chroma(pixel.0)[0];
        for (one, other) in photograph.pixels().zip(colored.pixels()) {
            assert!((lightness(one) - lightness(other)).abs() < 1.5);
        }
        let [red, _, blue] = colored.get_pixel(29, 30).0;
        assert!(blue > red, "the light side is blue up to its edge");
    }

    #[test]
    fn strips_make_the_whole() {
        let photograph = RgbImage::from_fn(20, 13, |x, y| Rgb([(x * y) as u8, 40, 200]));
        let small = RgbImage::from_pixel(3, 2, Rgb([250, 10, 99]));
        let recoloring = Recoloring::new(&photograph, &small);
        let strips = [0..5, 5..13].map(|rows| recoloring.rows(rows)).concat();
        assert_eq!(&strips, recoloring.whole().as_raw());
    }
}
