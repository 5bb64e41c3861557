//! The mean and covariance of features, accumulated batch by batch.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, get_global_parallelism};

use crate::error::MetricsError;
use crate::rows::Rows;

/// The mean and covariance of rows of features, accumulated in f64.
///
/// Rows are pushed in batches and are not kept. Moments take the memory of `dimension`^2 numbers (32
/// MiB for the 2048 features of Inception-v3), for any number of rows. Each batch is centered before
/// its products are summed, and batches are merged by Chan's formula (Chan, Golub, LeVeque 1983).
/// Therefore, no precision is lost if the mean is far from 0.
///
/// # Examples
///
/// ```
/// use chimle_metrics::{Moments, Rows};
///
/// # fn main() -> Result<(), chimle_metrics::MetricsError> {
/// let mut moments = Moments::new(2);
/// moments.push(Rows::new(&[0.0f32, 1.0, 2.0, 5.0], 2)?)?; // two rows
/// moments.push(Rows::new(&[4.0f32, 6.0], 2)?)?; // one more
/// assert_eq!(moments.mean(), [2.0, 4.0]);
/// let variance = moments.covariance()?[0];
/// assert!((variance - 4.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    count: usize,
    mean: Vec<f64>,
    /// The sum over rows of (x - mean) (x - mean)^T, `[dimension, dimension]`.
    scatter: Mat<f64>,
}

impl Moments {
    /// Creates moments without rows, for rows of `dimension` values.
    pub fn new(dimension: usize) -> Self {
        Self {
            count: 0,
            mean: vec![0.0; dimension],
            scatter: Mat::zeros(dimension, dimension),
        }
    }

    /// Computes the moments of all rows at once.
    pub fn of<T: Copy + Into<f64>>(rows: Rows<'_, T>) -> Self {
        let mut moments = Self::new(rows.dimension());
        moments
            .push(rows)
            .expect("the dimension is that of the rows");
        moments
    }

    /// Creates moments from a mean and a covariance computed elsewhere. `covariance` is
    /// `[dimension, dimension]`: sums of products, divided by `count` - 1.
    ///
    /// # Errors
    ///
    /// [`MetricsError::TooFew`] if `count` is below 2, [`MetricsError::Ragged`] if the covariance and
    /// the mean do not have the same dimension, [`MetricsError::NotFinite`] if a number is infinite or
    /// NaN.
    pub fn from_parts(
        count: usize,
        mean: Vec<f64>,
        covariance: &[f64],
    ) -> Result<Self, MetricsError> {
        let dimension = mean.len();
        let rows = Rows::new(covariance, dimension)?;
        Rows::new(&mean, dimension)?;
        if rows.count() != dimension {
            return Err(MetricsError::Ragged {
                found: covariance.len(),
                dimension,
            });
        }
        if count < 2 {
            return Err(MetricsError::TooFew {
                found: count,
                needed: 2,
            });
        }
        let scale = (count - 1) as f64;
        let scatter = Mat::from_fn(dimension, dimension, |i, j| scale * rows.row(i)[j]);
        Ok(Self {
            count,
            mean,
            scatter,
        })
    }

    /// Adds more rows.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Dimensions`] if the rows have a different number of values.
    pub fn push<T: Copy + Into<f64>>(&mut self, rows: Rows<'_, T>) -> Result<(), MetricsError> {
        /// The number of rows multiplied at once. It bounds the size of the centered copy.
        const BLOCK: usize = 1024;
        rows.check(self.dimension(), 0)?;
        for start in (0..rows.count()).step_by(BLOCK) {
            let range = start..(start + BLOCK).min(rows.count());
            let values = &rows.select(&range.collect::<Vec<_>>());
            self.push_block(Rows::new(values, rows.dimension())?);
        }
        Ok(())
    }

    fn push_block<T: Copy + Into<f64>>(&mut self, rows: Rows<'_, T>) {
        let mean = rows.mean();
        let centered = rows.columns(0..rows.count(), &mean);
        add_product(&mut self.scatter, &centered);
        self.shift(rows.count(), &mean);
    }

    /// Adds all rows that `other` has accumulated.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Dimensions`] if the rows of `other` have a different number of values.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricsError> {
        if other.dimension() != self.dimension() {
            return Err(MetricsError::Dimensions {
                first: self.dimension(),
                second: other.dimension(),
            });
        }
        self.scatter += &other.scatter;
        self.shift(other.count, &other.mean);
        Ok(())
    }

    /// Updates the mean and the count for an added part, and adds the difference between the means of
    /// the two parts to the scatter.
    fn shift(&mut self, count: usize, mean: &[f64]) {
        let (before, added) = (self.count as f64, count as f64);
        let total = before + added;
        if added == 0.0 {
            return;
        }
        let apart = Mat::from_fn(mean.len(), 1, |i, _| {
            (before * added / total).sqrt() * (mean[i] - self.mean[i])
        });
        add_product(&mut self.scatter, &apart);
        for (own, mean) in self.mean.iter_mut().zip(mean) {
            *own += (mean - *own) * added / total;
        }
        self.count += count;
    }

    /// Returns the number of rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the number of values in a row.
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// Returns the mean row.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Computes the symmetric covariance `[dimension, dimension]`. Sums of products are divided by the
    /// number of rows minus 1.
    ///
    /// # Errors
    ///
    /// [`MetricsError::TooFew`] if there are fewer than two rows.
    pub fn covariance(&self) -> Result<Vec<f64>, MetricsError> {
        let covariance = self.covariance_matrix()?;
        let columns = (0..self.dimension()).map(|j| covariance.col(j));
        Ok(columns.flat_map(|column| column.iter()).copied().collect())
    }

    pub(crate) fn covariance_matrix(&self) -> Result<Mat<f64>, MetricsError> {
        if self.count < 2 {
            return Err(MetricsError::TooFew {
                found: self.count,
                needed: 2,
            });
        }
        Ok(&self.scatter * faer::Scale(1.0 / (self.count - 1) as f64))
    }
}

/// Adds the product of `columns` and its transpose to `sum`.
fn add_product(sum: &mut Mat<f64>, columns: &Mat<f64>) {
    matmul(
        sum,
        Accum::Add,
        columns,
        columns.transpose(),
        1.0,
        get_global_parallelism(),
    );
}
