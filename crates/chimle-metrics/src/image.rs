//! An image as the measures read it.

use crate::error::MetricsError;

/// A borrowed image: planes of rows of f32 values in [0, 1].
#[derive(Clone, Copy, Debug)]
pub struct ImageView<'a> {
    values: &'a [f32],
    shape: [usize; 3],
}

impl<'a> ImageView<'a> {
    /// Values in the order channel, row, column, with their shape `[channels, height, width]`.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Shape`] if there are more or fewer values than the shape holds.
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

    /// `[channels, height, width]`
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// All values, plane by plane.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// The planes, each row by row.
    pub(crate) fn planes(&self) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let [_, height, width] = self.shape;
        self.values.chunks_exact((height * width).max(1))
    }
}
