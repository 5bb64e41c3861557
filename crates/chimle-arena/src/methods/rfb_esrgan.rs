//! RFB-ESRGAN: Shang et al., "Perceptual Extreme Super Resolution Network with Receptive Field Block", CVPR workshops 2020,
//! arXiv 2005.12597 (the number is not verified).
//!
//! RFB-ESRGAN is a deterministic network for large scale factors. A trunk of RRDBs, and of RRDBs whose convolutions are
//! receptive field blocks, is followed by upsampling layers of factor 2, which alternate between nearest neighbor and
//! pixel shuffle. The network is that of the code at shinetzh/RFB-ESRGAN (commit a9279fe), which has no training code.
//! The losses are from memory and **not verified**: first L1 alone, then a perceptual loss on VGG + 5e-3 times the
//! relativistic average GAN loss + 1e-2 times L1.
//!
//! Scaled down: there are 3 RRDBs and 2 RRDBs of receptive field blocks in place of 15 and 8, the width is 32 in place of
//! 64, and there is no ensemble of models from several iterations. The residual scale is 0.2, as in ESRGAN; the released
//! code has 1. The perceptual loss compares relu5_3 of VGG16, not the last convolution of VGG19. The discriminator judges
//! patches.

use std::path::Path;

use burn::module::{AutodiffModule, Module};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::Tensor;
use burn::tensor::activation::{leaky_relu, softplus};
use burn::tensor::backend::Backend;
use chimle_core::TaskHandle;
use chimle_core::data::{Batch, Example, InputSize, Planes, Sizes};
use chimle_core::nn::{Compute, Rrdb, RrdbConfig};
use chimle_core::perceptual::Vgg16;
use chimle_kernels::{Kernels, TrainingBackend};
use serde::{Deserialize, Serialize};

use super::imle::number;
use crate::backbone::{repeat_outputs, sample_rows};
use crate::context::Context;
use crate::error::Error;
use crate::feed::Feed;
use crate::method::{Costs, Method};
use crate::networks::{
    Conv3x3, Discriminator, DiscriminatorConfig, Pointwise, enlarge, shuffle_pixels,
};
use crate::schedule::constant_then_linear;
use crate::trained::Trained;

/// The decay rates of Adam's moments.
const BETAS: (f32, f32) = (0.9, 0.999);
/// The negative slope of LeakyReLU.
const SLOPE: f64 = 0.2;
/// The residual scale.
const RESIDUAL: f64 = 0.2;

/// The settings of RFB-ESRGAN. The weights of the losses are not verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RfbEsrganSettings {
    /// The number of pairs in a step.
    pub batch: usize,
    /// Adam's learning rate while the loss is L1 alone.
    pub pretraining_rate: f64,
    /// Adam's learning rate afterwards, for both networks.
    pub rate: f64,
    /// The share of the time in which the loss is L1 alone.
    pub pretraining: f64,
    /// The weight of L1 afterwards.
    pub l1: f64,
    /// The weight of the perceptual loss.
    pub perceptual: f64,
    /// The weight of the adversarial loss.
    pub adversarial: f64,
    /// The number of RRDBs.
    pub rrdbs: usize,
    /// The number of RRDBs of receptive field blocks.
    pub rrfdbs: usize,
    /// The number of channels of the trunk.
    pub width: usize,
    /// The growth channels: the number of channels that each convolution of a dense block adds.
    pub growth: usize,
    /// The discriminator.
    pub discriminator: DiscriminatorConfig,
}

impl Default for RfbEsrganSettings {
    fn default() -> Self {
        Self {
            batch: 8,
            pretraining_rate: 1e-3,
            rate: 2e-4,
            pretraining: 0.5,
            l1: 1e-2,
            perceptual: 1.0,
            adversarial: 5e-3,
            rrdbs: 3,
            rrfdbs: 2,
            width: 32,
            growth: 16,
            discriminator: DiscriminatorConfig::default(),
        }
    }
}

