//! Diversity that counts only near the truth.

use crate::error::MetricsError;

/// The bandwidths that the faithfulness-weighted variance is reported at.
pub const FAITHFULNESS_SIGMAS: [f64; 3] = [0.15, 0.2, 0.3];

/// The faithfulness-weighted variance of the samples for one input (Peng, Moazeni, Li 2022): the sum
/// over samples y_j of exp(-d(y_j, y)^2 / (2 sigma^2)) d(y_j, m), where y is the truth and m the
/// samples' mean image.
///
/// `to_truth[j]` is d(y_j, y) and `to_mean[j]` is d(y_j, m); in the paper d is LPIPS. Higher is
/// better. It is a sum, so it grows with the number of samples: compare like with like.
///
/// ```
/// use chimle_metrics::faithfulness_weighted_variance;
///
/// // One sample at the truth, and one so far away that it does not count.
/// let found = faithfulness_weighted_variance(&[0.0, 9.0], &[0.3, 0.4], 0.2);
/// assert_eq!(found, Ok(0.3));
/// ```
///
/// # Errors
///
/// [`MetricsError::Length`] if there are not as many of either, [`MetricsError::TooFew`] without
/// samples, [`MetricsError::Bandwidth`] unless `sigma` is above 0.
pub fn faithfulness_weighted_variance(
    to_truth: &[f64],
    to_mean: &[f64],
    sigma: f64,
) -> Result<f64, MetricsError> {
    if to_truth.len() != to_mean.len() {
        return Err(MetricsError::Length {
            first: to_truth.len(),
            second: to_mean.len(),
        });
    }
    if to_truth.is_empty() {
        return Err(MetricsError::TooFew {
            found: 0,
            needed: 1,
        });
    }
    if sigma.is_nan() || sigma <= 0.0 {
        return Err(MetricsError::Bandwidth);
    }
    let terms = to_truth.iter().zip(to_mean);
    Ok(terms
        .map(|(truth, mean)| (-truth * truth / (2.0 * sigma * sigma)).exp() * mean)
        .sum())
}
