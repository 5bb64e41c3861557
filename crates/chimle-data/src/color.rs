//! CIE Lab under D65 (2 degrees), with the constants of scikit-image's `rgb2lab` and `lab2rgb`.

use std::sync::LazyLock;

use image::RgbImage;

use crate::Planes;

/// The matrix from linear RGB to XYZ for the sRGB primaries (IEC 61966-2-1), with scikit-image's
/// digits.
const XYZ_FROM_RGB: [[f64; 3]; 3] = [
    [0.412453, 0.357580, 0.180423],
    [0.212671, 0.715160, 0.072169],
    [0.019334, 0.119193, 0.950227],
];

/// The inverse of [`XYZ_FROM_RGB`].
const RGB_FROM_XYZ: [[f64; 3]; 3] = [
    [3.240481342, -1.537151516, -0.498536326],
    [-0.969254950, 1.875990001, 0.041555927],
    [0.055646639, -0.204041338, 1.057311070],
];

/// The white point D65.
const WHITE: [f64; 3] = [0.95047, 1.0, 1.08883];

/// Converts an 8-bit sRGB image to CIE Lab: `[3, height, width]`, with L in [0, 100] and a, b in about
/// [-128, 128].
///
/// # Examples
///
/// ```
/// use chimle_data::lab;
/// use image::{Rgb, RgbImage};
///
/// let white = lab(&RgbImage::from_pixel(1, 1, Rgb([255, 255, 255])));
/// assert!((white.get(0, 0, 0) - 100.0).abs() < 0.01);
/// ```
pub fn lab(image: &RgbImage) -> Planes {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let linear = linear_table();
    let mut data = vec![0.0; 3 * height * width];
    let (lightness, ab) = data.split_at_mut(height * width);
    let (a, b) = ab.split_at_mut(height * width);
    for (i, pixel) in image.pixels().enumerate() {
        let value = lab_of_linear(pixel.0.map(|v| linear[usize::from(v)]));
        (lightness[i], a[i], b[i]) = (value[0] as f32, value[1] as f32, value[2] as f32);
    }
    Planes {
        channels: 3,
        height,
        width,
        data,
    }
}

/// Computes the lightness L / 100 of an 8-bit sRGB image: `[1, height, width]` in [0, 1].
///
/// The conditioning images of colorization show this lightness.
pub fn grayscale_lightness(image: &RgbImage) -> Planes {
    let linear = linear_table();
    let data = image
        .pixels()
        .map(|pixel| {
            let rgb = pixel.0.map(|v| linear[usize::from(v)]);
            ((116.0 * compress(dot(XYZ_FROM_RGB[1], rgb) / WHITE[1]) - 16.0) / 100.0) as f32
        })
        .collect();
    Planes {
        channels: 1,
        height: image.height() as usize,
        width: image.width() as usize,
        data,
    }
}

/// Returns the gray image with the given lightness.
///
/// # Shapes
///
/// - input: `[1, height, width]`, L / 100
/// - output: `[3, height, width]`, sRGB in [0, 1]
pub fn gray_of_lightness(lightness: &Planes) -> Planes {
    let (height, width) = (lightness.height, lightness.width);
    Planes::from_fn(3, height, width, |channel, row, column| {
        let l = 100.0 * f64::from(lightness.get(0, row, column));
        srgb_from_lab([l, 0.0, 0.0])[channel].clamp(0.0, 1.0) as f32
    })
}

/// Converts an 8-bit sRGB color to Lab: L in [0, 100], a and b.
pub(crate) fn lightness_and_chroma(rgb: [u8; 3]) -> [f32; 3] {
    static LINEAR: LazyLock<[f64; 256]> = LazyLock::new(linear_table);
    lab_of_linear(rgb.map(|v| LINEAR[usize::from(v)])).map(|value| value as f32)
}

