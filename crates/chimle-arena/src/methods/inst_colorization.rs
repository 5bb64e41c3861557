//! InstColorization: Su et al., "Instance-aware Image Colorization", CVPR 2020, arXiv 2005.10825.
//!
//! **Only the whole-image branch is implemented.** The method has a second network for the boxes of objects, and fuses
//! both. The boxes come from a detector, and no detector is available at this scale. So the arena measures the network of
//! Zhang et al. ("Real-Time User-Guided Image Colorization", 2017), on which the method builds, with the method's loss.
//!
//! The loss is that of the authors' release (commit 1ce3d25): 10 times the Huber loss of the difference of ab/110, with δ =
//! 1/110, summed over a and b and averaged over pixels. The numbers of the equations are not verified.
//!
//! Scaled down: the network has an eighth of the channels, and upsamples by nearest neighbor and a 3x3 convolution in place
//! of transposed convolutions. The hints and their mask, which are inputs of the network, are zero as in the release.

use std::path::Path;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::activation::{leaky_relu, relu, tanh};
use burn::tensor::backend::Backend;
use burn::tensor::module::max_pool2d;
use chimle_core::TaskHandle;
use chimle_core::data::{Example, OutputSpace, Planes, lab, stack};
use chimle_core::nn::lab_to_rgb;
use chimle_kernels::{Kernels, TrainingBackend};
use serde::{Deserialize, Serialize};

use super::imle::number;
use crate::backbone::{repeat_outputs, sample_rows};
use crate::context::Context;
use crate::error::Error;
use crate::feed::Feed;
use crate::method::{Costs, Method};
use crate::networks::{Conv3x3, Pointwise, enlarge};
use crate::schedule::constant_then_linear;
use crate::trained::Trained;

/// The divisor of a and b.
const CHROMA: f64 = 110.0;
/// The threshold δ of the Huber loss.
const DELTA: f64 = 1.0 / 110.0;
/// The weight of the loss.
const WEIGHT: f64 = 10.0;
/// The number of times that the network halves its input.
const HALVINGS: usize = 3;

/// The settings of InstColorization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstColorizationSettings {
    /// The number of pairs in a step.
    pub batch: usize,
    /// Adam's learning rate at the beginning.
    pub rate: f64,
    /// The channels of the first block, which are 64 in the release. Later blocks have up to 8 times as many.
    pub width: usize,
}

impl Default for InstColorizationSettings {
    fn default() -> Self {
        Self {
            batch: 8,
            rate: 5e-4,
            width: 8,
        }
    }
}

/// The whole-image branch of InstColorization.
pub struct InstColorization<B: TrainingBackend> {
    task: TaskHandle,
    settings: InstColorizationSettings,
    network: Trained<B, Network<B>>,
    device: B::Device,
}

impl<B: TrainingBackend> InstColorization<B> {
    /// Creates the method with fresh weights.
    ///
    /// # Errors
    ///
    /// If the task is not colorization of a lightness image, or the image cannot be halved three times.
    pub fn new(context: &Context<B>, settings: InstColorizationSettings) -> Result<Self, Error> {
        let task = &context.task;
        if task.output_space() != OutputSpace::Lab {
            return Err(Error::DoesNotApply {
                method: "inst-colorization",
                task: task.to_string(),
                reason: "it adds color to a lightness image",
            });
        }
        let (height, width) = context.sizes.output();
        if [height, width]
            .iter()
            .any(|side| side % (1 << HALVINGS) != 0)
        {
            let reason = format!(
                "has {width}x{height} pixels, but inst-colorization needs sides that are multiples of 8"
            );
            return Err(Error::setting("data.size", reason));
        }
        let _beginning = context.seed_weights();
        let network = Network::new(settings.width.max(1), &context.device);
        Ok(Self {
            task: task.clone(),
            settings,
            network: Trained::new(network, (0.9, 0.999)),
            device: context.device.clone(),
        })
    }
}

/// Returns the lightness that the network reads, (L - 50) / 100: `[n, 1, h, w]`.
fn lightness<B: Backend>(examples: &[&Example], device: &B::Device) -> Tensor<B, 4> {
    let finest: Vec<&Planes> = examples
        .iter()
        .map(|example| &example.conditioning[example.conditioning.len() - 1])
        .collect();
    let lightness: Tensor<B, 4> = stack(&finest, device);
    lightness - 0.5
}

/// Returns the true a and b divided by 110: `[n, 2, h, w]`.
fn true_chroma<B: Backend>(examples: &[&Example], device: &B::Device) -> Tensor<B, 4> {
    let chroma: Vec<Planes> = examples
        .iter()
        .map(|example| lab(&example.truth().to_rgb()).channels(1..3))
        .collect();
    let chroma: Tensor<B, 4> = stack(&chroma.iter().collect::<Vec<_>>(), device);
    chroma / CHROMA
}

/// Computes the Huber loss: d^2 / (2 δ) below δ, and |d| - δ/2 above.
fn huber<B: Backend>(difference: Tensor<B, 4>) -> Tensor<B, 4> {
    let size = difference.abs();
    // The part below δ is quadratic, and the part above is linear.
    let below = size.clone().clamp_max(DELTA);
    below.clone().square() / (2.0 * DELTA) + (size - below)
}

