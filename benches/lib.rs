//! The benches of the crates. Run them with `cargo bench -p chimle-benches --bench convolution`,
//! `--bench search` or `--bench nearest_neighbor`.
//!
//! All benches run on the CPU and need no files.

use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Tensor};

/// The measured backend.
pub type Cpu = burn_flex::Flex;

/// Returns random values in [0, 1).
pub fn uniform<B: Backend, const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
    Tensor::random(
        shape,
        Distribution::Uniform(0.0, 1.0),
        &B::Device::default(),
    )
}
