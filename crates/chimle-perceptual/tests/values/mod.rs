//! Values of tensors, and values to make tensors of.

// Every test file compiles this module and uses its own part of it.
#![allow(dead_code)]

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// Returns all values of a tensor.
pub fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().unwrap()
}

/// Returns `n` pseudorandom values in [0, 1] that depend on the seed alone.
pub fn noise(n: usize, seed: usize) -> Vec<f32> {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..n).map(|_| next()).collect()
}