/// Converts one Lab color to linear RGB. Values outside [0, 1] mean that the color is out of gamut.
pub(crate) fn linear_of_lab([lightness, a, b]: [f32; 3]) -> [f32; 3] {
    let y = (lightness + 16.0) / 116.0;
    let expand = |t: f32| match t > 0.206_896_6 {
        true => t * t * t,
        false => (t - 16.0 / 116.0) / 7.787,
    };
    let xyz = [y + a / 500.0, y, y - b / 200.0].map(expand);
    let xyz: [f32; 3] = std::array::from_fn(|i| xyz[i] * WHITE[i] as f32);
    RGB_FROM_XYZ.map(|row| (0..3).map(|i| row[i] as f32 * xyz[i]).sum())
}

/// Computes the 8-bit sRGB values of evenly spaced linear values from 0 to 1.
pub(crate) fn srgb_table() -> Vec<u8> {
    const STEPS: usize = 1 << 14;
    let byte = |step: usize| (srgb_from_linear(step as f64 / STEPS as f64) * 255.0).round() as u8;
    (0..=STEPS).map(byte).collect()
}

/// Converts one Lab color to sRGB. Values outside [0, 1] mean that the color is out of gamut.
pub(crate) fn srgb_from_lab([lightness, a, b]: [f64; 3]) -> [f64; 3] {
    let y = (lightness + 16.0) / 116.0;
    let xyz = [y + a / 500.0, y, y - b / 200.0].map(expand);
    let xyz = [xyz[0] * WHITE[0], xyz[1] * WHITE[1], xyz[2] * WHITE[2]];
    RGB_FROM_XYZ.map(|row| srgb_from_linear(dot(row, xyz)))
}

fn lab_of_linear(rgb: [f64; 3]) -> [f64; 3] {
    let [x, y, z] = [0, 1, 2].map(|i| compress(dot(XYZ_FROM_RGB[i], rgb) / WHITE[i]));
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Applies the nonlinearity of CIE Lab: a cube root that continues as a line near zero.
fn compress(t: f64) -> f64 {
    if t > 0.008856 {
        t.cbrt()
    } else {
        7.787 * t + 16.0 / 116.0
    }
}

/// Applies the inverse of [`compress`].
fn expand(t: f64) -> f64 {
    if t > 0.2068966 {
        t.powi(3)
    } else {
        (t - 16.0 / 116.0) / 7.787
    }
}

/// Applies the transfer curve of sRGB. Its linear part extends below zero.
fn srgb_from_linear(v: f64) -> f64 {
    if v > 0.0031308 {
        1.055 * v.powf(1.0 / 2.4) - 0.055
    } else {
        12.92 * v
    }
}

/// Returns the linear light of each 8-bit sRGB value.
fn linear_table() -> [f64; 256] {
    std::array::from_fn(|i| linear(i as f64 / 255.0))
}

/// Applies the inverse of [`srgb_from_linear`].
fn linear(v: f64) -> f64 {
    if v > 0.04045 {
        ((v + 0.055) / 1.055).powf(2.4)
    } else {
        v / 12.92
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn lab_and_back_gives_the_color_that_went_in() {
        for color in [[0, 0, 0], [255, 255, 255], [200, 30, 90], [3, 130, 250]] {
            let planes = lab(&RgbImage::from_pixel(1, 1, Rgb(color)));
            let value = [0, 1, 2].map(|c| f64::from(planes.get(c, 0, 0)));
            let back = srgb_from_lab(value).map(|v| (v * 255.0).round() as u8);
            assert_eq!(back, color);
        }
    }

    #[test]
    fn lightness_alone_is_the_first_channel_of_lab() {
        let image = RgbImage::from_fn(16, 16, |x, y| Rgb([x as u8 * 16, y as u8 * 16, 77]));
        let lightness = grayscale_lightness(&image);
        for (one, l) in lightness.data.iter().zip(lab(&image).plane(0)) {
            assert!((one * 100.0 - l).abs() < 1e-4);
        }
    }
}