/// RFB-ESRGAN.
pub struct RfbEsrgan<B: TrainingBackend> {
    task: TaskHandle,
    settings: RfbEsrganSettings,
    network: Trained<B, Network<B>>,
    discriminator: Trained<B, Discriminator<B>>,
    vgg16: Vgg16<B>,
    device: B::Device,
}

impl<B: TrainingBackend> RfbEsrgan<B> {
    /// Creates the method with fresh weights. `vgg16` computes the features of the perceptual loss.
    ///
    /// # Errors
    ///
    /// If the task is not super-resolution.
    pub fn new(
        context: &Context<B>,
        settings: RfbEsrganSettings,
        vgg16: Vgg16<B>,
    ) -> Result<Self, Error> {
        let task = &context.task;
        if task.input_size() != InputSize::Reduced || task.conditioning_channels() != 3 {
            return Err(Error::DoesNotApply {
                method: "rfb-esrgan",
                task: task.to_string(),
                reason: "it enlarges small RGB images",
            });
        }
        let _beginning = context.seed_weights();
        let device = &context.device;
        let network = Network::new(&settings, &context.sizes, device);
        let discriminator = settings.discriminator.init(3, context.side(), device);
        Ok(Self {
            task: task.clone(),
            network: Trained::new(network, BETAS),
            discriminator: Trained::new(discriminator, BETAS),
            settings,
            vgg16,
            device: device.clone(),
        })
    }

    /// Computes the loss of the second stage: perceptual, adversarial and L1.
    fn second_stage(&self, made: &Tensor<B, 4>, truth: &Tensor<B, 4>) -> Tensor<B, 1> {
        let last = |maps: Vec<Tensor<B, 4>>| maps.into_iter().last().expect("five blocks");
        let features = last(self.vgg16.forward(made.clone().clamp(0.0, 1.0)));
        let of_truth = self.vgg16.valid().forward(truth.clone().inner());
        let of_truth = of_truth.into_iter().last().expect("VGG16 has five blocks");
        let perceptual = (features - Tensor::from_inner(of_truth)).abs().mean();
        let judge = self.discriminator.frozen();
        let (of_made, of_truth) = (judge.forward(made.clone()), judge.forward(truth.clone()));
        // For the generator, the generated image should be judged truer than the average true image, and the true image
        // less true than the average generated one.
        let adversarial = relativistic(&of_made, &of_truth);
        perceptual * self.settings.perceptual
            + adversarial * self.settings.adversarial
            + (made.clone() - truth.clone()).abs().mean() * self.settings.l1
    }
}

/// Computes the relativistic average loss (Jolicoeur-Martineau 2019): the mean of two cross entropies, of `truer` minus the
/// mean of `other` with the label "true", and of `other` minus the mean of `truer` with the label "false". It is averaged
/// over patches and summed over scales.
fn relativistic<B: Backend>(truer: &[Tensor<B, 4>], other: &[Tensor<B, 4>]) -> Tensor<B, 1> {
    let scales = truer.iter().zip(other).map(|(truer, other)| {
        let mean = |verdict: &Tensor<B, 4>| verdict.clone().mean().reshape([1, 1, 1, 1]);
        let first = truer.clone() - mean(other);
        let second = other.clone() - mean(truer);
        (softplus(-first, 1.0).mean() + softplus(second, 1.0).mean()) / 2.0
    });
    let sum = scales.reduce(|sum, scale| sum + scale);
    sum.expect("a discriminator has a scale")
}

