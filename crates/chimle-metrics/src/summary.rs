//! The summary of a measure over several samples for one input.

use serde::{Deserialize, Serialize};

use crate::error::MetricsError;

/// Whether lower or higher values of a measure are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Lower values are better, as for a distance.
    Lower,
    /// Higher values are better, as for PSNR and SSIM.
    Higher,
}

/// The summary of a measure over N samples for one input.
///
/// # Examples
///
/// ```
/// use chimle_metrics::{Better, Summary};
///
/// # fn main() -> Result<(), chimle_metrics::MetricsError> {
/// let summary = Summary::of(&[0.3, 0.1, 0.2], Better::Lower)?;
/// assert_eq!((summary.samples, summary.best), (3, 0.1));
/// assert!((summary.mean - 0.2).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The number of samples.
    pub samples: usize,
    /// The best value ("best of N").
    pub best: f64,
    /// The mean value.
    pub mean: f64,
    /// The standard deviation over the N samples. The sum of squares is divided by N.
    pub deviation: f64,
}

impl Summary {
    /// Summarizes one value per sample. If a value is NaN, the best, the mean and the deviation are NaN.
    ///
    /// # Errors
    ///
    /// [`MetricsError::TooFew`] if there are no values.
    pub fn of(values: &[f64], better: Better) -> Result<Self, MetricsError> {
        if values.is_empty() {
            return Err(MetricsError::TooFew {
                found: 0,
                needed: 1,
            });
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares = values.iter().map(|v| (v - mean) * (v - mean));
        let best = values.iter().copied().reduce(|best, v| {
            let improves = match better {
                Better::Lower => v < best,
                Better::Higher => v > best,
            };
            if improves || v.is_nan() { v } else { best }
        });
        Ok(Self {
            samples: values.len(),
            best: if mean.is_nan() {
                mean
            } else {
                best.unwrap_or(mean)
            },
            mean,
            deviation: (squares.sum::<f64>() / n).sqrt(),
        })
    }
}
