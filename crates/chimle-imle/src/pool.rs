//! Where candidate codes come from.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use chimle_nn::{GeneratorConfig, LatentCode};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// A supply of candidate codes, by example, level and candidate.
pub trait CodePool<B: Backend> {
    /// One code of `level` for each `(example, candidate)`, in this order. `size` is the height and
    /// width of the local part.
    fn draw(
        &self,
        level: usize,
        rows: &[(usize, usize)],
        size: [usize; 2],
        device: &B::Device,
    ) -> LatentCode<B>;
}

/// Standard normal codes, each a function of the seed, the example, the level and the candidate
/// alone.
///
/// So the codes do not depend on the chunks in which they are drawn, are the same on every device,
/// and a chosen one is remembered by its index.
#[derive(Clone, Debug)]
pub struct SeededPool {
    seed: u64,
    map_code: usize,
    code_channels: usize,
}

impl SeededPool {
    /// Codes for generators of this configuration.
    pub fn new(config: &GeneratorConfig, seed: u64) -> Self {
        Self {
            seed,
            map_code: config.map_code,
            code_channels: config.code_channels,
        }
    }

    /// One code of `level` for each `(example, candidate)`.
    pub fn codes<B: Backend>(
        &self,
        level: usize,
        rows: impl ExactSizeIterator<Item = (usize, usize)>,
        [height, width]: [usize; 2],
        device: &B::Device,
    ) -> LatentCode<B> {
        let (count, local_len) = (rows.len(), self.code_channels * height * width);
        let mut global = Vec::with_capacity(count * self.map_code);
        let mut local = Vec::with_capacity(count * local_len);
        for (example, candidate) in rows {
            let mut rng = self.stream(level, example, candidate);
            let mut normal = Distribution::<f32>::sample_iter(StandardNormal, &mut rng);
            global.extend(normal.by_ref().take(self.map_code));
            local.extend(normal.take(local_len));
        }
        LatentCode {
            global: Tensor::from_data(TensorData::new(global, [count, self.map_code]), device),
            local: Tensor::from_data(
                TensorData::new(local, [count, self.code_channels, height, width]),
                device,
            ),
        }
    }

    /// 2^32 examples, 2^8 levels and 2^24 candidates have a stream of their own.
    fn stream(&self, level: usize, example: usize, candidate: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream((example as u64) << 32 | (level as u64) << 24 | candidate as u64);
        rng
    }
}

impl<B: Backend> CodePool<B> for SeededPool {
    fn draw(
        &self,
        level: usize,
        rows: &[(usize, usize)],
        size: [usize; 2],
        device: &B::Device,
    ) -> LatentCode<B> {
        self.codes(level, rows.iter().copied(), size, device)
    }
}

/// Codes made elsewhere, as flat vectors: the global part, then the local part row-major.
#[derive(Clone, Debug)]
pub struct GivenPool<B: Backend> {
    /// One tensor for each level, `[examples, candidates, code]`.
    pub levels: Vec<Tensor<B, 3>>,
    /// Values in the global part.
    pub map_code: usize,
}

impl<B: Backend> CodePool<B> for GivenPool<B> {
    fn draw(
        &self,
        level: usize,
        rows: &[(usize, usize)],
        [height, width]: [usize; 2],
        device: &B::Device,
    ) -> LatentCode<B> {
        let pool = self.levels[level].clone();
        let [examples, candidates, len] = pool.dims();
        let picked: Vec<i64> = rows
            .iter()
            .map(|&(example, candidate)| (example * candidates + candidate) as i64)
            .collect();
        let picked = Tensor::from_data(TensorData::new(picked, [rows.len()]), device);
        let codes = pool.reshape([examples * candidates, len]).select(0, picked);
        let local = codes.clone().narrow(1, self.map_code, len - self.map_code);
        let channels = (len - self.map_code) / (height * width);
        LatentCode {
            global: codes.narrow(1, 0, self.map_code),
            local: local.reshape([rows.len(), channels, height, width]),
        }
    }
}
