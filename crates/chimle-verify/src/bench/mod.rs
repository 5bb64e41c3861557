//! Timing of a forward pass, a training step and a latent search.

mod clock;
mod data;

use burn::module::{AutodiffModule, Module};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_core::imle::{ExampleId, Objective, Search, SeededPool, Strategy, Target};
use chimle_core::nn::{
    Compute, Generator, GeneratorConfig, LatentCode, Precision, TrainingBackend,
};
use chimle_core::optimizer::{self, Groups};
use chimle_core::perceptual::{ImageDistance, TrainingDistance};
use chimle_core::{DistanceConfig, check_precision};
use serde::Serialize;

use crate::error::Error;
use clock::Clock;
use data::Data;

/// The seed of the weights, the data and the codes.
const SEED: u64 = 0;

/// The settings of Adam. The time of a step does not depend on them.
const RATE: f64 = 1e-4;
const BETAS: (f32, f32) = (0.9, 0.999);

/// The network to time, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchConfig {
    /// The network. [`read_network`](crate::read_network) reads one from a file.
    pub network: GeneratorConfig,
    /// The number of examples in a forward pass, a training step and a search.
    pub batch: usize,
    /// The side of the coarsest conditioning image, in pixels.
    pub side: usize,
    /// The number of candidates per level, coarse to fine. If it is empty, no search is timed.
    pub pools: Vec<usize>,
    /// The distance of the training step and the search.
    pub loss: DistanceConfig,
    /// The number of timed forward passes and training steps. Half as many searches are timed, but
    /// at least one. Each measurement starts with one more run, which is not timed.
    pub repeat: usize,
    /// The largest number of candidates in one batch.
    pub chunk: usize,
    /// The precision, and whether feature maps are recomputed in the backward pass.
    pub compute: Compute,
}

/// The measured times: medians in milliseconds.
///
/// It serializes to plain JSON (`forward_ms`, `train_step_ms`, `search_ms`, ...), which can be compared
/// with the times of other implementations on the same machine and configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// The name and version of this implementation.
    pub peer: String,
    /// The backend's name for the device.
    pub device: String,
    /// The number of CPU threads that a backend may use.
    pub threads: usize,
    /// The number of parameters of the network.
    pub parameters: usize,
    /// The number of examples, as configured.
    pub batch: usize,
    /// The side of the coarsest conditioning image, as configured.
    pub side: usize,
    /// The precision, as configured.
    pub precision: Precision,
    /// The time of a forward pass: all levels of the batch, without autodiff, with weight normalization
    /// folded beforehand.
    pub forward_ms: f64,
    /// The time of a training step: forward pass, features of the targets, losses of all levels,
    /// gradients, and a step of Adam.
    pub train_step_ms: f64,
    /// The time of a hierarchical search for every example of the batch, including the time to draw the
    /// candidates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_ms: Option<f64>,
}

/// Times a network on `device`.
///
/// # Errors
///
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
    distance: &ImageDistance<B>,
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

    let groups = Groups::of(generator);
    let mut generator = Some(generator.clone());
    let mut optimizer = optimizer::adam::<B, Generator<B>>(BETAS);
    clock.median_ms(|| {
        let target = Target::new(&frozen, data.targets.clone()).constants::<B, ImageDistance<B>>();
        let code = |level: usize, _: &_| codes[level].clone();
        // The generator is moved into the step, not cloned, so that its parameters can be updated in place.
        let before = generator.take().expect("each step returns a generator");
        let losses = objective.losses(&before, distance, conditioning.clone(), code, &target);
        let gradients = Tensor::cat(losses, 0).sum().backward();
        let after = optimizer::step(&mut optimizer, before, gradients, &groups, RATE, RATE);
        generator = Some(after);
        Ok(())
    })
}

/// Times the search as it is done in training. Each search folds the weights once and computes the features
/// of the targets once.
fn time_search<B: TrainingBackend>(
    search: &Search,
    generator: &Generator<B>,
    distance: &ImageDistance<B>,
    data: &Data<B::InnerBackend>,
    clock: &Clock<B>,
) -> Result<f64, Error> {
    let distance = distance.valid();
    let pool = SeededPool::new(SEED);
    let batch = data.targets[0].dims()[0] as u64;
    let examples: Vec<ExampleId> = (0..batch).map(ExampleId).collect();
    let fewer = Clock {
        repeat: (clock.repeat / 2).max(1),
        ..*clock
    };
    fewer.median_ms(|| {
        let folded = generator.valid().fold();
        let target = Target::new(&distance, data.targets.clone());
        let conditioning = data.conditioning.clone();
        Ok(search.run(&folded, &distance, conditioning, &target, &pool, &examples)?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Autodiff;
    use burn_flex::Flex;
    use chimle_core::nn::{Architecture, Preset};

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
