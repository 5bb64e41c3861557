//! Mode coverage: how many of an input's known outputs the samples reach.

use std::collections::HashSet;

use crate::error::MetricsError;

/// Counts the known outputs of an input that at least one sample reaches. A sample reaches its nearest
/// known output if its distance from that output is below `radius`.
///
/// `nearest[j]` is the index of the known output nearest to sample j, and the distance between the two.
/// `outputs` is the number of known outputs. With an infinite radius, every sample reaches its nearest
/// output. [`mode_radius`] computes a finite radius.
///
/// # Errors
///
/// [`MetricsError::NoSuchOutput`] if an index is not below `outputs`.
///
/// # Examples
///
/// ```
/// use chimle_metrics::{mode_coverage, mode_radius};
///
/// // The distances between three known outputs.
/// let radius = mode_radius([1.0, 1.2, 1.4]);
/// // Two samples reach output 0. The third sample is too far from output 1.
/// let nearest = [(0, 0.1), (0, 0.3), (1, 0.9)];
/// assert_eq!(mode_coverage(&nearest, 3, radius), Ok(1));
/// ```
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

/// Computes the distance within which a sample reaches a known output: half the smallest of the
/// `distances` between two known outputs. It is infinite if there are fewer than two known outputs.
///
/// The distance must be a metric. A sample within this radius of one output is then farther from every
/// other output. A model that ignores modes generates the mean of the outputs. If the outputs are
/// equally distant, this mean reaches none of them, because its distance from each output is at least
/// the radius.
pub fn mode_radius(distances: impl IntoIterator<Item = f64>) -> f64 {
    let smallest = distances.into_iter().fold(f64::INFINITY, f64::min);
    smallest / 2.0
}

/// Computes the expected coverage of a perfect sampler, which draws each sample independently from
/// equally likely outputs: k (1 - ((k - 1) / k)^n), where k is `outputs` and n is `samples`. It is 0 if
/// there are no outputs.
///
/// # Examples
///
/// ```
/// // Two samples from two outputs are equal with probability 1/2.
/// let expected = chimle_metrics::expected_coverage(2, 2);
/// assert!((expected - 1.5).abs() < 1e-12);
/// ```
pub fn expected_coverage(outputs: usize, samples: usize) -> f64 {
    if outputs == 0 {
        return 0.0;
    }
    let k = outputs as f64;
    k * (1.0 - ((k - 1.0) / k).powf(samples as f64))
}
