//! An image of floating-point values, the form in which examples leave this crate.

use std::ops::Range;

use image::{Rgb, RgbImage};

use crate::DataError;

/// A planar `f32` image, channels first: `[channels, height, width]`, row-major.
///
/// RGB and lightness images hold values in [0, 1]; [`lab`](crate::lab) has ranges of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Planes {
    /// Number of channels.
    pub channels: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
    /// `channels * height * width` values.
    pub data: Vec<f32>,
}

impl Planes {
    /// An image of the given values.
    ///
    /// # Errors
    ///
    /// [`DataError::Shape`] if `data` does not hold `channels * height * width` values.
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

    /// An image whose values are worked out one by one from (channel, row, column).
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

    /// An 8-bit image as three planes in [0, 1] (value / 255).
    pub fn from_rgb(image: &RgbImage) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let pixels = image.as_raw();
        Self::from_fn(3, height, width, |channel, row, column| {
            f32::from(pixels[(row * width + column) * 3 + channel]) / 255.0
        })
    }

    /// The 8-bit image nearest to this one: values are clamped to [0, 1], scaled by 255 and rounded.
    ///
    /// One channel is shown as gray. Of two channels the first is shown as gray; of more than three, the first three.
    pub fn to_rgb(&self) -> RgbImage {
        let channel = |wanted: usize| if self.channels >= 3 { wanted } else { 0 };
        RgbImage::from_fn(self.width as u32, self.height as u32, |x, y| {
            Rgb([0, 1, 2].map(|c| {
                let value = self.get(channel(c), y as usize, x as usize);
                (value.clamp(0.0, 1.0) * 255.0).round() as u8
            }))
        })
    }

    /// The value at one position.
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

    /// One channel's values, row-major.
    ///
    /// # Panics
    ///
    /// If there is no such channel.
    pub fn plane(&self, channel: usize) -> &[f32] {
        let size = self.height * self.width;
        &self.data[channel * size..(channel + 1) * size]
    }

    /// Returns some of the channels, as an image of their own.
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

    /// Clips every value to [0, 1].
    pub fn clipped(mut self) -> Self {
        for value in &mut self.data {
            *value = value.clamp(0.0, 1.0);
        }
        self
    }

    /// The image mirrored left to right.
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

    /// Rows and columns exchanged: `[channels, width, height]`.
    pub fn transpose(&self) -> Self {
        Self::from_fn(self.channels, self.width, self.height, |c, row, column| {
            self.get(c, column, row)
        })
    }

    /// Mean squared difference over all values.
    ///
    /// # Errors
    ///
    /// [`DataError::Shape`] if the two differ in shape.
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

/// The mean of several images of one shape, value by value. The first decides the shape.
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
