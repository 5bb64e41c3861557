//! The Frechet distance between two sets of features. On the features of Inception-v3, it is the FID.

use faer::diag::DiagRef;
use faer::{Mat, Side};

use crate::bootstrap::{Draws, Estimate};
use crate::error::MetricsError;
use crate::moments::Moments;
use crate::rows::Rows;

/// Computes the Frechet distance between two normal distributions with these moments
/// (Heusel et al. 2017):
/// |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).
///
/// Each covariance is written as C = F F^T. The trace of (C1 C2)^(1/2) is then the sum of the singular
/// values of F1^T F2. F comes from an eigendecomposition without the eigenvalues that are only rounding
/// errors (at most the largest eigenvalue times the dimension times 2^-52). Therefore, no root of a
/// negative number is taken. The distance is correct even if a covariance is singular, which happens if
/// there are fewer images than features. [faer](https://docs.rs/faer) computes the eigenvalues and the
/// singular values. With the 2048 features of Inception-v3, faer is 10 times as fast as nalgebra, but
/// it takes a minute longer to build.
///
/// The value depends on the number of images and is larger for fewer images. Compare only values for
/// equal numbers of images.
///
/// # Errors
///
/// [`MetricsError::Dimensions`] if the sets have different numbers of features,
/// [`MetricsError::TooFew`] if either set has fewer than two rows, [`MetricsError::Decomposition`] if
/// the decomposition does not converge.
///
/// # Examples
///
/// ```
/// use chimle_metrics::{Moments, Rows, frechet_distance};
///
/// # fn main() -> Result<(), chimle_metrics::MetricsError> {
/// // Two sets with one feature. The means are 2 and 5, and the variances are equal.
/// let real = Moments::of(Rows::new(&[1.0f64, 3.0], 1)?);
/// let generated = Moments::of(Rows::new(&[4.0f64, 6.0], 1)?);
/// assert!((frechet_distance(&real, &generated)? - 9.0).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
pub fn frechet_distance(a: &Moments, b: &Moments) -> Result<f64, MetricsError> {
    same_dimension(a, b.dimension())?;
    let (a, b) = (Reference::of(a)?, Reference::of(b)?);
    let product = a.factor.transpose() * &b.factor;
    let roots: f64 = product
        .singular_values()
        .map_err(|_| MetricsError::Decomposition)?
        .iter()
        .sum();
    Ok(squared_distance(&a.mean, &b.mean) + a.trace + b.trace - 2.0 * roots)
}

/// Computes the [`frechet_distance`] of a set of rows from a reference, with its 95% interval.
///
/// The interval comes from resampling the images of the set. The reference is not resampled, because it
/// may come from a file of moments. A resample contains some images several times and others not at
/// all, which makes its distance larger on average, as if there were fewer images. This bias is
/// subtracted, so the interval shows only how much the value depends on the choice of images. The
/// function takes 8 bytes of memory times the number of rows times the rank of the reference's
/// covariance.
///
/// # Errors
///
/// The errors of [`frechet_distance`], and [`MetricsError::Draws`] if `draws` were made for a different
/// number of rows.
pub fn frechet_estimate<T: Copy + Into<f64>>(
    reference: &Moments,
    rows: Rows<'_, T>,
    draws: &Draws,
) -> Result<Estimate, MetricsError> {
    same_dimension(reference, rows.dimension())?;
    draws.check(rows.count())?;
    let own = Moments::of(rows);
    let value = frechet_distance(reference, &own)?;
    let reference = Reference::of(reference)?;
    let resampling = Resampling::new(&reference, rows, own.mean());
    let values = draws
        .iter()
        .map(|weights| resampling.distance(&weights))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Estimate::shifted(value, values))
}

