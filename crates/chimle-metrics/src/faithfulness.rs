//! The faithfulness-weighted variance: diversity that counts only near the truth.

use crate::error::MetricsError;

/// The bandwidths for which the faithfulness-weighted variance is reported.
pub const FAITHFULNESS_SIGMAS: [f64; 3] = [0.15, 0.2, 0.3];

/// Computes the faithfulness-weighted variance of the samples for one input (Peng, Moazeni, Li 2022).
///
/// It is the sum over samples y_j of exp(-d(y_j, y)^2 / (2 sigma^2)) d(y_j, m), where y is the truth and
/// m the mean image of the samples. `to_truth[j]` is d(y_j, y) and `to_mean[j]` is d(y_j, m). In the
/// paper, d is LPIPS.
///
/// Higher is better. The sum grows with the number of samples, so compare only values for equal numbers
/// of samples.
///
/// # Errors
///
/// [`MetricsError::Length`] if the two slices differ in length, [`MetricsError::TooFew`] if there are no
/// samples, [`MetricsError::Bandwidth`] if `sigma` is not above 0.
///
/// # Examples
///
/// ```
/// use chimle_metrics::faithfulness_weighted_variance;
///
/// // One sample equals the truth. The other one is so far from the truth that it does not count.
/// let found = faithfulness_weighted_variance(&[0.0, 9.0], &[0.3, 0.4], 0.2);
/// assert_eq!(found, Ok(0.3));
/// ```
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
