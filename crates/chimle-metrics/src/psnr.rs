//! Peak signal-to-noise ratio.

use crate::error::MetricsError;

/// Peak signal-to-noise ratio in decibels, of two images with values in [0, 1].
///
/// -10 log10 of the mean squared difference over all values, in f64. Equal images have an
/// infinite ratio. The order of the values does not matter, so long as it is the same.
///
/// # Errors
///
/// [`MetricsError::Length`] if the lengths differ, [`MetricsError::TooFew`] if both are empty.
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