fn same_dimension(a: &Moments, dimension: usize) -> Result<(), MetricsError> {
    if a.dimension() == dimension {
        return Ok(());
    }
    Err(MetricsError::Dimensions {
        first: a.dimension(),
        second: dimension,
    })
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Moments with a factorized covariance.
struct Reference {
    mean: Vec<f64>,
    trace: f64,
    /// The factor F `[dimension, rank]` of the covariance F F^T.
    factor: Mat<f64>,
}

impl Reference {
    fn of(moments: &Moments) -> Result<Self, MetricsError> {
        let covariance = moments.covariance_matrix()?;
        let dimension = covariance.nrows();
        let eigen = covariance
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| MetricsError::Decomposition)?;
        // The eigenvalues are in ascending order.
        let values: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        let largest = values.last().copied().unwrap_or(0.0);
        let rounding = largest * dimension as f64 * f64::EPSILON;
        let first = values.partition_point(|&value| value <= rounding);
        let roots: Vec<f64> = values[first..].iter().map(|value| value.sqrt()).collect();
        let vectors = eigen.U().subcols(first, dimension - first);
        Ok(Self {
            mean: moments.mean().to_vec(),
            trace: (0..dimension).map(|i| covariance[(i, i)]).sum(),
            factor: vectors * DiagRef::from_slice(&roots),
        })
    }
}

/// Everything that is needed to compute the distance of any resample of some rows.
struct Resampling<'a, T> {
    reference: &'a Reference,
    rows: Rows<'a, T>,
    /// The vector that is subtracted from every row. It is the same for all resamples.
    center: Vec<f64>,
    /// The squared length of each centered row.
    lengths: Vec<f64>,
    /// The centered rows, projected onto the columns of the reference's factor: `[rank, rows]`.
    projected: Mat<f64>,
}

impl<'a, T: Copy + Into<f64>> Resampling<'a, T> {
    fn new(reference: &'a Reference, rows: Rows<'a, T>, center: &[f64]) -> Self {
        let columns = rows.columns(0..rows.count(), center);
        let length = |column: usize| columns.col(column).squared_norm_l2();
        Self {
            reference,
            rows,
            center: center.to_vec(),
            lengths: (0..rows.count()).map(length).collect(),
            projected: reference.factor.transpose() * &columns,
        }
    }

    /// Computes the distance of the rows, each counted as often as `weights` says.
    fn distance(&self, weights: &[f64]) -> Result<f64, MetricsError> {
        let total: f64 = weights.iter().sum();
        let drawn: Vec<usize> = (0..weights.len()).filter(|&i| weights[i] > 0.0).collect();
        let mut mean = vec![0.0; self.center.len()];
        for &i in &drawn {
            crate::rows::add(&mut mean, self.rows.row(i), weights[i] / total);
        }
        // The lengths are measured from the center, not from the resample's mean, so the squared
        // distance of the two is subtracted.
        let moved = squared_distance(&mean, &self.center);
        let lengths: f64 = drawn.iter().map(|&i| weights[i] * self.lengths[i]).sum();
        let trace = (lengths - total * moved) / (total - 1.0);

        // The product is F1^T F2, whose singular values are summed. F2 has one column per drawn row.
        let rank = self.projected.nrows();
        let mut projected_mean = vec![0.0; rank];
        for &i in &drawn {
            for (k, mean) in projected_mean.iter_mut().enumerate() {
                *mean += weights[i] / total * self.projected[(k, i)];
            }
        }
        let product = Mat::from_fn(rank, drawn.len(), |k, j| {
            let i = drawn[j];
            (weights[i] / (total - 1.0)).sqrt() * (self.projected[(k, i)] - projected_mean[k])
        });
        // The squares of the singular values are the eigenvalues of the matrix times its transpose.
        // Computing them from the smaller of the two possible products takes a fifth of the time, and
        // is precise enough for an interval.
        let squares = if rank < drawn.len() {
            &product * product.transpose()
        } else {
            product.transpose() * &product
        };
        let roots: f64 = squares
            .self_adjoint_eigenvalues(Side::Lower)
            .map_err(|_| MetricsError::Decomposition)?
            .iter()
            .map(|square| square.max(0.0).sqrt())
            .sum();
        let means = squared_distance(&self.reference.mean, &mean);
        Ok(means + self.reference.trace + trace - 2.0 * roots)
    }
}
