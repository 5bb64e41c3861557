//! The kernel Inception distance.

use std::ops::Range;

use faer::Mat;
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::bootstrap::{Draws, Estimate};
use crate::error::MetricsError;
use crate::rows::Rows;

/// The number of rows in a block. The products of two blocks take 8 MiB.
const BLOCK: usize = 1024;

/// Random subsets over which the distance is averaged. With subsets, the cost does not depend on the
/// size of the sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subsets {
    /// The number of subsets. 100 is usual.
    pub count: usize,
    /// The number of rows of each set in a subset. A smaller set is used whole. 1000 is usual.
    pub size: usize,
    /// The seed with which the subsets are drawn.
    pub seed: u64,
}

/// Computes the kernel Inception distance (Binkowski et al. 2018): the unbiased estimate of the squared
/// maximum mean discrepancy of two sets with the kernel k(x, y) = (x . y / dimension + 1)^3.
///
/// Without `subsets`, the estimate is over all pairs of rows. With `subsets`, it is the mean of the
/// estimates over random subsets. An estimate may be negative. The time grows with the product of the
/// numbers of rows; the memory does not.
///
/// # Errors
///
/// [`MetricsError::Dimensions`] if the sets have different numbers of features,
/// [`MetricsError::TooFew`] if either set (or a subset) has fewer than two rows.
///
/// # Examples
///
/// ```
/// use chimle_metrics::{Rows, kid};
///
/// # fn main() -> Result<(), chimle_metrics::MetricsError> {
/// let real = [1.0f64, 1.0];
/// let generated = [0.0f64, 0.0];
/// let distance = kid(Rows::new(&real, 1)?, Rows::new(&generated, 1)?, None)?;
/// // k(1, 1) = 8 and k(0, 0) = k(1, 0) = 1.
/// assert!((distance - (8.0 + 1.0 - 2.0 * 1.0)).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
pub fn kid<T: Copy + Into<f64>>(
    real: Rows<'_, T>,
    generated: Rows<'_, T>,
    subsets: Option<&Subsets>,
) -> Result<f64, MetricsError> {
    let ones = |rows: Rows<'_, T>| Mat::full(rows.count(), 1, 1.0);
    Ok(weighted(real, generated, &ones(real), &ones(generated), subsets)?[0])
}

/// Computes [`kid`] with its 95% interval, which comes from resampling the images of both sets.
///
/// An image that is drawn twice is not paired with itself, so the estimate of a resample is unbiased.
///
/// # Errors
///
/// The errors of [`kid`], and [`MetricsError::Draws`] if the draws were made for different numbers of
/// rows.
pub fn kid_estimate<T: Copy + Into<f64>>(
    real: Rows<'_, T>,
    generated: Rows<'_, T>,
    subsets: Option<&Subsets>,
    real_draws: &Draws,
    generated_draws: &Draws,
) -> Result<Estimate, MetricsError> {
    let real_weights = weights(real, real_draws)?;
    let generated_weights = weights(generated, generated_draws)?;
    let found = weighted(real, generated, &real_weights, &generated_weights, subsets)?;
    Ok(Estimate::shifted(found[0], found[1..].to_vec()))
}

/// Returns the weights `[rows, 1 + resamples]`. The first column is 1 for each row, and every other
/// column is a resample.
fn weights<T: Copy + Into<f64>>(
    rows: Rows<'_, T>,
    draws: &Draws,
) -> Result<Mat<f64>, MetricsError> {
    draws.check(rows.count())?;
    let mut weights = Mat::full(rows.count(), 1 + draws.len(), 1.0);
    for (resample, drawn) in draws.iter().enumerate() {
        for (i, weight) in drawn.into_iter().enumerate() {
            weights[(i, 1 + resample)] = weight;
        }
    }
    Ok(weights)
}

/// Computes the estimate for each column of weights.
fn weighted<T: Copy + Into<f64>>(
    real: Rows<'_, T>,
    generated: Rows<'_, T>,
    real_weights: &Mat<f64>,
    generated_weights: &Mat<f64>,
    subsets: Option<&Subsets>,
) -> Result<Vec<f64>, MetricsError> {
    real.check(real.dimension(), 2)?;
    generated.check(real.dimension(), 2)?;
    let Some(subsets) = subsets else {
        let real = Weighted::all(real, real_weights);
        return Ok(Weighted::discrepancy(
            &real,
            &Weighted::all(generated, generated_weights),
        ));
    };
    if subsets.count == 0 || subsets.size < 2 {
        return Err(MetricsError::TooFew {
            found: subsets.size.min(subsets.count),
            needed: 2,
        });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(subsets.seed);
    let mut choose = |rows: usize| sample(&mut rng, rows, subsets.size.min(rows)).into_vec();
    let mut sums = vec![0.0; real_weights.ncols()];
    for _ in 0..subsets.count {
        let (from_real, from_generated) = (choose(real.count()), choose(generated.count()));
        let (real_values, real_weights) = subset(real, real_weights, &from_real);
        let (values, weights) = subset(generated, generated_weights, &from_generated);
        let found = Weighted::discrepancy(
            &Weighted::all(Rows::new(&real_values, real.dimension())?, &real_weights),
            &Weighted::all(Rows::new(&values, real.dimension())?, &weights),
        );
        for (sum, found) in sums.iter_mut().zip(found) {
            *sum += found / subsets.count as f64;
        }
    }
    Ok(sums)
}

fn subset<T: Copy + Into<f64>>(
    rows: Rows<'_, T>,
    weights: &Mat<f64>,
    indices: &[usize],
) -> (Vec<T>, Mat<f64>) {
    let chosen = Mat::from_fn(indices.len(), weights.ncols(), |i, k| {
        weights[(indices[i], k)]
    });
    (rows.select(indices), chosen)
}

/// Rows with a weight for each row and each estimate.
struct Weighted<'a, T> {
    rows: Rows<'a, T>,
    /// `[rows, estimates]`
    weights: &'a Mat<f64>,
    /// A center of zeros, because the kernel takes the features uncentered.
    origin: Vec<f64>,
}

