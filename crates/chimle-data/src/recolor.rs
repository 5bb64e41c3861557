//! The colors of a small picture on a photograph of its full size.

use std::ops::Range;

use image::RgbImage;

use crate::color::{lightness_and_chroma, srgb_table};

/// How far colors reach, in pixels of the small picture: the standard deviation of a Gaussian.
const REACH: f32 = 0.7;
/// How different the lightness may be across which colors reach, of 100.
const CONTRAST: f32 = 10.0;
/// Values of the table of the Gaussian of lightness, one for each whole difference.
const DIFFERENCES: usize = 101;

/// Puts the colors of a small picture onto a photograph: the result has the lightness of the photograph
/// and its size.
///
/// The chroma of each pixel is a mean of the chroma of the nine nearest pixels of the small picture. Near
/// ones count more, and so do those of a similar lightness, so that colors end where objects end (the joint
/// bilateral upsampling of Kopf et al. 2007). Where the two have one size, the colors stay where they are.
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
    /// Lightness, a and b of each pixel of the small picture.
    colors: Vec<[f32; 3]>,
    width: usize,
    height: usize,
    similar: [f32; DIFFERENCES],
    srgb: Vec<u8>,
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
        let gauss = |difference: usize| {
            let deviations = difference as f32 / CONTRAST;
            (-0.5 * deviations * deviations).exp()
        };
        Self {
            photograph,
            colors: small
                .pixels()
                .map(|pixel| lightness_and_chroma(pixel.0))
                .collect(),
            width: small.width() as usize,
            height: small.height() as usize,
            similar: std::array::from_fn(gauss),
            srgb: srgb_table(),
        }
    }

    /// Recolors all rows.
    pub fn whole(&self) -> RgbImage {
        let (width, height) = self.photograph.dimensions();
        let bytes = self.rows(0..height);
        RgbImage::from_raw(width, height, bytes).expect("three bytes for each pixel")
    }

    /// Recolors some rows: their bytes, three per pixel.
    ///
    /// # Panics
    ///
    /// If the photograph does not have these rows.
    pub fn rows(&self, rows: Range<u32>) -> Vec<u8> {
        let (width, height) = self.photograph.dimensions();
        let columns = taps(width as usize, self.width);
        let lines = taps(height as usize, self.height);
        let mut bytes = Vec::with_capacity(3 * (rows.len()) * width as usize);
        for y in rows {
            let line = &lines[y as usize];
            for x in 0..width {
                let lightness = lightness_and_chroma(self.photograph.get_pixel(x, y).0)[0];
                let [a, b] = self.chroma(lightness, line, &columns[x as usize]);
                bytes.extend(self.byte_color(lightness, a, b));
            }
        }
        bytes
    }

    /// The mean chroma of nine pixels of the small picture.
    fn chroma(&self, lightness: f32, rows: &Taps, columns: &Taps) -> [f32; 2] {
        let (mut sum_a, mut sum_b, mut total) = (0.0, 0.0, 0.0);
        for (row, by_row) in rows.places.iter().zip(rows.weights) {
            for (column, by_column) in columns.places.iter().zip(columns.weights) {
                let [other, a, b] = self.colors[row * self.width + column];
                let difference = ((lightness - other).abs() as usize).min(DIFFERENCES - 1);
                // A pixel that resembles no neighbor takes the color of all of them.
                let weight = by_row * by_column * (self.similar[difference] + 1e-4);
                sum_a += weight * a;
                sum_b += weight * b;
                total += weight;
            }
        }
        [sum_a / total, sum_b / total]
    }

    fn byte_color(&self, lightness: f32, a: f32, b: f32) -> [u8; 3] {
        let linear = crate::color::linear_of_lab([lightness, a, b]);
        let last = (self.srgb.len() - 1) as f32;
        linear.map(|value| self.srgb[(value.clamp(0.0, 1.0) * last + 0.5) as usize])
    }
}

/// Three neighbors in one direction.
struct Taps {
    places: [usize; 3],
    weights: [f32; 3],
}

/// The neighbors of each of `large` pixels among `small` ones.
fn taps(large: usize, small: usize) -> Vec<Taps> {
    let scale = small as f32 / large.max(1) as f32;
    let one = |index: usize| {
        let center = (index as f32 + 0.5) * scale - 0.5;
        let nearest = center.round();
        let places = [-1.0f32, 0.0, 1.0].map(|step| nearest + step);
        let weights = places.map(|place| {
            // At one size nothing moves.
            if large == small {
                return if place == nearest { 1.0 } else { 0.0 };
            }
            let deviations = (place - center) / REACH;
            (-0.5 * deviations * deviations).exp()
        });
        let last = small as f32 - 1.0;
        Taps {
            places: places.map(|place| place.clamp(0.0, last) as usize),
            weights,
        }
    };
    (0..large).map(one).collect()
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
