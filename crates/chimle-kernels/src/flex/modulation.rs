//! Adaptive instance normalization. Each plane is processed while it is in the cache.

use rayon::prelude::*;

use crate::flex::pointwise::{VALUES, sum};

/// The number of values whose sum is computed in 32 bits. These sums are then added in 64 bits.
const STRETCH: usize = 1 << 12;

/// The gradients of the input, the gains and the biases.
pub(crate) struct Gradients {
    pub(crate) input: Vec<f32>,
    pub(crate) gain: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// Computes `gain (x - mean) / sqrt(variance + epsilon) + bias` for planes of `pixels` values, with
/// one gain and one bias per plane.
pub(crate) fn modulate(
    input: &[f32],
    gain: &[f32],
    bias: &[f32],
    pixels: usize,
    epsilon: f64,
) -> Vec<f32> {
    let mut output = vec![0.0; input.len()];
    let planes = output.par_chunks_exact_mut(pixels.max(1));
    let planes = planes.zip(input.par_chunks_exact(pixels.max(1)));
    let planes = planes.zip(gain.par_iter().zip(bias));
    planes
        .with_min_len((VALUES / pixels.max(1)).max(1))
        .for_each(|((output, input), (&gain, &bias))| {
            let (mean, inverse) = statistics(input, epsilon);
            let factor = gain * inverse;
            for (output, &value) in output.iter_mut().zip(input) {
                *output = (value - mean) * factor + bias;
            }
        });
    output
}

/// Computes the gradients from the gradient of the output.
pub(crate) fn modulate_gradients(
    input: &[f32],
    gain: &[f32],
    gradient: &[f32],
    pixels: usize,
    epsilon: f64,
) -> Gradients {
    let mut found = Gradients {
        input: vec![0.0; input.len()],
        gain: vec![0.0; gain.len()],
        bias: vec![0.0; gain.len()],
    };
    let planes = found.input.par_chunks_exact_mut(pixels.max(1));
    let planes = planes.zip(input.par_chunks_exact(pixels.max(1)));
    let planes = planes.zip(gradient.par_chunks_exact(pixels.max(1)));
    let sums = gain.par_iter().zip(&mut found.gain).zip(&mut found.bias);
    planes
        .zip(sums)
        .with_min_len((VALUES / pixels.max(1)).max(1))
        .for_each(|(((out, input), gradient), ((gain, of_gain), of_bias))| {
            let (mean, inverse) = statistics(input, epsilon);
            let pairs = || gradient.chunks(STRETCH).zip(input.chunks(STRETCH));
            let sum: f64 = pairs().map(|(g, _)| total(g, g, |g, _| g)).sum();
            let product: f64 = pairs()
                .map(|(g, x)| total(g, x, |g, x| g * (x - mean) * inverse))
                .sum();
            (*of_gain, *of_bias) = (product as f32, sum as f32);
            let count = pixels as f64;
            let (shift, slope) = ((sum / count) as f32, (product / count) as f32);
            let (factor, slope) = (gain * inverse, slope * inverse);
            for ((out, &x), &g) in out.iter_mut().zip(input).zip(gradient) {
                *out = factor * (g - shift - slope * (x - mean));
            }
        });
    found
}

/// Returns the mean, and `1 / sqrt(variance + epsilon)` with the biased variance.
fn statistics(plane: &[f32], epsilon: f64) -> (f32, f32) {
    let count = plane.len() as f64;
    let stretches = || plane.chunks(STRETCH);
    let sum: f64 = stretches().map(|part| total(part, part, |x, _| x)).sum();
    let mean = (sum / count) as f32;
    let squares: f64 = stretches()
        .map(|part| total(part, part, |x, _| (x - mean) * (x - mean)))
        .sum();
    (mean, (squares / count + epsilon).sqrt().recip() as f32)
}

/// Returns [`sum`] as a 64-bit number, so that sums are added in 64 bits.
fn total(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f64 {
    sum(a, b, term).into()
}
