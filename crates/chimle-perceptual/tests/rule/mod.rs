//! Weights and images that follow from their names by a rule, and the numbers that PyTorch computes
//! from them.
//!
//! `tests/expected/make.py` describes the rule and computed the numbers.

// Every test file compiles this module and uses a different part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde::Deserialize;
use tempfile::TempDir;

/// The contents of `networks.json`.
#[derive(Deserialize)]
pub struct Expected {
    pub inception: Network,
    pub vgg16: Network,
    pub alexnet: Network,
    pub squeezenet: Network,
    pub distances: Vec<Distances>,
}

/// A network's parameters, and the outputs of its layers for one image.
#[derive(Deserialize)]
pub struct Network {
    pub parameters: Vec<(String, Vec<usize>)>,
    /// The shape of the image.
    pub image: [usize; 4],
    pub layers: Vec<Summary>,
    /// The gradient of the sum of the last layer with respect to the image. Only Inception-v3 has it.
    pub gradient: Option<Summary>,
}

/// The stored summary of a tensor.
#[derive(Deserialize)]
pub struct Summary {
    name: String,
    shape: Vec<usize>,
    mean: f64,
    mean_magnitude: f64,
    largest: f64,
    /// One of every `step` values is stored.
    step: usize,
    values: Vec<f64>,
}

/// The LPIPS distances of the images named `image a` and `image b`.
#[derive(Deserialize)]
pub struct Distances {
    pub backbone: String,
    /// The shape of both images.
    pub image: [usize; 4],
    pub learned: Vec<f64>,
    pub unweighted: Vec<f64>,
    /// The gradient of the sum of `learned` with respect to `image a`.
    pub gradient: Summary,
}

impl Expected {
    pub fn read() -> Self {
        serde_json::from_str(include_str!("../expected/networks.json")).unwrap()
    }

    pub fn network(&self, name: &str) -> &Network {
        match name {
            "inception" => &self.inception,
            "vgg16" => &self.vgg16,
            "alexnet" => &self.alexnet,
            "squeezenet" => &self.squeezenet,
            other => panic!("no network {other}"),
        }
    }
}

impl Summary {
    /// Returns the largest difference from a tensor, relative to the largest magnitude of the layer.
    pub fn error<B: Backend, const D: usize>(&self, found: Tensor<B, D>) -> f64 {
        let found = self.values_of(found);
        let n = found.len() as f64;
        let mean = found.iter().sum::<f64>() / n;
        let mean_magnitude = found.iter().map(|v| v.abs()).sum::<f64>() / n;
        let means = [(mean, self.mean), (mean_magnitude, self.mean_magnitude)];
        let error = largest_difference(self.stored_of(found).chain(means)) / self.largest;
        println!("{} {:?}: {error:.1e}", self.name, self.shape);
        error
    }

    /// Returns the root mean square difference from a gradient, relative to the root mean square of the
    /// gradient.
    ///
    /// Rounding errors decide a few of the many ReLUs and maxima. If one is decided differently, a
    /// patch of the gradient differs, so the largest difference would say little.
    pub fn gradient_error<B: Backend, const D: usize>(&self, found: Tensor<B, D>) -> f64 {
        let pairs: Vec<_> = self.stored_of(self.values_of(found)).collect();
        let root = |squares: f64| (squares / pairs.len() as f64).sqrt();
        let difference = root(pairs.iter().map(|(f, e)| (f - e).powi(2)).sum());
        let error = difference / root(pairs.iter().map(|(_, e)| e.powi(2)).sum());
        println!("{} {:?}: {error:.1e}", self.name, self.shape);
        error
    }

    fn values_of<B: Backend, const D: usize>(&self, found: Tensor<B, D>) -> Vec<f64> {
        assert_eq!(found.dims().to_vec(), self.shape, "{}", self.name);
        found.into_data().iter::<f64>().collect()
    }

    /// Returns pairs (value of the tensor, stored value), for the values that are stored.
    fn stored_of(&self, found: Vec<f64>) -> impl Iterator<Item = (f64, f64)> + '_ {
        let shown: Vec<f64> = found.into_iter().step_by(self.step).collect();
        assert_eq!(shown.len(), self.values.len(), "{}", self.name);
        shown.into_iter().zip(self.values.iter().copied())
    }
}

/// Returns the largest difference of the pairs. It is infinite if a value is NaN.
pub fn largest_difference(pairs: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    pairs
        .into_iter()
        .map(|(found, expected)| (found - expected).abs())
        .map(|difference| {
            if difference.is_nan() {
                f64::INFINITY
            } else {
                difference
            }
        })
        .fold(0.0, f64::max)
}

/// Returns the image or the parameter with the given name.
pub fn tensor<B: Backend, const D: usize>(name: &str, shape: [usize; D]) -> Tensor<B, D> {
    let data = TensorData::new(rule(name, &shape), shape);
    Tensor::from_data(data, &B::Device::default())
}

/// A file with a network's weights.
pub struct Weights {
    pub path: PathBuf,
    /// The temporary folder of the file, if the file was made for this test.
    _folder: Option<TempDir>,
}

impl Weights {
    /// Returns the file `name.pth` that PyTorch wrote into the folder `CHIMLE_RULE_WEIGHTS`. If this
    /// variable is not set, writes a new file.
    pub fn of(name: &str, network: &Network) -> Self {
        match std::env::var_os("CHIMLE_RULE_WEIGHTS") {
            Some(folder) => Self {
                path: Path::new(&folder).join(format!("{name}.pth")),
                _folder: None,
            },
            None => Self::write(&network.parameters),
        }
    }

    /// Writes a file with weights of LPIPS for features of these widths, under the names of LPIPS 0.1.
    pub fn linear(widths: &[usize]) -> Self {
        let name = |k| format!("lin{k}.model.1.weight");
        let widths = widths.iter().enumerate();
        let parameters: Vec<_> = widths
            .map(|(k, width)| (name(k), vec![1, *width, 1, 1]))
            .collect();
        Self::write(&parameters)
    }

    fn write(parameters: &[(String, Vec<usize>)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let stored: Vec<(&str, &[usize], Vec<u8>)> = parameters
            .iter()
            .map(|(name, shape)| {
                let values = rule(name, shape);
                let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                (name.as_str(), shape.as_slice(), bytes)
            })
            .collect();
        let views = stored.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap();
            (*name, view)
        });
        serialize_to_file(views, None, &path).unwrap();
        Self {
            path,
            _folder: Some(folder),
        }
    }
}

fn rule(name: &str, shape: &[usize]) -> Vec<f32> {
    let (low, high) = bounds(name, shape);
    let start = name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    (1..=shape.iter().product::<usize>() as u64)
        .map(|i| {
            let z = start.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let u = ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24);
            (low + (high - low) * u) as f32
        })
        .collect()
}

fn bounds(name: &str, shape: &[usize]) -> (f64, f64) {
    let ends_with = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if name.starts_with("image") || name.starts_with("lin") {
        (0.0, 1.0)
    } else if ends_with(&["bn.weight", "bn.running_var"]) {
        (0.5, 1.5)
    } else if ends_with(&["bias", "bn.running_mean"]) {
        (-0.1, 0.1)
    } else {
        let bound = (6.0 / shape[1..].iter().product::<usize>() as f64).sqrt();
        (-bound, bound)
    }
}
