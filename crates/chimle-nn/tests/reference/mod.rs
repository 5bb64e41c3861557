//! Numbers computed by the authors' release, in files beside the workspace. They are needed
//! neither to build nor to pass: a test that finds them absent says so and ends.

// Every test file compiles this module and uses its own part of it.
#![allow(dead_code)]

use std::path::PathBuf;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_nn::{Architecture, Generator, GeneratorConfig, LatentCode, WeightFile};

/// The release's small configurations, with the architecture each stands for.
pub const TASKS: [(&str, Architecture); 3] = [
    ("colourization", Architecture::Colorization),
    ("super_resolution", Architecture::SuperResolution),
    ("generic", Architecture::ImageToImage),
];

/// The path of a file of reference numbers, or `None` if it is absent.
pub fn reference(name: &str) -> Option<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference");
    let path = PathBuf::from(folder).join(name);
    if !path.exists() {
        println!("absent: {name}");
        return None;
    }
    Some(path)
}

/// A file of tensors among the reference numbers, or `None` if it is absent.
pub fn open(name: &str) -> Option<WeightFile> {
    reference(name).map(|path| WeightFile::open(path).unwrap())
}

/// One tensor of a file, in the shape it has there.
pub fn tensor<B: Backend, const D: usize>(file: &WeightFile, name: &str) -> Tensor<B, D> {
    let shape: [usize; D] = file.shape(name).unwrap().try_into().unwrap();
    file.tensor(name, shape, &Default::default()).unwrap()
}

/// A small configuration's generator with the release's weights.
pub fn generator<B: Backend>(
    task: &str,
    architecture: Architecture,
) -> Option<(Generator<B>, WeightFile)> {
    let file = open(&format!("tim_{task}.pth"))?;
    let config = GeneratorConfig::of_file(&file, Some(architecture)).unwrap();
    let generator = config.init(&Default::default()).load(&file).unwrap();
    Some((generator, file))
}

/// The stored conditioning and codes of a configuration.
pub fn inputs<B: Backend>(
    config: &GeneratorConfig,
    io: &WeightFile,
) -> (Vec<Tensor<B, 4>>, Vec<LatentCode<B>>) {
    let conditioning: Vec<Tensor<B, 4>> = (0..config.conditioning_images())
        .map(|i| tensor(io, &format!("input.{i}")))
        .collect();
    let [_, _, side, _] = conditioning[0].dims();
    let codes = (0..config.levels())
        .map(|i| {
            let flat: Tensor<B, 2> = tensor(io, &format!("code.{i}"));
            let [batch, len] = flat.dims();
            let side = side << i;
            assert_eq!(len, config.code_len([side, side]));
            LatentCode {
                global: flat.clone().narrow(1, 0, config.map_code),
                local: flat
                    .narrow(1, config.map_code, len - config.map_code)
                    .reshape([batch, config.code_channels, side, side]),
            }
        })
        .collect();
    (conditioning, codes)
}
