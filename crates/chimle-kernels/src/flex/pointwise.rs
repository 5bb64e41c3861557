//! Sums and masks over whole maps.

use rayon::prelude::*;

use crate::flex::maps::Maps;

/// The number of values that one task processes.
pub(crate) const VALUES: usize = 1 << 14;

/// Sums each plane over all images, and multiplies the sums by `scale`.
pub(crate) fn plane_sums(maps: &Maps, scale: f32) -> Vec<f32> {
    let frame = &maps.frame;
    let few = (VALUES / (frame.images * frame.pixels()).max(1)).max(1);
    let planes = (0..frame.planes).into_par_iter().with_min_len(few);
    let sum = |plane| -> f32 {
        (0..frame.images)
            .map(|image| maps.plane(image, plane))
            .map(|values| sum(values, values, |x, _| x))
            .sum()
    };
    planes.map(|plane| sum(plane) * scale).collect()
}

/// Sums a term over pairs, in lanes that the compiler turns into vectors.
#[inline(always)]
pub(crate) fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    const LANES: usize = 32;
    let (blocks_a, rest_a) = a.as_chunks::<LANES>();
    let (blocks_b, rest_b) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in blocks_a.iter().zip(blocks_b) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += term(a, b);
        }
    }
    let rest = rest_a.iter().zip(rest_b).map(|(&a, &b)| term(a, b));
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

/// The number of products whose sum is computed in 32 bits. These sums are then added in 64 bits.
const STRETCH: usize = 1 << 12;

/// Sums the products of two slices of the same length.
pub(crate) fn total_of_products(a: &[f32], b: &[f32]) -> f64 {
    let pairs = a.chunks(STRETCH).zip(b.chunks(STRETCH));
    pairs.map(|(a, b)| f64::from(sum(a, b, |a, b| a * b))).sum()
}

/// Computes the gradient before an activation from its output: multiplies the gradient by `slope`
/// where the output is not positive.
pub(crate) fn masked(output: &[f32], gradient: &[f32], slope: f32) -> Vec<f32> {
    let mut masked = vec![0.0; output.len()];
    let stretches = masked.par_chunks_mut(VALUES);
    let stretches = stretches.zip(output.par_chunks(VALUES));
    let stretches = stretches.zip(gradient.par_chunks(VALUES));
    stretches.for_each(|((masked, output), gradient)| {
        for ((masked, &y), &g) in masked.iter_mut().zip(output).zip(gradient) {
            *masked = if y > 0.0 { g } else { slope * g };
        }
    });
    masked
}
