//! Features of many images.

use std::ops::Range;

use faer::Mat;

use crate::error::MetricsError;

/// The borrowed features of a set of images: one row of `dimension` numbers per image, row-major.
///
/// `T` is `f32`, the type in which networks compute features, or `f64`. Measures compute in f64 in both
/// cases.
///
/// # Examples
///
/// ```
/// use chimle_metrics::Rows;
///
/// # fn main() -> Result<(), chimle_metrics::MetricsError> {
/// let features = Rows::new(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], 3)?;
/// assert_eq!(features.count(), 2);
/// assert_eq!(features.row(1), [4.0, 5.0, 6.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Rows<'a, T> {
    values: &'a [T],
    dimension: usize,
}

// Derived implementations would require `T: Clone` and `T: Copy`, which a borrow does not need.
impl<T> Clone for Rows<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Rows<'_, T> {}

impl<'a, T: Copy + Into<f64>> Rows<'a, T> {
    /// Views values as rows of `dimension` values each.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Ragged`] if `dimension` is 0 or does not divide the number of values,
    /// [`MetricsError::NotFinite`] if a value is infinite or NaN.
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

    /// Returns the number of rows.
    pub fn count(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Returns the number of values in a row.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Returns the row at `index`.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn row(&self, index: usize) -> &'a [T] {
        &self.values[index * self.dimension..][..self.dimension]
    }

    /// Computes the mean row. It is zero if there are no rows.
    pub(crate) fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.dimension];
        for row in self.values.chunks_exact(self.dimension) {
            add(&mut mean, row, 1.0);
        }
        let count = self.count().max(1) as f64;
        mean.iter_mut().for_each(|sum| *sum /= count);
        mean
    }

    /// Returns rows minus `center`, as the columns of a matrix `[dimension, rows]`.
    pub(crate) fn columns(&self, rows: Range<usize>, center: &[f64]) -> Mat<f64> {
        let start = rows.start;
        Mat::from_fn(self.dimension, rows.len(), |i, j| {
            let value: f64 = self.values[(start + j) * self.dimension + i].into();
            value - center[i]
        })
    }

    /// Returns the rows with these indices, in this order.
    pub(crate) fn select(&self, indices: &[usize]) -> Vec<T> {
        let rows = indices.iter().map(|&index| self.row(index));
        rows.flatten().copied().collect()
    }

    /// Checks that there are at least `needed` rows of `dimension` values.
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

/// Adds `scale` times a row to the sums.
pub(crate) fn add<T: Copy + Into<f64>>(sums: &mut [f64], row: &[T], scale: f64) {
    for (sum, &value) in sums.iter_mut().zip(row) {
        *sum += scale * value.into();
    }
}
