//! How much the samples for one input differ.

use burn::tensor::{ElementConversion, Tensor};
use chimle_perceptual::{Distance, Features, Kernels};

use crate::error::MetricsError;

/// The mean distance over all pairs of samples for one input; with LPIPS, the LPIPS diversity.
///
/// `samples` is `[n, 3, h, w]`, RGB in [0, 1]. Features are computed once a sample.
///
/// # Errors
///
/// [`MetricsError::TooFew`] for fewer than two samples.
pub fn diversity<B: Kernels>(
    distance: &Distance<B>,
    samples: Tensor<B, 4>,
) -> Result<f64, MetricsError> {
    diversity_of_features(distance, &distance.features(samples))
}

/// As [`diversity`], of samples whose features are at hand.
///
/// # Errors
///
/// As [`diversity`].
pub fn diversity_of_features<B: Kernels>(
    distance: &Distance<B>,
    features: &Features<B>,
) -> Result<f64, MetricsError> {
    let n = features.rows();
    if n < 2 {
        return Err(MetricsError::TooFew {
            found: n,
            needed: 2,
        });
    }
    let from_later_samples = |i: usize| {
        let later = features.slice(i + 1..n);
        distance.compare(&later, &features.slice(i..i + 1))
    };
    let pairs = Tensor::cat((0..n - 1).map(from_later_samples).collect(), 0);
    Ok(pairs.mean().into_scalar().elem())
}
