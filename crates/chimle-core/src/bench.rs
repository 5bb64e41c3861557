//! How long a forward pass, a training step and a latent search take.
//!
//! [`bench()`] times one network on random data. Its [`Timing`] is plain data with names of fields
//! (`forward_ms`, `train_step_ms`, `search_ms`, ...) that can be set beside those of another
//! implementation, timed on the same machine with the same configuration.

use std::path::Path;
use std::time::Instant;

use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Tensor};
use chimle_imle::{Objective, Search, SeededPool, Strategy, Target};
use chimle_nn::{
    Architecture, Compute, Generator, GeneratorConfig, LatentCode, Precision, TrainingBackend,
};
use chimle_perceptual::Distance;
use serde::Serialize;

use crate::config::DistanceConfig;
use crate::error::Error;
use crate::model::check_precision;
use crate::optimizer::{self, Groups};
use crate::peer_config::PeerConfig;

/// Of the weights, the data and the codes.
const SEED: u64 = 0;

/// Adam's, as in the authors' release; the time of a step does not depend on them.
const RATE: f64 = 1e-4;
const BETAS: (f32, f32) = (0.9, 0.999);

/// What is timed.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchConfig {
    /// The network; [`read_network`] reads one from a file.
    pub network: GeneratorConfig,
    /// Examples in a forward pass, a training step and a search.
    pub batch: usize,
    /// Side of the coarsest conditioning image, in pixels.
    pub side: usize,
    /// Candidates of the search at each level, coarse to fine; no search is timed if empty.
    pub pools: Vec<usize>,
    /// The distance of the training step and the search.
    pub loss: DistanceConfig,
    /// Timed runs of the forward pass and the training step; half as many, but at least one, of
    /// the search. One more of each warms up.
    pub repeat: usize,
    /// The most candidates evaluated in one batch.
    pub chunk: usize,
    /// How the generator is evaluated.
    pub compute: Compute,
}

/// How long it took: medians in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// This implementation and its version.
    pub peer: String,
    /// The backend's name for itself.
    pub device: String,
    /// Threads of the CPU that a backend may use.
    pub threads: usize,
    /// Parameters of the network.
    pub parameters: usize,
    /// As configured.
    pub batch: usize,
    /// As configured.
    pub side: usize,
    /// As configured.
    pub precision: Precision,
    /// All levels of the batch, without autodiff, weight normalization folded beforehand.
    pub forward_ms: f64,
    /// Forward pass, features of the targets, losses at all levels, gradients, and a step of Adam.
    pub train_step_ms: f64,
    /// A hierarchical search for every example of the batch, drawing its candidates included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_ms: Option<f64>,
}

/// A network's configuration from a JSON file with the fields `levels`, `code_channels`,
/// `residual_channels`, `growth_channels`, `rrdb_per_level`, `map_code`, `latent`, `in_channels`
/// and `out_channels`; others are ignored.
///
/// # Errors
/// If the file cannot be read, or no network follows from it; the error names file and field.
pub fn read_network(path: &Path, architecture: Architecture) -> Result<GeneratorConfig, Error> {
    PeerConfig::read(path)?.network(architecture)
}

/// Times a network on `device`.
///
/// # Errors
/// If the configuration is impossible, the distance's weights cannot be read, or the device fails.
pub fn bench<B: TrainingBackend>(
    config: &BenchConfig,
    device: &B::Device,
) -> Result<Timing, Error> {
    config.validate()?;
    let distance = config.loss.load::<B>(device)?;
    B::seed(device, SEED);
    check_precision::<B>(config.compute.precision, device)?;
    let generator = config.network.init::<B>(device);
    let generator = generator.with_compute(config.compute);
    let data = Data::random(config, device);
    let clock = Clock {
        device,
        repeat: config.repeat,
    };
    Ok(Timing {
        peer: concat!("chimle ", env!("CARGO_PKG_VERSION")).to_owned(),
        device: B::InnerBackend::name(device),
        threads: rayon::current_num_threads(),
        parameters: generator.num_params(),
        batch: config.batch,
        side: config.side,
        precision: config.compute.precision,
        forward_ms: time_forward(&generator, &data, &clock)?,
        train_step_ms: time_train_step(&generator, &distance, &data, &clock)?,
        search_ms: match config.search() {
            Some(search) => Some(time_search(&search, &generator, &distance, &data, &clock)?),
            None => None,
        },
    })
}