impl<B: TrainingBackend> Method for RfbEsrgan<B> {
    fn step(&mut self, feed: &mut Feed, progress: f64) -> Result<f32, Error> {
        let examples = feed.next(self.settings.batch)?;
        let batch = Batch::<B>::collate(&examples.iter().collect::<Vec<_>>(), &self.device);
        let input = batch.conditioning[0].clone();
        let truth = batch.targets[batch.targets.len() - 1].clone();
        let made = self.network.network.forward(input);
        if progress < self.settings.pretraining {
            let loss = (made - truth).abs().mean();
            let value = number(&loss);
            let rate = self.settings.pretraining_rate;
            self.network.step(&mut loss.backward(), rate);
            return Ok(value);
        }
        let rate = constant_then_linear(self.settings.rate, progress);
        let loss = self.second_stage(&made, &truth);
        let value = number(&loss);
        self.network.step(&mut loss.backward(), rate);

        let judge = &self.discriminator.network;
        let of_truth = judge.forward(truth);
        let of_made = judge.forward(made.detach());
        let loss = relativistic(&of_truth, &of_made);
        self.discriminator.step(&mut loss.backward(), rate);
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
            network.forward(conditioning.swap_remove(0))
        });
        Ok(repeat_outputs(outputs, samples))
    }

    fn costs(&self) -> Costs {
        Costs {
            parameters: self.network.parameters(),
            training_parameters: self.discriminator.parameters(),
            evaluations_per_sample: 1,
            is_stochastic: false,
        }
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        self.network.save(folder, "network")?;
        self.discriminator.save(folder, "discriminator")
    }

    fn load(&mut self, folder: &Path) -> Result<(), Error> {
        self.network.load(folder, "network", &self.device)?;
        self.discriminator
            .load(folder, "discriminator", &self.device)
    }
}

/// The network, from `[n, 3, h, w]` to `[n, 3, H, W]`, RGB in [0, 1].
#[derive(Module, Debug)]
struct Network<B: Backend> {
    first: Conv3x3<B>,
    rrdbs: Vec<Rrdb<B>>,
    rrfdbs: Vec<Rrfdb<B>>,
    after: ReceptiveField<B>,
    /// One layer for each upsampling by 2. Layers with an odd index make four times the channels, which a pixel shuffle
    /// then rearranges.
    doublings: Vec<ReceptiveField<B>>,
    fine: Conv3x3<B>,
    last: Conv3x3<B>,
}

impl<B: Backend> Network<B> {
    fn new(settings: &RfbEsrganSettings, sizes: &Sizes, device: &B::Device) -> Self {
        let (width, growth) = (settings.width, settings.growth);
        let times = sizes.output().0 / sizes.input().0;
        let doubling = |k: u32| {
            let outputs = if k.is_multiple_of(2) {
                width
            } else {
                4 * width
            };
            ReceptiveField::new(width, outputs, device)
        };
        Self {
            first: Conv3x3::new(3, width, device),
            rrdbs: (0..settings.rrdbs)
                .map(|_| RrdbConfig::new(width, growth).init(device))
                .collect(),
            rrfdbs: (0..settings.rrfdbs)
                .map(|_| Rrfdb::new(width, growth, device))
                .collect(),
            after: ReceptiveField::new(width, width, device),
            doublings: (0..times.ilog2()).map(doubling).collect(),
            fine: Conv3x3::new(width, width, device),
            last: Conv3x3::new(width, 3, device),
        }
    }
}

impl<B: Kernels> Network<B> {
    fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let first = self.first.forward(input * 2.0 - 1.0);
        let trunk = self.rrdbs.iter().fold(first.clone(), |map, rrdb| {
            rrdb.forward(map, Compute::default())
        });
        let trunk = self
            .rrfdbs
            .iter()
            .fold(trunk, |map, rrfdb| rrfdb.forward(map));
        let mut map = first + self.after.forward(trunk);
        for (k, doubling) in self.doublings.iter().enumerate() {
            map = if k % 2 == 0 {
                leaky_relu(doubling.forward(enlarge(map)), SLOPE)
            } else {
                leaky_relu(shuffle_pixels(doubling.forward(map)), SLOPE)
            };
        }
        (self.last.forward(self.fine.forward_leaky(map, SLOPE)) + 1.0) / 2.0
    }
}

