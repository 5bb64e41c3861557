//! Diversity: how much the samples for one input differ.

use burn::tensor::backend::Backend;
use burn::tensor::{ElementConversion, Tensor};
use chimle_perceptual::{Distance, Rows, Selection};

use crate::error::MetricsError;

/// Computes the mean distance over all pairs of samples for one input. With LPIPS this is the LPIPS
/// diversity.
///
/// The features of each sample are computed once.
///
/// # Shapes
///
/// - `samples`: one row per sample. Images are `[n, 3, height, width]`, RGB in [0, 1].
///
/// # Errors
///
/// [`MetricsError::TooFew`] if there are fewer than two samples.
///
/// # Examples
///
/// ```
/// use burn::tensor::Tensor;
/// use burn_flex::Flex;
/// use chimle_metrics::diversity;
/// use chimle_perceptual::ImageDistance;
///
/// # fn main() -> Result<(), chimle_metrics::MetricsError> {
/// let image = |value: f32| Tensor::<Flex, 4>::full([1, 3, 8, 8], value, &Default::default());
/// let samples = Tensor::cat(vec![image(0.1), image(0.2), image(0.4)], 0);
/// let spread = diversity(&ImageDistance::L1, samples)?;
/// assert!((spread - (0.1 + 0.2 + 0.3) / 3.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
pub fn diversity<B: Backend, D: Distance<B>>(
    distance: &D,
    samples: D::Output,
) -> Result<f64, MetricsError> {
    diversity_of_features(distance, &distance.features(samples))
}

/// Computes the [`diversity`] of samples from their features.
///
/// # Errors
///
/// The errors of [`diversity`].
pub fn diversity_of_features<B: Backend, D: Distance<B>>(
    distance: &D,
    features: &D::Features,
) -> Result<f64, MetricsError> {
    let n = features.rows();
    if n < 2 {
        return Err(MetricsError::TooFew {
            found: n,
            needed: 2,
        });
    }
    let select = |rows| features.select_rows(&Selection::range(rows));
    let from_later_samples = |i: usize| distance.compare(&select(i + 1..n), &select(i..i + 1));
    let pairs = Tensor::cat((0..n - 1).map(from_later_samples).collect(), 0);
    Ok(pairs.mean().into_scalar().elem())
}