fn time_forward<B: TrainingBackend>(
    generator: &Generator<B>,
    data: &Data<B::InnerBackend>,
    clock: &Clock<B>,
) -> Result<f64, Error> {
    let folded = generator.valid().fold();
    clock.median_ms(|| Ok(folded.forward(data.conditioning.clone(), data.codes.clone())))
}

fn time_train_step<B: TrainingBackend>(
    generator: &Generator<B>,
    distance: &Distance<B>,
    data: &Data<B::InnerBackend>,
    clock: &Clock<B>,
) -> Result<f64, Error> {
    let frozen = distance.valid();
    let objective = Objective {
        intermediate_supervision: true,
    };
    let from_inner = |images: &[Tensor<B::InnerBackend, 4>]| -> Vec<Tensor<B, 4>> {
        images.iter().cloned().map(Tensor::from_inner).collect()
    };
    let conditioning = from_inner(&data.conditioning);
    let codes = data.codes.iter().map(|code| LatentCode {
        global: Tensor::from_inner(code.global.clone()),
        local: Tensor::from_inner(code.local.clone()),
    });
    let codes: Vec<LatentCode<B>> = codes.collect();

    let mut generator = generator.clone();
    let groups = Groups::of(&generator);
    let mut optimizer = optimizer::adam::<B>(BETAS);
    clock.median_ms(|| {
        let target = Target::from_inner(Target::new(&frozen, data.targets.clone()));
        let (conditioning, codes) = (conditioning.clone(), codes.clone());
        let losses = objective.losses(&generator, distance, conditioning, codes, &target);
        let gradients = Tensor::cat(losses, 0).sum().backward();
        let before = generator.clone();
        generator = optimizer::step(&mut optimizer, before, gradients, &groups, RATE, RATE);
        Ok(())
    })
}

/// As training does it: weights folded and features of the targets worked out once a search.
fn time_search<B: TrainingBackend>(
    search: &Search,
    generator: &Generator<B>,
    distance: &Distance<B>,
    data: &Data<B::InnerBackend>,
    clock: &Clock<B>,
) -> Result<f64, Error> {
    let distance = distance.valid();
    let pool = SeededPool::new(generator.config(), SEED);
    let fewer = Clock {
        repeat: (clock.repeat / 2).max(1),
        ..*clock
    };
    fewer.median_ms(|| {
        let folded = generator.valid().fold();
        let target = Target::new(&distance, data.targets.clone());
        let conditioning = data.conditioning.clone();
        Ok(search.run(&folded, &distance, conditioning, &target, &pool, 0)?)
    })
}

impl BenchConfig {
    fn validate(&self) -> Result<(), Error> {
        self.network.validate()?;
        for (field, count) in [
            ("batch", self.batch),
            ("side", self.side),
            ("repeat", self.repeat),
            ("chunk", self.chunk),
        ] {
            if count == 0 {
                let reason = "must be at least 1".to_owned();
                return Err(Error::Setting { field, reason });
            }
        }
        if let Some(search) = self.search() {
            search.validate(self.network.levels())?;
        }
        Ok(())
    }

    fn search(&self) -> Option<Search> {
        let pools = self.pools.clone();
        (!pools.is_empty()).then(|| Search::new(Strategy::Hierarchical { pools }, self.chunk))
    }
}

/// A batch of random examples, with a code for each.
struct Data<B: Backend> {
    conditioning: Vec<Tensor<B, 4>>,
    targets: Vec<Tensor<B, 4>>,
    codes: Vec<LatentCode<B>>,
}

