//! How many of an input's known outputs its samples reach.

use std::collections::HashSet;

use crate::error::MetricsError;

/// The number of an input's `outputs` known outputs that are nearest to at least one sample.
///
/// `nearest[j]` is the index of the known output nearest to sample j.
///
/// # Errors
///
/// [`MetricsError::NoSuchOutput`] if an index is `outputs` or more.
pub fn mode_coverage(nearest: &[usize], outputs: usize) -> Result<usize, MetricsError> {
    if let Some(sample) = nearest.iter().position(|output| *output >= outputs) {
        return Err(MetricsError::NoSuchOutput {
            sample,
            output: nearest[sample],
            outputs,
        });
    }
    Ok(nearest.iter().collect::<HashSet<_>>().len())
}

/// The coverage to expect of `samples` samples that are each, independently, any of `outputs`
/// equally likely outputs: k (1 - ((k - 1) / k)^n). 0 if there are no outputs.
pub fn expected_coverage(outputs: usize, samples: usize) -> f64 {
    if outputs == 0 {
        return 0.0;
    }
    let k = outputs as f64;
    k * (1.0 - ((k - 1.0) / k).powf(samples as f64))
}