/// An RRDB whose convolutions are receptive field blocks: three dense blocks and a residual.
#[derive(Module, Debug)]
struct Rrfdb<B: Backend> {
    blocks: Vec<DenseFields<B>>,
}

impl<B: Backend> Rrfdb<B> {
    fn new(width: usize, growth: usize, device: &B::Device) -> Self {
        let block = |_| DenseFields {
            layers: (0..5)
                .map(|k| {
                    let outputs = if k < 4 { growth } else { width };
                    ReceptiveField::new(width + k * growth, outputs, device)
                })
                .collect(),
        };
        Self {
            blocks: (0..3).map(block).collect(),
        }
    }

    fn forward(&self, map: Tensor<B, 4>) -> Tensor<B, 4> {
        let inner = self
            .blocks
            .iter()
            .fold(map.clone(), |map, block| block.forward(map));
        map + inner * RESIDUAL
    }
}

/// A dense block of receptive field blocks.
#[derive(Module, Debug)]
struct DenseFields<B: Backend> {
    layers: Vec<ReceptiveField<B>>,
}

impl<B: Backend> DenseFields<B> {
    fn forward(&self, map: Tensor<B, 4>) -> Tensor<B, 4> {
        let (last, inner) = self.layers.split_last().expect("five layers");
        let mut maps = vec![map.clone()];
        for layer in inner {
            let next = layer.forward(Tensor::cat(maps.clone(), 1));
            maps.push(leaky_relu(next, SLOPE));
        }
        map + last.forward(Tensor::cat(maps, 1)) * RESIDUAL
    }
}

/// A receptive field block (Liu et al. 2018): four branches with receptive fields of different sizes, joined by a 1x1
/// convolution, and a 1x1 shortcut.
#[derive(Module, Debug)]
struct ReceptiveField<B: Backend> {
    branches: Vec<Branch<B>>,
    joined: Pointwise<B>,
    shortcut: Pointwise<B>,
}

/// A 1x1 convolution that reduces the channels, then further convolutions.
#[derive(Module, Debug)]
struct Branch<B: Backend> {
    reduction: Pointwise<B>,
    layers: Vec<Conv2d<B>>,
}

/// The kernel size (height and width) and the dilation of each convolution of each branch.
const BRANCHES: [&[([usize; 2], usize)]; 4] = [
    &[([3, 3], 1)],
    &[([3, 1], 1), ([3, 3], 3)],
    &[([1, 3], 1), ([3, 3], 3)],
    &[([1, 3], 1), ([3, 1], 1), ([3, 3], 5)],
];

impl<B: Backend> ReceptiveField<B> {
    fn new(inputs: usize, outputs: usize, device: &B::Device) -> Self {
        let inner = (inputs / 4).max(1);
        let branch = |layers: &[([usize; 2], usize)]| Branch {
            reduction: Pointwise::scaled(inputs, inner, 1.0, device),
            layers: layers
                .iter()
                .map(|&(kernel, dilation)| {
                    let [top, left] = kernel.map(|side| dilation * (side / 2));
                    Conv2dConfig::new([inner, inner], kernel)
                        .with_dilation([dilation; 2])
                        .with_padding(PaddingConfig2d::Explicit(top, left, top, left))
                        .init(device)
                })
                .collect(),
        };
        Self {
            branches: BRANCHES.iter().map(|layers| branch(layers)).collect(),
            joined: Pointwise::scaled(4 * inner, outputs, 1.0, device),
            shortcut: Pointwise::scaled(inputs, outputs, 1.0, device),
        }
    }

    fn forward(&self, map: Tensor<B, 4>) -> Tensor<B, 4> {
        let branches = self.branches.iter().map(|branch| {
            let reduced = branch.reduction.forward(map.clone());
            branch
                .layers
                .iter()
                .fold(reduced, |map, layer| layer.forward(leaky_relu(map, SLOPE)))
        });
        let joined = Tensor::cat(branches.collect(), 1);
        self.joined.forward(joined) + self.shortcut.forward(map.clone())
    }
}
