//! Files beside the workspace: numbers computed by other programs, and published weights.
//! Neither is needed to build or to pass; a test that finds its file absent says so and ends.

// Every test file compiles this module and uses its own part of it.
#![allow(dead_code)]

use std::path::PathBuf;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use safetensors::SafeTensors;

/// The path of a file in the shared folder, or `None` if it is absent.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(name);
    if !path.exists() {
        println!("absent: {name}");
        return None;
    }
    Some(path)
}

/// One f32 tensor of a safetensors file.
pub fn tensor<B: Backend, const D: usize>(file: &[u8], name: &str) -> Tensor<B, D> {
    let file = SafeTensors::deserialize(file).unwrap();
    let view = file.tensor(name).unwrap();
    let (numbers, _) = view.data().as_chunks::<4>();
    let values: Vec<f32> = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let data = TensorData::new(values, view.shape().to_vec());
    Tensor::from_data(data, &B::Device::default())
}

/// All values of a tensor.
pub fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().unwrap()
}

/// `n` values in [0, 1] without a pattern, the same in every run.
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

/// The largest difference of two lists, over the largest magnitude in the second or 1.
pub fn relative_error(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(f, e)| (f - e).abs());
    let largest = expected.iter().fold(1.0f32, |m, e| m.max(e.abs()));
    // Not f32::max over the differences: it would pass over NaN.
    differences.fold(0.0, |m, d| if d <= m { m } else { d }) / largest
}
