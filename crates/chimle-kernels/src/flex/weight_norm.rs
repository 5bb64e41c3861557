//! Weight normalization. The weights of an output channel are processed while they are in the
//! cache.

use rayon::prelude::*;

use crate::flex::pointwise::{VALUES, total_of_products};

/// Computes `g v / |v|` for rows of `row` values, with one length g per row.
pub(crate) fn weight_norm(direction: &[f32], length: &[f32], row: usize) -> Vec<f32> {
    let mut weight = vec![0.0; direction.len()];
    let rows = weight.par_chunks_exact_mut(row.max(1));
    let rows = rows.zip(direction.par_chunks_exact(row.max(1)));
    rows.zip(length)
        .with_min_len(rows_at_once(row))
        .for_each(|((weight, direction), length)| {
            let factor = length / norm(direction);
            for (weight, value) in weight.iter_mut().zip(direction) {
                *weight = value * factor;
            }
        });
    weight
}

/// Replaces the gradient of the weight with that of the direction, and returns the gradient of the
/// lengths.
///
/// With the gradient w of the weight, the norm n and the product p of w and `v / n`, the gradient of
/// the length is p, and that of the direction is `g / n (w - p v / n)` (Salimans & Kingma 2016,
/// equation 3).
pub(crate) fn weight_norm_gradients(
    direction: &[f32],
    length: &[f32],
    row: usize,
    gradient: &mut [f32],
) -> Vec<f32> {
    let mut of_length = vec![0.0; length.len()];
    let rows = gradient.par_chunks_exact_mut(row.max(1));
    let rows = rows.zip(direction.par_chunks_exact(row.max(1)));
    rows.zip(length.par_iter().zip(&mut of_length))
        .with_min_len(rows_at_once(row))
        .for_each(|((gradient, direction), (length, of_length))| {
            let norm = norm(direction);
            let product = total_of_products(gradient, direction) as f32 / norm;
            *of_length = product;
            let (factor, share) = (length / norm, product / norm);
            for (gradient, value) in gradient.iter_mut().zip(direction) {
                *gradient = factor * (*gradient - share * value);
            }
        });
    of_length
}

fn norm(direction: &[f32]) -> f32 {
    total_of_products(direction, direction).sqrt() as f32
}

/// Returns the number of rows that one task processes at least.
fn rows_at_once(row: usize) -> usize {
    (VALUES / row.max(1)).max(1)
}
