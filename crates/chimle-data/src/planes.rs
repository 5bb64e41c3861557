//! Images of floating-point values.

use std::ops::Range;

use image::{Rgb, RgbImage};

use crate::DataError;

/// A planar `f32` image, channels first: `[channels, height, width]`, row-major.
///
/// RGB and lightness images have values in [0, 1]. The ranges of Lab images are those of
/// [`lab`](crate::lab).
///
/// # Examples
///
/// ```
/// use chimle_data::Planes;
///
/// # fn main() -> Result<(), chimle_data::DataError> {
/// let image = Planes::new(1, 2, 3, vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5])?;
/// assert_eq!(image.get(0, 1, 2), 0.5);
/// assert_eq!(image.transpose().get(0, 2, 1), 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Planes {
    /// The number of channels.
    pub channels: usize,
    /// The number of rows.
    pub height: usize,
    /// The number of columns.
    pub width: usize,
    /// The `channels * height * width` values.
    pub data: Vec<f32>,
}

impl Planes {
    /// Creates an image from its values.
    ///
    /// # Errors
    ///
    /// [`DataError::Shape`] if `data` does not have `channels * height * width` values.
    pub fn new(
        channels: usize,
        height: usize,
        width: usize,
        data: Vec<f32>,
    ) -> Result<Self, DataError> {
        let expected = channels * height * width;
        if data.len() != expected {
            return Err(DataError::Shape {
                expected,
                found: data.len(),
            });
        }
        Ok(Self {
            channels,
            height,
            width,
            data,
        })
    }

    /// Creates an image whose values are computed one by one from (channel, row, column).
    pub fn from_fn(
        channels: usize,
        height: usize,
        width: usize,
        mut value: impl FnMut(usize, usize, usize) -> f32,
    ) -> Self {
        let mut data = Vec::with_capacity(channels * height * width);
        for channel in 0..channels {
            for row in 0..height {
                for column in 0..width {
                    data.push(value(channel, row, column));
                }
            }
        }
        Self {
            channels,
            height,
            width,
            data,
        }
    }

    /// Converts an 8-bit image to three planes in [0, 1] (value / 255).
    pub fn from_rgb(image: &RgbImage) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let pixels = image.as_raw();
        Self::from_fn(3, height, width, |channel, row, column| {
            f32::from(pixels[(row * width + column) * 3 + channel]) / 255.0
        })
    }

    /// Converts the image to 8 bits: values are clamped to [0, 1], scaled by 255 and rounded.
    ///
    /// The first three channels become red, green and blue. If there are only one or two channels, the
    /// first one becomes gray.
    pub fn to_rgb(&self) -> RgbImage {
        let channel = |wanted: usize| if self.channels >= 3 { wanted } else { 0 };
        RgbImage::from_fn(self.width as u32, self.height as u32, |x, y| {
            Rgb([0, 1, 2].map(|c| {
                let value = self.get(channel(c), y as usize, x as usize);
                (value.clamp(0.0, 1.0) * 255.0).round() as u8
            }))
        })
    }

    /// Returns the value at one position.
    ///
    /// # Panics
    ///
    /// If the position lies outside the image.
    pub fn get(&self, channel: usize, row: usize, column: usize) -> f32 {
        assert!(
            channel < self.channels && row < self.height && column < self.width,
            "position [{channel}, {row}, {column}] is outside an image of [{}, {}, {}]",
            self.channels,
            self.height,
            self.width
        );
        self.data[(channel * self.height + row) * self.width + column]
    }

    /// Returns the values of one channel, row-major.
    ///
    /// # Panics
    ///
    /// If there is no such channel.
    pub fn plane(&self, channel: usize) -> &[f32] {
        let size = self.height * self.width;
        &self.data[channel * size..(channel + 1) * size]
    }

    /// Returns an image of the channels in `range`.
    ///
    /// # Panics
    ///
    /// If the image does not have these channels.
    pub fn channels(&self, range: Range<usize>) -> Self {
        let size = self.height * self.width;
        Self {
            channels: range.len(),
            height: self.height,
            width: self.width,
            data: self.data[range.start * size..range.end * size].to_vec(),
        }
    }

    /// Clamps every value to [0, 1].
    pub fn clipped(mut self) -> Self {
        for value in &mut self.data {
            *value = value.clamp(0.0, 1.0);
        }
        self
    }

    /// Returns the image mirrored left to right.
    pub fn flip_horizontal(&self) -> Self {
        let mut flipped = self.clone();
        if self.width > 0 {
            flipped
                .data
                .chunks_exact_mut(self.width)
                .for_each(|row| row.reverse());
        }
        flipped
    }

    /// Returns the image with rows and columns exchanged, `[channels, width, height]`.
    pub fn transpose(&self) -> Self {
        Self::from_fn(self.channels, self.width, self.height, |c, row, column| {
            self.get(c, column, row)
        })
    }

    /// Computes the mean squared difference over all values.
    ///
    /// # Errors
    ///
    /// [`DataError::Shape`] if the images differ in shape.
    pub fn mean_squared_distance(&self, other: &Self) -> Result<f32, DataError> {
        let shape = |p: &Self| (p.channels, p.height, p.width);
        if shape(self) != shape(other) {
            return Err(DataError::Shape {
                expected: self.data.len(),
                found: other.data.len(),
            });
        }
        let sum: f64 = (self.data.iter().zip(&other.data))
            .map(|(a, b)| f64::from(a - b).powi(2))
            .sum();
        Ok((sum / self.data.len().max(1) as f64) as f32)
    }
}

/// Computes the mean of several images, value by value. All must have the shape of the first.
pub(crate) fn mean(images: &[Planes]) -> Planes {
    let mut sum = images[0].clone();
    for image in &images[1..] {
        for (total, value) in sum.data.iter_mut().zip(&image.data) {
            *total += value;
        }
    }
    let count = images.len() as f32;
    sum.data.iter_mut().for_each(|value| *value /= count);
    sum
}
