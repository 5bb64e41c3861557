//! Generators small enough for tests, with weights and inputs that are the same in every run.

// Every test file compiles this module and uses its own part of it.
#![allow(dead_code)]

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use chimle_nn::{Architecture, Generator, GeneratorConfig, LatentCode, Preset, RrdbCount};

pub const ARCHITECTURES: [Architecture; 3] = [
    Architecture::Colorization,
    Architecture::SuperResolution,
    Architecture::ImageToImage,
];

/// Returns a configuration whose sizes are all different, so a test fails if two of them are
/// confused.
pub fn config(architecture: Architecture, levels: usize) -> GeneratorConfig {
    GeneratorConfig {
        code_channels: 2,
        residual_channels: (0..levels).map(|k| 10 - k).collect(),
        growth_channels: (0..levels).map(|k| 4 + k % 2).collect(),
        rrdb_per_level: RrdbCount::Same(2),
        map_code: 12,
        latent: 11,
        linear_scale: 1.0,
        encoder_channels: None,
        ..GeneratorConfig::preset(Preset::Tiny, architecture)
    }
}

/// Creates a generator without a parameter that is zero.
pub fn generator<B: Backend>(architecture: Architecture, levels: usize) -> Generator<B> {
    let generator = config(architecture, levels).init(&Default::default());
    generator.map(&mut Noise(0))
}

/// Replaces each parameter by noise of about the size it would have in training.
struct Noise(usize);

impl<B: Backend> ModuleMapper<B> for Noise {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, value, mapper) = param.consume();
        self.0 += 1;
        let noise = normalized(value.dims(), 1000 + self.0);
        let noise: Tensor<B, D> = match value.dims()[..] {
            [_] => noise * 0.1,
            [inputs, _] => noise * (2.0 / inputs as f64).sqrt(),
            [_, 1, 1, 1] => noise * 0.2 + 1.0,
            _ => noise,
        };
        let noise = noise.set_require_grad(value.is_require_grad());
        Param::from_mapped_value(id, noise, mapper)
    }
}

/// Returns conditioning images in [0, 1]. `[height, width]` is the size at the coarsest level.
pub fn conditioning<B: Backend>(
    config: &GeneratorConfig,
    batch: usize,
    [height, width]: [usize; 2],
) -> Vec<Tensor<B, 4>> {
    (0..config.conditioning_images())
        .map(|i| noise([batch, config.in_channels, height << i, width << i], 10 + i))
        .collect()
}

/// Returns a code for each level. `[height, width]` is the size at the coarsest level.
pub fn codes<B: Backend>(
    config: &GeneratorConfig,
    batch: usize,
    [height, width]: [usize; 2],
) -> Vec<LatentCode<B>> {
    (0..config.levels())
        .map(|i| LatentCode {
            global: normalized([batch, config.map_code], 20 + i),
            local: normalized(
                [batch, config.code_channels, height << i, width << i],
                30 + i,
            ),
        })
        .collect()
}

/// Consecutive rows of each code.
pub fn code_rows<B: Backend>(
    codes: &[LatentCode<B>],
    start: usize,
    count: usize,
) -> Vec<LatentCode<B>> {
    codes
        .iter()
        .map(|code| LatentCode {
            global: code.global.clone().narrow(0, start, count),
            local: code.local.clone().narrow(0, start, count),
        })
        .collect()
}

/// Values in [0, 1] without a pattern, the same in every run.
pub fn noise<B: Backend, const D: usize>(shape: [usize; D], seed: usize) -> Tensor<B, D> {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let values = (0..shape.iter().product()).map(|_| next()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

/// Values of [`noise`] with mean 0 and variance 1.
pub fn normalized<B: Backend, const D: usize>(shape: [usize; D], seed: usize) -> Tensor<B, D> {
    (noise(shape, seed) - 0.5) * 12f64.sqrt()
}

/// All values of a tensor.
pub fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().unwrap()
}

/// The largest difference of two tensors of the same shape.
pub fn error<B: Backend, const D: usize>(found: Tensor<B, D>, expected: Tensor<B, D>) -> f32 {
    assert_eq!(found.dims(), expected.dims());
    let differences = values(found - expected).into_iter().map(f32::abs);
    // f32::max would ignore NaN.
    differences.fold(0.0, |m, d| if d <= m { m } else { d })
}

/// The largest difference of two lists of images.
pub fn images_error<B: Backend>(found: Vec<Tensor<B, 4>>, expected: Vec<Tensor<B, 4>>) -> f32 {
    assert_eq!(found.len(), expected.len());
    let errors = found.into_iter().zip(expected).map(|(f, e)| error(f, e));
    errors.fold(0.0, |m, d| if d <= m { m } else { d })
}
