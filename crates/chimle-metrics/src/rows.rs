//! Features of many images.

use std::ops::Range;

use faer::Mat;

use crate::error::MetricsError;

/// Borrowed features of a set of images: a row of `dimension` numbers an image, row after row.
///
/// `T` is `f32`, as networks give features, or `f64`. Measures compute in f64 either way.
#[derive(Debug)]
pub struct Rows<'a, T> {
    values: &'a [T],
    dimension: usize,
}

// Derived, they would ask the same of `T`, which a borrow does not need.
impl<T> Clone for Rows<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Rows<'_, T> {}

impl<'a, T: Copy + Into<f64>> Rows<'a, T> {
    /// Rows of `dimension` values.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Ragged`] if `dimension` is 0 or does not divide the number of values,
    /// [`MetricsError::NotFinite`] if a value is infinite or no number.
    pub fn new(values: &'a [T], dimension: usize) -> Result<Self, MetricsError> {
        if dimension == 0 || !values.len().is_multiple_of(dimension) {
            return Err(MetricsError::Ragged {
                found: values.len(),
                dimension,
            });
        }
        let is_finite = |&value: &T| value.into().is_finite();
        if let Some(place) = values.iter().position(|value| !is_finite(value)) {
            return Err(MetricsError::NotFinite {
                row: place / dimension,
            });
        }
        Ok(Self { values, dimension })
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Numbers in a row.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// One row.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn row(&self, index: usize) -> &'a [T] {
        &self.values[index * self.dimension..][..self.dimension]
    }

    /// The mean row. Zeros if there are none.
    pub(crate) fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.dimension];
        for row in self.values.chunks_exact(self.dimension) {
            add(&mut mean, row, 1.0);
        }
        let count = self.count().max(1) as f64;
        mean.iter_mut().for_each(|sum| *sum /= count);
        mean
    }

    /// Rows less `center`, as the columns of a matrix `[dimension, rows]`.
    pub(crate) fn columns(&self, rows: Range<usize>, center: &[f64]) -> Mat<f64> {
        let start = rows.start;
        Mat::from_fn(self.dimension, rows.len(), |i, j| {
            let value: f64 = self.values[(start + j) * self.dimension + i].into();
            value - center[i]
        })
    }

    /// The rows with these indices, in this order.
    pub(crate) fn select(&self, indices: &[usize]) -> Vec<T> {
        let rows = indices.iter().map(|&index| self.row(index));
        rows.flatten().copied().collect()
    }

    /// That these are rows of `dimension` numbers, and at least `needed` of them.
    pub(crate) fn check(&self, dimension: usize, needed: usize) -> Result<(), MetricsError> {
        if self.dimension != dimension {
            return Err(MetricsError::Dimensions {
                first: dimension,
                second: self.dimension,
            });
        }
        if self.count() < needed {
            return Err(MetricsError::TooFew {
                found: self.count(),
                needed,
            });
        }
        Ok(())
    }
}

/// Adds `scale` times a row to sums.
pub(crate) fn add<T: Copy + Into<f64>>(sums: &mut [f64], row: &[T], scale: f64) {
    for (sum, &value) in sums.iter_mut().zip(row) {
        *sum += scale * value.into();
    }
}
