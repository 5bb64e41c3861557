//! DnCNN: Zhang et al., "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising", TIP 2017,
//! arXiv 1608.03981 (the number is not verified).
//!
//! A deterministic network R predicts the change that compression made: output = input - R(input). It is trained with
//! 1/(2N) times the sum of |R(input) - (input - clean)|^2 (equation 1; this number is not verified). All convolutions are
//! 3x3 with width 64. The first is followed by ReLU, the inner ones by batch normalization and ReLU, and the last by
//! nothing. The depth is 20, as in the network for JPEG deblocking (cszn/DnCNN, commit e93b278).
//!
//! Nothing is scaled down by default. The network is trained on whole RGB images at the task's quality. The release's demo
//! works on luma, and the release has no training code for JPEG.

use std::path::Path;

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;
use chimle_core::TaskHandle;
use chimle_core::data::{Batch, Example, InputSize, OutputSpace, Planes};
use chimle_kernels::{Kernels, TrainingBackend};
use serde::{Deserialize, Serialize};

use super::imle::number;
use crate::backbone::{repeat_outputs, sample_rows};
use crate::context::Context;
use crate::error::Error;
use crate::feed::Feed;
use crate::method::{Costs, Method};
use crate::networks::Conv3x3;
use crate::schedule::constant_then_linear;
use crate::trained::Trained;

/// The settings of DnCNN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DncnnSettings {
    /// The number of pairs in a step.
    pub batch: usize,
    /// Adam's learning rate at the beginning.
    pub rate: f64,
    /// The number of convolutions, at least 2.
    pub depth: usize,
    /// The number of channels.
    pub width: usize,
}

impl Default for DncnnSettings {
    fn default() -> Self {
        Self {
            batch: 8,
            rate: 1e-3,
            depth: 20,
            width: 64,
        }
    }
}

/// DnCNN.
pub struct Dncnn<B: TrainingBackend> {
    task: TaskHandle,
    settings: DncnnSettings,
    network: Trained<B, Network<B>>,
    device: B::Device,
}

impl<B: TrainingBackend> Dncnn<B> {
    /// Creates the method with fresh weights.
    ///
    /// # Errors
    ///
    /// If the input is not an RGB image of the output's size, or `depth` is below 2, or `width` is 0.
    pub fn new(context: &Context<B>, settings: DncnnSettings) -> Result<Self, Error> {
        let task = &context.task;
        let fits = task.input_size() == InputSize::SameAsOutput
            && task.output_space() == OutputSpace::Rgb
            && task.conditioning_channels() == 3;
        if !fits {
            return Err(Error::DoesNotApply {
                method: "dncnn",
                task: task.to_string(),
                reason: "it needs an RGB input of the output's size",
            });
        }
        if settings.depth < 2 || settings.width == 0 {
            return Err(Error::setting(
                "depth",
                "must be at least 2, and `width` at least 1",
            ));
        }
        let _beginning = context.seed_weights();
        let network = Network::new(&settings, &context.device);
        Ok(Self {
            task: task.clone(),
            settings,
            network: Trained::new(network, (0.9, 0.999)),
            device: context.device.clone(),
        })
    }
}

impl<B: TrainingBackend> Method for Dncnn<B> {
    fn step(&mut self, feed: &mut Feed, progress: f64) -> Result<f32, Error> {
        let examples = feed.next(self.settings.batch)?;
        let mut batch = Batch::<B>::collate(&examples.iter().collect::<Vec<_>>(), &self.device);
        let last = |images: &mut Vec<Tensor<B, 4>>| images.pop().expect("one image per level");
        let (input, clean) = (last(&mut batch.conditioning), last(&mut batch.targets));
        let residual = self.network.network.forward(input.clone());
        let loss = (residual - (input - clean)).square().sum() / (2.0 * examples.len() as f64);
        let value = number(&loss);
        let rate = constant_then_linear(self.settings.rate, progress);
        self.network.step(&mut loss.backward(), rate);
        Ok(value)
    }

    fn sample(
        &self,
        inputs: &[&Example],
        samples: usize,
        _: u64,
    ) -> Result<Vec<Vec<Planes>>, Error> {
        let network = self.network.evaluated();
        let outputs = sample_rows(&self.task, inputs, 1, |examples, _| {
            let mut conditioning = Batch::collate(examples, &self.device).conditioning;
            let input = conditioning.pop().expect("one image per level");
            input.clone() - network.forward(input)
        });
        Ok(repeat_outputs(outputs, samples))
    }

    fn costs(&self) -> Costs {
        Costs {
            parameters: self.network.parameters(),
            training_parameters: 0,
            evaluations_per_sample: 1,
            is_stochastic: false,
        }
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        self.network.save(folder, "network")
    }

    fn load(&mut self, folder: &Path) -> Result<(), Error> {
        self.network.load(folder, "network", &self.device)
    }
}

/// The network R, from `[n, 3, h, w]` to the same shape.
#[derive(Module, Debug)]
struct Network<B: Backend> {
    first: Conv3x3<B>,
    inner: Vec<Conv3x3<B>>,
    norms: Vec<BatchNorm<B>>,
    last: Conv3x3<B>,
}

impl<B: Backend> Network<B> {
    fn new(settings: &DncnnSettings, device: &B::Device) -> Self {
        let (width, inner) = (settings.width, settings.depth - 2);
        Self {
            first: Conv3x3::new(3, width, device),
            inner: (0..inner)
                .map(|_| Conv3x3::new(width, width, device))
                .collect(),
            norms: (0..inner)
                .map(|_| BatchNormConfig::new(width).init(device))
                .collect(),
            last: Conv3x3::new(width, 3, device),
        }
    }
}

impl<B: Kernels> Network<B> {
    fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let first = self.first.forward_leaky(input, 0.0);
        let layers = self.inner.iter().zip(&self.norms);
        let map = layers.fold(first, |map, (layer, norm)| {
            relu(norm.forward(layer.forward(map)))
        });
        self.last.forward(map)
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;

    #[test]
    fn the_usual_size_is_that_of_the_paper() {
        let network = Network::<Flex>::new(&DncnnSettings::default(), &Default::default());
        // Burn counts running means and variances as parameters.
        let running = 2 * 18 * 64;
        let count = network.num_params() - running;
        assert!((650_000..690_000).contains(&count), "{count}");
    }
}
