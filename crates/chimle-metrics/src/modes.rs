//! How many of an input's known outputs its samples reach.

use std::collections::HashSet;

use crate::error::MetricsError;

/// The number of an input's `outputs` known outputs that some sample reaches: it lies nearer to that
/// output than to any other, and nearer to it than `radius`.
///
/// `nearest[j]` is the index of the known output nearest to sample j, and the distance from it. An
/// infinite radius asks for the nearest alone. See [`mode_radius`] for one that does not.
///
/// # Errors
///
/// [`MetricsError::NoSuchOutput`] if an index is `outputs` or more.
pub fn mode_coverage(
    nearest: &[(usize, f64)],
    outputs: usize,
    radius: f64,
) -> Result<usize, MetricsError> {
    if let Some(sample) = nearest.iter().position(|&(output, _)| output >= outputs) {
        return Err(MetricsError::NoSuchOutput {
            sample,
            output: nearest[sample].0,
            outputs,
        });
    }
    let reached = nearest.iter().filter(|(_, distance)| *distance < radius);
    Ok(reached
        .map(|(output, _)| output)
        .collect::<HashSet<_>>()
        .len())
}

/// How near a sample must come to a known output to have found it: half the smallest `distance`
/// (a metric) between two of the known outputs. Infinite if there are fewer than two.
///
/// That near to one, it is farther from every other. And the mean of outputs that are equally far
/// apart, which a model without modes gives, has found none: it lies at least that far from each.
pub fn mode_radius(distances: impl IntoIterator<Item = f64>) -> f64 {
    let smallest = distances.into_iter().fold(f64::INFINITY, f64::min);
    smallest / 2.0
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
