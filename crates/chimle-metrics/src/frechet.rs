//! The Frechet distance between two sets of features: on Inception-v3, the FID.

use faer::diag::DiagRef;
use faer::{Mat, Side};

use crate::bootstrap::{Draws, Estimate};
use crate::error::MetricsError;
use crate::moments::Moments;
use crate::rows::Rows;

/// The Frechet distance of two normal distributions with these moments (Heusel et al. 2017):
/// |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).
///
/// With C = F F^T for each, the last trace is the sum of the singular values of F1^T F2. F comes
/// from an eigendecomposition, less the eigenvalues that are rounding (below the largest times the
/// dimension times 2^-52): so it is right when a covariance is singular, as it is for fewer images
/// than features, and nothing under a root is negative. Eigenvalues and singular values are those
/// of [faer](https://docs.rs/faer), which is the faster by 10 times of the two well-kept crates (it
/// and nalgebra) at the 2048 features of Inception-v3, at the price of a minute more to build.
///
/// The value depends on the numbers of images: with fewer it is larger. Compare like with like.
///
/// # Errors
///
/// [`MetricsError::Dimensions`] if the features differ in number, [`MetricsError::TooFew`] for
/// fewer than two rows in either, [`MetricsError::Decomposition`] if the iteration does not end.
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

/// [`frechet_distance`] of a set's rows from a reference, with its 95% interval.
///
/// The interval is that of resampling the set's images; the reference stands, as it does when it
/// comes from a file. A resample holds some images twice and others not at all, which makes its
/// distance larger on average, as fewer images do; this is taken off, so that the interval says how
/// much the value depends on which images there are. Features are kept: rows times the rank of
/// the reference times 8 bytes.
///
/// # Errors
///
/// As [`frechet_distance`]; [`MetricsError::Draws`] if `draws` are of another number of rows.
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

/// Moments with the covariance taken apart.
struct Reference {
    mean: Vec<f64>,
    trace: f64,
    /// `[dimension, rank]`, its product with its transpose is the covariance.
    factor: Mat<f64>,
}

impl Reference {
    fn of(moments: &Moments) -> Result<Self, MetricsError> {
        let covariance = moments.covariance_matrix()?;
        let dimension = covariance.nrows();
        let eigen = covariance
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| MetricsError::Decomposition)?;
        // In ascending order.
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

/// What the distance of any resample of some rows needs to know of them.
struct Resampling<'a, T> {
    reference: &'a Reference,
    rows: Rows<'a, T>,
    /// Subtracted from every row: resampling does not move it.
    center: Vec<f64>,
    /// The squared length of each centered row.
    lengths: Vec<f64>,
    /// Centered rows in the reference's directions, as columns `[rank, rows]`.
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

    /// The distance of the rows, each as often as `weights` says.
    fn distance(&self, weights: &[f64]) -> Result<f64, MetricsError> {
        let total: f64 = weights.iter().sum();
        let drawn: Vec<usize> = (0..weights.len()).filter(|&i| weights[i] > 0.0).collect();
        let mut mean = vec![0.0; self.center.len()];
        for &i in &drawn {
            crate::rows::add(&mut mean, self.rows.row(i), weights[i] / total);
        }
        // Of the resample's mean from the center, whose share is in every length.
        let moved = squared_distance(&mean, &self.center);
        let lengths: f64 = drawn.iter().map(|&i| weights[i] * self.lengths[i]).sum();
        let trace = (lengths - total * moved) / (total - 1.0);

        // F1^T F2, whose singular values are wanted: F2 has a column a row drawn.
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
        // Their squares are the eigenvalues of the smaller of the two products with the transpose,
        // found in a fifth of the time and exactly enough for an interval.
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
