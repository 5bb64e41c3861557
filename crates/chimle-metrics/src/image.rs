//! A view of an image.

use crate::error::MetricsError;

/// A borrowed image of f32 values in [0, 1], `[channels, height, width]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct ImageView<'a> {
    values: &'a [f32],
    shape: [usize; 3],
}

impl<'a> ImageView<'a> {
    /// Views values as an image of the shape `[channels, height, width]`. The values are in the order
    /// channel, row, column.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Shape`] if the number of values is not channels x height x width.
    pub fn new(values: &'a [f32], shape: [usize; 3]) -> Result<Self, MetricsError> {
        let [channels, height, width] = shape;
        if values.len() != channels * height * width {
            return Err(MetricsError::Shape {
                channels,
                height,
                width,
                found: values.len(),
            });
        }
        Ok(Self { values, shape })
    }

    /// Returns the shape `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Returns all values, plane by plane.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Returns the planes, each row by row.
    pub(crate) fn planes(&self) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let [_, height, width] = self.shape;
        self.values.chunks_exact((height * width).max(1))
    }
}