impl<'a, T: Copy + Into<f64>> Weighted<'a, T> {
    fn all(rows: Rows<'a, T>, weights: &'a Mat<f64>) -> Self {
        let origin = vec![0.0; rows.dimension()];
        Self {
            rows,
            weights,
            origin,
        }
    }

    /// Computes the estimate for each column of weights: the mean kernel within the real set, plus the
    /// mean kernel within the generated set, minus twice the mean kernel between the two sets.
    fn discrepancy(real: &Self, generated: &Self) -> Vec<f64> {
        let (within_real, within_generated) = (real.mean_within(), generated.mean_within());
        let between = real.mean_between(generated);
        let within = within_real.into_iter().zip(within_generated);
        within
            .zip(between)
            .map(|((real, generated), between)| real + generated - 2.0 * between)
            .collect()
    }

    /// Computes the mean kernel over pairs of different rows.
    fn mean_within(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.weights.ncols()];
        for rows in self.blocks() {
            for others in self
                .blocks()
                .take_while(|others| others.start <= rows.start)
            {
                let mut kernel = self.kernel(self, &rows, &others);
                let twice = if others == rows {
                    (0..rows.len()).for_each(|i| kernel[(i, i)] = 0.0);
                    1.0
                } else {
                    2.0
                };
                self.add(&mut sums, twice, &kernel, self, rows.clone(), others);
            }
        }
        let pairs = self.weights.col_iter().map(|weights| {
            let total: f64 = weights.iter().sum();
            total * total - weights.squared_norm_l2()
        });
        sums.iter().zip(pairs).map(|(sum, n)| sum / n).collect()
    }

    /// Computes the mean kernel over pairs of a row of this set and a row of another set.
    fn mean_between(&self, other: &Self) -> Vec<f64> {
        let mut sums = vec![0.0; self.weights.ncols()];
        for rows in self.blocks() {
            for others in other.blocks() {
                let kernel = self.kernel(other, &rows, &others);
                self.add(&mut sums, 1.0, &kernel, other, rows.clone(), others);
            }
        }
        let totals = |set: &Self| -> Vec<f64> {
            let columns = set.weights.col_iter();
            columns.map(|column| column.iter().sum()).collect()
        };
        let pairs = totals(self).into_iter().zip(totals(other));
        sums.iter()
            .zip(pairs)
            .map(|(s, (n, m))| s / (n * m))
            .collect()
    }

    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<T> {
        let count = self.rows.count();
        (0..count)
            .step_by(BLOCK)
            .map(move |start| start..(start + BLOCK).min(count))
    }

    /// Computes the kernel `[rows, others]` of some rows with some rows of another set.
    fn kernel(&self, other: &Self, rows: &Range<usize>, others: &Range<usize>) -> Mat<f64> {
        let columns = self.rows.columns(rows.clone(), &self.origin);
        let mut kernel = columns.transpose() * other.rows.columns(others.clone(), &other.origin);
        let dimension = self.rows.dimension() as f64;
        for column in kernel.col_iter_mut() {
            column.iter_mut().for_each(|product| {
                let base = *product / dimension + 1.0;
                *product = base * base * base;
            });
        }
        kernel
    }

    /// Adds `scale` times the weighted sum of a kernel's values. The weight of a value is the product of
    /// the weights of its row and its column.
    fn add(
        &self,
        sums: &mut [f64],
        scale: f64,
        kernel: &Mat<f64>,
        other: &Self,
        rows: Range<usize>,
        others: Range<usize>,
    ) {
        let by_column = other.weights.subrows(others.start, others.len());
        let by_row = self.weights.subrows(rows.start, rows.len());
        let over_columns = kernel * by_column;
        for (k, sum) in sums.iter_mut().enumerate() {
            let values = over_columns.col(k).iter().zip(by_row.col(k).iter());
            *sum += scale * values.map(|(value, weight)| value * weight).sum::<f64>();
        }
    }
}
