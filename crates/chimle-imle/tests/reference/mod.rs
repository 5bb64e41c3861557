//! The authors' release in small: weights, inputs and results, in files beside the workspace.
//! They are needed neither to build nor to pass: a test that finds them absent says so and ends.

// Every test file compiles this module and uses its own part of it.
#![allow(dead_code)]

use std::path::PathBuf;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use chimle_imle::GivenPool;
use chimle_nn::{Architecture, Generator, GeneratorConfig, LatentCode, WeightFile};
use chimle_perceptual::{Distance, Lpips};
use safetensors::SafeTensors;

/// The release's small configurations, with the architecture each stands for.
pub const TASKS: [(&str, Architecture); 3] = [
    ("colourization", Architecture::Colorization),
    ("super_resolution", Architecture::SuperResolution),
    ("generic", Architecture::ImageToImage),
];

/// The path of a file in the shared folder, or `None` if it is absent.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(name);
    if !path.exists() {
        println!("absent: {name}");
        return None;
    }
    Some(path)
}

/// LPIPS with the published weights, or `None` if they are absent.
pub fn lpips<B: Backend>() -> Option<Distance<B>> {
    let vgg = shared("weights/vgg16_imagenet.safetensors")?;
    let linear = shared("weights/lpips_v0.1/vgg.pth")?;
    let lpips = Lpips::load(&vgg, Some(&linear), &Default::default()).unwrap();
    Some(Distance::Lpips(lpips))
}

/// A small configuration of the release: its generator, and the numbers stored with it.
pub struct Reference<B: Backend> {
    pub generator: Generator<B>,
    bytes: Vec<u8>,
}

impl<B: Backend> Reference<B> {
    /// `None` if it is absent.
    pub fn open(task: &str, architecture: Architecture) -> Option<Self> {
        let weights = shared(&format!("reference/tim_{task}.pth"))?;
        let io = shared(&format!("reference/tim_{task}_io.safetensors"))?;
        let weights = WeightFile::open(weights).unwrap();
        let config = GeneratorConfig::of_file(&weights, Some(architecture)).unwrap();
        let generator = config.init(&Default::default()).load(&weights).unwrap();
        let bytes = std::fs::read(io).unwrap();
        Some(Self { generator, bytes })
    }

    /// One of the stored tensors of f32.
    pub fn tensor<const D: usize>(&self, name: &str) -> Tensor<B, D> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap();
        let (numbers, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let data = TensorData::new(values, view.shape().to_vec());
        Tensor::from_data(data, &Default::default())
    }

    /// The candidate that the release chose for each example, at each level.
    pub fn selected(&self) -> Vec<Vec<usize>> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor("search.selected").unwrap();
        let (numbers, _) = view.data().as_chunks::<8>();
        let numbers = numbers.iter().map(|b| i64::from_le_bytes(*b) as usize);
        let numbers: Vec<usize> = numbers.collect();
        numbers
            .chunks(view.shape()[1])
            .map(<[usize]>::to_vec)
            .collect()
    }

    /// One tensor for each level.
    pub fn levels<const D: usize>(&self, prefix: &str) -> Vec<Tensor<B, D>> {
        let levels = 0..self.generator.levels.len();
        levels
            .map(|i| self.tensor(&format!("{prefix}.{i}")))
            .collect()
    }

    /// As [`Generator::begin`] takes it.
    pub fn conditioning(&self) -> Vec<Tensor<B, 4>> {
        let count = self.generator.config().conditioning_images();
        let mut images = self.levels("input");
        images.truncate(count);
        images
    }

    /// The candidates of the stored search.
    pub fn pool(&self) -> GivenPool<B> {
        GivenPool {
            levels: self.levels("search.pool"),
            map_code: self.generator.config().map_code,
        }
    }

    /// The codes of the stored losses.
    pub fn codes(&self) -> Vec<LatentCode<B>> {
        let config = self.generator.config();
        let [_, _, side, _] = self.tensor::<4>("input.0").dims();
        let split = |(i, flat): (usize, Tensor<B, 2>)| {
            let [batch, len] = flat.dims();
            let local = flat
                .clone()
                .narrow(1, config.map_code, len - config.map_code);
            LatentCode {
                global: flat.narrow(1, 0, config.map_code),
                local: local.reshape([batch, config.code_channels, side << i, side << i]),
            }
        };
        let codes = self.levels("code").into_iter().enumerate();
        codes.map(split).collect()
    }
}

/// All values of a tensor.
pub fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().unwrap()
}

/// The largest difference of two lists, over the magnitude of each number in the second.
pub fn relative_error(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let errors = found
        .iter()
        .zip(expected)
        .map(|(f, e)| (f - e).abs() / e.abs());
    // Not f32::max over the errors: it would pass over NaN.
    errors.fold(0.0, |m, d| if d <= m { m } else { d })
}
