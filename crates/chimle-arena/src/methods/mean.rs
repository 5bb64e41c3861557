//! The mean: the shared generator trained by regression.
//!
//! The code is 0, and the mean squared error is minimized at every level. The output that minimizes
//! it is the mean of all plausible outputs. This method is therefore the baseline that ignores modes.

use std::path::Path;

use burn::tensor::Tensor;
use chimle_core::TaskHandle;
use chimle_core::data::{Batch, Example, Planes};
use chimle_core::nn::Generator;
use chimle_kernels::TrainingBackend;
use serde::{Deserialize, Serialize};

use super::imle::number;
use crate::backbone::{CODE_VALUES, backbone, generate, sample_one_output};
use crate::context::Context;
use crate::error::Error;
use crate::feed::Feed;
use crate::method::{Costs, Method};
use crate::schedule::halved_twice;
use crate::trained::Trained;

/// The settings of the mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeanSettings {
    /// The number of examples in a step.
    pub batch: usize,
    /// Adam's learning rate at the beginning. It is halved twice.
    pub rate: f64,
}

impl Default for MeanSettings {
    fn default() -> Self {
        Self {
            batch: 8,
            rate: 2e-3,
        }
    }
}

/// The shared generator trained by regression.
pub struct Mean<B: TrainingBackend> {
    task: TaskHandle,
    generator: Trained<B, Generator<B>>,
    settings: MeanSettings,
    device: B::Device,
}

impl<B: TrainingBackend> Mean<B> {
    /// Creates the method with fresh weights.
    pub fn new(context: &Context<B>, settings: MeanSettings) -> Self {
        let _beginning = context.seed_weights();
        Self {
            task: context.task.clone(),
            generator: backbone(context, (0.9, 0.999)),
            settings,
            device: context.device.clone(),
        }
    }
}

impl<B: TrainingBackend> Method for Mean<B> {
    fn step(&mut self, feed: &mut Feed, progress: f64) -> Result<f32, Error> {
        let examples = feed.next(self.settings.batch)?;
        let batch = Batch::<B>::collate(&examples.iter().collect::<Vec<_>>(), &self.device);
        let network = &self.generator.network;
        let z = Tensor::zeros([examples.len(), CODE_VALUES], &self.device);
        let images = generate(network, batch.conditioning, &z).into_iter();
        let loss = images
            .zip(batch.targets)
            .map(|(raw, target)| (network.raw_to_rgb(raw) - target).square().mean())
            .reduce(|sum, level| sum + level)
            .expect("a generator has levels");
        let value = number(&loss);
        let rate = halved_twice(self.settings.rate, progress);
        self.generator.step(&mut loss.backward(), rate);
        Ok(value)
    }

    fn sample(
        &self,
        inputs: &[&Example],
        samples: usize,
        _: u64,
    ) -> Result<Vec<Vec<Planes>>, Error> {
        let generator = self.generator.evaluated().fold();
        Ok(sample_one_output(&generator, &self.task, inputs, samples))
    }

    fn costs(&self) -> Costs {
        Costs {
            parameters: self.generator.parameters(),
            training_parameters: 0,
            evaluations_per_sample: 1,
            is_stochastic: false,
        }
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        self.generator.save(folder, "generator")
    }

    fn load(&mut self, folder: &Path) -> Result<(), Error> {
        self.generator.load(folder, "generator", &self.device)
    }
}
