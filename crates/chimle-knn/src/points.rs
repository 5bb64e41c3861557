//! Points: a view of plain values.

use crate::KnnError;

/// A view of `n` points of dimension `d`: finite f32 values, row-major, `n x d`.
///
/// # Examples
///
/// ```
/// use chimle_knn::Points;
///
/// # fn main() -> Result<(), chimle_knn::KnnError> {
/// let points = Points::new(&[0.0, 0.0, 3.0, 4.0], 2)?;
/// assert_eq!(points.len(), 2);
/// assert_eq!(points.row(1), [3.0, 4.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Points<'a> {
    values: &'a [f32],
    dimension: usize,
}

impl<'a> Points<'a> {
    /// Views `values` as points of `dimension` coordinates each. `values` may be empty.
    ///
    /// # Errors
    ///
    /// If the dimension is 0, the number of values is not a multiple of the dimension, or a value is
    /// infinite or NaN.
    pub fn new(values: &'a [f32], dimension: usize) -> Result<Self, KnnError> {
        if dimension == 0 {
            return Err(KnnError::ZeroDimension);
        }
        if !values.len().is_multiple_of(dimension) {
            return Err(KnnError::Ragged {
                values: values.len(),
                dimension,
            });
        }
        if let Some(at) = first_non_finite(values) {
            return Err(KnnError::NonFinite {
                point: at / dimension,
                coordinate: at % dimension,
                value: values[at],
            });
        }
        Ok(Self { values, dimension })
    }

    /// Views values that were checked before.
    pub(crate) fn checked(values: &'a [f32], dimension: usize) -> Self {
        debug_assert!(dimension > 0 && values.len().is_multiple_of(dimension));
        Self { values, dimension }
    }

    /// Returns the number of points.
    pub fn len(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Returns whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns the number of coordinates of each point, which is at least 1.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Returns the coordinates of the point at `index`.
    ///
    /// # Panics
    ///
    /// If there is no such point.
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.dimension..][..self.dimension]
    }

    /// Iterates over the points in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'a, f32> {
        self.values.chunks_exact(self.dimension)
    }

    /// Returns all values, `n x d`, row-major.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Returns the points from `start` up to, but not including, `end`.
    pub(crate) fn range(&self, start: usize, end: usize) -> Self {
        Self {
            values: &self.values[start * self.dimension..end * self.dimension],
            dimension: self.dimension,
        }
    }
}

fn first_non_finite(values: &[f32]) -> Option<usize> {
    // Blocks are checked without a branch per value, so the compiler can use SIMD.
    const BLOCK: usize = 256;
    let finite = |block: &[f32]| block.iter().fold(true, |all, v| all & v.is_finite());
    let block = values.chunks(BLOCK).position(|block| !finite(block))?;
    let rest = &values[block * BLOCK..];
    Some(block * BLOCK + rest.iter().position(|v| !v.is_finite())?)
}