impl<B: Backend> Data<B> {
    fn random(config: &BenchConfig, device: &B::Device) -> Self {
        let BenchConfig { network, batch, .. } = config;
        let (batch, sizes) = (*batch, network.code_sizes([config.side; 2]));
        let image = |channels, [height, width]: [usize; 2]| {
            let uniform = Distribution::Uniform(0.0, 1.0);
            Tensor::random([batch, channels, height, width], uniform, device)
        };
        // Super-resolution shows a level at twice its side.
        let scale = match network.architecture {
            Architecture::SuperResolution => 2,
            Architecture::Colorization | Architecture::ImageToImage => 1,
        };
        let normal = Distribution::Normal(0.0, 1.0);
        let code = |[height, width]: [usize; 2]| LatentCode {
            global: Tensor::random([batch, network.map_code], normal, device),
            local: Tensor::random(
                [batch, network.code_channels, height, width],
                normal,
                device,
            ),
        };
        let conditioned = sizes.iter().take(network.conditioning_images());
        Self {
            conditioning: conditioned
                .map(|&size| image(network.in_channels, size))
                .collect(),
            targets: sizes
                .iter()
                .map(|size| image(3, size.map(|side| scale * side)))
                .collect(),
            codes: sizes.iter().map(|&size| code(size)).collect(),
        }
    }
}

struct Clock<'a, B: Backend> {
    device: &'a B::Device,
    repeat: usize,
}

impl<B: Backend> Clock<'_, B> {
    /// The median of `repeat` runs after one that does not count.
    fn median_ms<T>(&self, mut run: impl FnMut() -> Result<T, Error>) -> Result<f64, Error> {
        let mut times = Vec::with_capacity(self.repeat);
        for round in 0..=self.repeat {
            self.synchronize()?;
            let begun = Instant::now();
            // Held until the device is done: what nobody holds need not be computed.
            let result = run()?;
            self.synchronize()?;
            if round > 0 {
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            drop(result);
        }
        times.sort_by(f64::total_cmp);
        let middle = times.len() / 2;
        Ok(if times.len().is_multiple_of(2) {
            (times[middle - 1] + times[middle]) / 2.0
        } else {
            times[middle]
        })
    }

    fn synchronize(&self) -> Result<(), Error> {
        B::sync(self.device).map_err(Error::device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Autodiff;
    use burn_flex::Flex;
    use chimle_nn::Preset;

    fn config(architecture: Architecture) -> BenchConfig {
        let network = GeneratorConfig {
            residual_channels: vec![4, 4],
            growth_channels: vec![2, 2],
            ..GeneratorConfig::preset(Preset::Tiny, architecture)
        };
        BenchConfig {
            network,
            batch: 2,
            side: 4,
            pools: vec![3, 2],
            loss: DistanceConfig::L2,
            repeat: 2,
            chunk: 4,
            compute: Compute::default(),
        }
    }

    fn run(config: &BenchConfig) -> Result<Timing, Error> {
        bench::<Autodiff<Flex>>(config, &Default::default())
    }

    #[test]
    fn every_architecture_is_timed() {
        for architecture in [
            Architecture::SuperResolution,
            Architecture::Colorization,
            Architecture::ImageToImage,
        ] {
            let timing = run(&config(architecture)).unwrap();
            let times = [
                timing.forward_ms,
                timing.train_step_ms,
                timing.search_ms.unwrap(),
            ];
            assert!(times.iter().all(|ms| *ms > 0.0), "{times:?}");
            let parameters = config(architecture)
                .network
                .init::<Flex>(&Default::default());
            assert_eq!(timing.parameters, parameters.num_params());
        }
    }

    #[test]
    fn without_pools_there_is_no_search_to_report() {
        let mut config = config(Architecture::Colorization);
        config.pools.clear();
        let json = serde_json::to_value(run(&config).unwrap()).unwrap();
        assert!(json.get("search_ms").is_none());
        assert!(json["train_step_ms"].is_number());
    }

    #[test]
    fn what_cannot_be_timed_is_named() {
        let base = config(Architecture::Colorization);
        let message = |config: BenchConfig| run(&config).unwrap_err().to_string();
        let none = BenchConfig {
            repeat: 0,
            ..base.clone()
        };
        assert_eq!(message(none), "`repeat` must be at least 1");
        let short = BenchConfig {
            pools: vec![3],
            ..base.clone()
        };
        assert!(message(short).contains("pools for 1 levels"));
        let empty = BenchConfig {
            pools: vec![3, 0],
            ..base
        };
        assert!(message(empty).contains("level 2 is empty"));
    }
}
