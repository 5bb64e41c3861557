//! The losses of a generator and a discriminator.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;

/// Averages a loss over the patches of each scale, and sums it over the scales of a discriminator.
fn over_scales<B: Backend>(
    verdicts: Vec<Tensor<B, 4>>,
    loss: impl Fn(Tensor<B, 4>) -> Tensor<B, 4>,
) -> Tensor<B, 1> {
    let scales = verdicts.into_iter().map(|verdict| loss(verdict).mean());
    let sum = scales.reduce(|sum, scale| sum + scale);
    sum.expect("a discriminator has a scale")
}

/// Computes the least-squares loss (Mao et al. 2017) of verdicts whose target is `target`, averaged
/// over patches and summed over scales.
pub fn least_squares<B: Backend>(verdicts: Vec<Tensor<B, 4>>, target: f64) -> Tensor<B, 1> {
    over_scales(verdicts, |verdict| (verdict - target).square())
}

/// Computes the hinge loss of a discriminator for true images (Lim and Ye 2017).
pub fn hinge_of_real<B: Backend>(verdicts: Vec<Tensor<B, 4>>) -> Tensor<B, 1> {
    over_scales(verdicts, |verdict| relu(-verdict + 1.0))
}

/// Computes the hinge loss of a discriminator for generated images.
pub fn hinge_of_made<B: Backend>(verdicts: Vec<Tensor<B, 4>>) -> Tensor<B, 1> {
    over_scales(verdicts, |verdict| relu(verdict + 1.0))
}

/// Computes the loss of a generator whose discriminator is trained with the hinge loss.
pub fn hinge_of_generator<B: Backend>(verdicts: Vec<Tensor<B, 4>>) -> Tensor<B, 1> {
    over_scales(verdicts, |verdict| -verdict)
}

/// Returns the input of a discriminator: the image alone, or the task's input concatenated with the
/// image.
pub fn judged<B: Backend>(input: Option<&Tensor<B, 4>>, image: Tensor<B, 4>) -> Tensor<B, 4> {
    match input {
        Some(input) => Tensor::cat(vec![input.clone(), image], 1),
        None => image,
    }
}
