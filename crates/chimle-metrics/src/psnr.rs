//! The peak signal-to-noise ratio.

use crate::error::MetricsError;

/// Computes the peak signal-to-noise ratio of two images with values in [0, 1], in decibels.
///
/// It is -10 log10 of the mean squared difference over all values, computed in f64. It is infinite if
/// the images are equal. The values may be in any order, as long as both images have the same order.
///
/// # Errors
///
/// [`MetricsError::Length`] if the lengths differ, [`MetricsError::TooFew`] if both are empty.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), chimle_metrics::MetricsError> {
/// // A difference of 0.1 in every value is 20 dB.
/// let ratio = chimle_metrics::psnr(&[0.2; 12], &[0.3; 12])?;
/// assert!((ratio - 20.0).abs() < 1e-4);
/// # Ok(())
/// # }
/// ```
pub fn psnr(a: &[f32], b: &[f32]) -> Result<f64, MetricsError> {
    if a.len() != b.len() {
        return Err(MetricsError::Length {
            first: a.len(),
            second: b.len(),
        });
    }
    if a.is_empty() {
        return Err(MetricsError::TooFew {
            found: 0,
            needed: 1,
        });
    }
    let squares = a.iter().zip(b).map(|(a, b)| {
        let difference = f64::from(*a) - f64::from(*b);
        difference * difference
    });
    let mean = squares.sum::<f64>() / a.len() as f64;
    Ok(-10.0 * mean.log10())
}
