//! Benches of the crates: `cargo bench -p chimle-benches --bench convolution`, `--bench search` and
//! `--bench nearest_neighbor`.
//!
//! All run on the CPU and need no files.

use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Tensor};

/// The backend that is measured.
pub type Cpu = burn_flex::Flex;

/// Values in [0, 1).
pub fn uniform<B: Backend, const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
    Tensor::random(
        shape,
        Distribution::Uniform(0.0, 1.0),
        &B::Device::default(),
    )
}
