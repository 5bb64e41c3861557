//! Seeded random numbers as tensors.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Noise(ChaCha8Rng);

impl Noise {
    /// Creates the stream `stream` of a seed. Different streams of one seed are independent.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// Draws a standard normal number.
    pub fn normal(&mut self) -> f32 {
        StandardNormal.sample(&mut self.0)
    }

    /// Draws a seed for other random numbers.
    pub fn seed(&mut self) -> u64 {
        self.0.random()
    }

    /// Draws an integer below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    /// Draws standard normal numbers, `[rows, columns]`.
    pub fn normals<B: Backend>(&mut self, rows: usize, columns: usize) -> Tensor<B, 2> {
        let values: Vec<f32> = (0..rows * columns).map(|_| self.normal()).collect();
        matrix(values, columns)
    }

    /// Draws integers below `end`, `[rows]`.
    pub fn indices<B: Backend>(&mut self, rows: usize, end: usize) -> Tensor<B, 1, Int> {
        let values: Vec<i64> = (0..rows).map(|_| self.below(end) as i64).collect();
        Tensor::from_data(TensorData::new(values, [rows]), &Default::default())
    }
}

/// Returns values, given row by row, as `[rows, columns]`.
pub(crate) fn matrix<B: Backend>(values: Vec<f32>, columns: usize) -> Tensor<B, 2> {
    let rows = values.len() / columns;
    Tensor::from_data(
        TensorData::new(values, [rows, columns]),
        &Default::default(),
    )
}