impl<B: TrainingBackend> Method for InstColorization<B> {
    fn step(&mut self, feed: &mut Feed, progress: f64) -> Result<f32, Error> {
        let examples = feed.next(self.settings.batch)?;
        let examples: Vec<&Example> = examples.iter().collect();
        let truth = true_chroma::<B>(&examples, &self.device);
        let seen = lightness::<B>(&examples, &self.device);
        let found = self.network.network.forward(seen);
        let loss = huber(found - truth).sum_dim(1).mean() * WEIGHT;
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
            let seen = lightness::<B::InnerBackend>(examples, &self.device);
            let chroma = network.forward(seen.clone());
            // Converts to network Lab: a' = a L' / 127.
            let given = seen + 0.5;
            let scaled = chroma * (CHROMA / 127.0) * given.clone().clamp_min(0.01);
            lab_to_rgb(Tensor::cat(vec![given, scaled], 1))
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

/// The network, from (L - 50) / 100 to ab / 110 in (-1, 1).
#[derive(Module, Debug)]
struct Network<B: Backend> {
    /// Blocks 1 to 4, each at half the side of the previous block.
    down: Vec<Block<B>>,
    /// Blocks 5 and 6, whose convolutions are dilated.
    dilated: Vec<Dilated<B>>,
    /// Block 7.
    seventh: Block<B>,
    /// Blocks 8 to 10, each at twice the side of the previous block, with a shortcut from the downward path.
    up: Vec<Up<B>>,
    last: Pointwise<B>,
}

/// Convolutions with ReLU, then batch normalization.
#[derive(Module, Debug)]
struct Block<B: Backend> {
    layers: Vec<Conv3x3<B>>,
    norm: BatchNorm<B>,
}

/// Convolutions of dilation 2 with ReLU, then batch normalization.
#[derive(Module, Debug)]
struct Dilated<B: Backend> {
    layers: Vec<Conv2d<B>>,
    norm: BatchNorm<B>,
}

/// Upsampling by 2, a shortcut, and more convolutions.
#[derive(Module, Debug)]
struct Up<B: Backend> {
    doubling: Conv3x3<B>,
    shortcut: Conv3x3<B>,
    layers: Vec<Conv3x3<B>>,
    /// `None` in the last block.
    norm: Option<BatchNorm<B>>,
}

impl<B: Backend> Network<B> {
    fn new(width: usize, device: &B::Device) -> Self {
        let norm = |channels| BatchNormConfig::new(channels).init(device);
        let block = |from: usize, to: usize, count: usize| Block {
            layers: (0..count)
                .map(|k| Conv3x3::new(if k == 0 { from } else { to }, to, device))
                .collect(),
            norm: norm(to),
        };
        let [one, two, four, eight] = [width, 2 * width, 4 * width, 8 * width];
        let dilated = || Dilated {
            layers: (0..3)
                .map(|_| {
                    Conv2dConfig::new([eight, eight], [3, 3])
                        .with_dilation([2, 2])
                        .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                        .init(device)
                })
                .collect(),
            norm: norm(eight),
        };
        let up = |from: usize, to: usize, beside: usize, count: usize, normed: bool| Up {
            doubling: Conv3x3::new(from, to, device),
            shortcut: Conv3x3::new(beside, to, device),
            layers: (0..count).map(|_| Conv3x3::new(to, to, device)).collect(),
            norm: normed.then(|| norm(to)),
        };
        Self {
            // The inputs are the lightness, two hints and their mask.
            down: vec![
                block(4, one, 2),
                block(one, two, 2),
                block(two, four, 3),
                block(four, eight, 3),
            ],
            dilated: vec![dilated(), dilated()],
            seventh: block(eight, eight, 3),
            up: vec![
                up(eight, four, four, 2, true),
                up(four, two, two, 1, true),
                up(two, two, one, 1, false),
            ],
            last: Pointwise::scaled(two, 2, 1.0, device),
        }
    }
}

impl<B: Kernels> Network<B> {
    fn forward(&self, lightness: Tensor<B, 4>) -> Tensor<B, 4> {
        let [n, _, h, w] = lightness.dims();
        let hints = Tensor::zeros([n, 3, h, w], &lightness.device());
        let mut map = Tensor::cat(vec![lightness, hints], 1);
        let mut passed = Vec::new();
        for (k, block) in self.down.iter().enumerate() {
            if k > 0 {
                passed.push(map.clone());
                // Takes every second pixel: pooling with a window of one pixel.
                map = max_pool2d(map, [1, 1], [2, 2], [0, 0], [1, 1], false);
            }
            map = block.forward(map);
        }
        for block in &self.dilated {
            let inner = block
                .layers
                .iter()
                .fold(map, |map, layer| relu(layer.forward(map)));
            map = block.norm.forward(inner);
        }
        map = self.seventh.forward(map);
        for up in &self.up {
            let beside = passed.pop().expect("one shortcut per doubling");
            let sum = up.doubling.forward(enlarge(map)) + up.shortcut.forward(beside);
            map = relu(sum);
            let count = up.layers.len();
            for (k, layer) in up.layers.iter().enumerate() {
                let found = layer.forward(map);
                let is_last = up.norm.is_none() && k + 1 == count;
                map = if is_last {
                    leaky_relu(found, 0.2)
                } else {
                    relu(found)
                };
            }
            if let Some(norm) = &up.norm {
                map = norm.forward(map);
            }
        }
        tanh(self.last.forward(map))
    }
}

impl<B: Kernels> Block<B> {
    fn forward(&self, map: Tensor<B, 4>) -> Tensor<B, 4> {
        let inner = self
            .layers
            .iter()
            .fold(map, |map, layer| layer.forward_leaky(map, 0.0));
        self.norm.forward(inner)
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;

    #[test]
    fn huber_is_a_parabola_and_then_a_line() {
        let d = DELTA as f32;
        let difference =
            Tensor::<Flex, 4>::from_floats([[[[0.0, 0.5 * d, -3.0 * d]]]], &Default::default());
        let found: Vec<f32> = huber(difference).into_data().to_vec().unwrap();
        let expected = [0.0, 0.125 * d, 2.5 * d];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-7);
        }
    }
}
