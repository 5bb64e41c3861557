//! MSGAN: Mao et al., "Mode Seeking Generative Adversarial Networks for Diverse Image Synthesis", CVPR 2019,
//! arXiv 1903.05628.
//!
//! Two codes z1 and z2 are drawn for the same input, and their outputs G1 and G2 are pushed apart. The coefficients are
//! those of the authors' release (commit e386c25):
//!
//! min over G of GAN(G1) + GAN(G2) + 10 |y - G1| + 1 / (r + 1e-5), with r = |G1 - G2| / |z1 - z2|, where |.| is the
//! mean absolute value. The paper maximizes r, and the release minimizes its inverse. The numbers of the equations (1
//! and 2) are not verified.
//!
//! Scaled down: the generator is the shared one, and z enters it by AdaIN and by concatenation. The release computes r
//! over the whole batch, which has size 1. Here r is computed for each input, and the inverses are averaged.

use std::path::Path;

use burn::tensor::Tensor;
use chimle_core::TaskHandle;
use chimle_core::data::{Example, Planes};
use chimle_core::nn::Generator;
use chimle_kernels::TrainingBackend;
use serde::{Deserialize, Serialize};

use super::adversarial::{judged, least_squares};
use super::bicycle_gan::{BETAS, IMAGE};
use super::imle::number;
use super::pairs::Pairs;
use crate::backbone::{CODE_VALUES, backbone, sample_with_code};
use crate::context::Context;
use crate::error::Error;
use crate::feed::Feed;
use crate::method::{Costs, Method};
use crate::networks::{Discriminator, DiscriminatorConfig};
use crate::random::Random;
use crate::schedule::constant_then_linear;
use crate::space::Space;
use crate::trained::Trained;

/// Keeps the inverse of the ratio finite.
const EPSILON: f64 = 1e-5;

/// The settings of MSGAN. The default weights of the losses are those of the release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MsganSettings {
    /// The number of inputs in a step, with two codes each.
    pub batch: usize,
    /// Adam's learning rate at the beginning.
    pub rate: f64,
    /// The weight of the reconstruction of y from the first code.
    pub reconstruction: f64,
    /// The weight of the mode-seeking term.
    pub mode_seeking: f64,
    /// The discriminator, which sees the input as well as the output.
    pub discriminator: DiscriminatorConfig,
}

impl Default for MsganSettings {
    fn default() -> Self {
        Self {
            batch: 4,
            rate: 2e-4,
            reconstruction: 10.0,
            mode_seeking: 1.0,
            discriminator: DiscriminatorConfig::default(),
        }
    }
}

/// MSGAN.
pub struct Msgan<B: TrainingBackend> {
    task: TaskHandle,
    space: Space,
    settings: MsganSettings,
    generator: Trained<B, Generator<B>>,
    discriminator: Trained<B, Discriminator<B>>,
    seed: u64,
    device: B::Device,
}

impl<B: TrainingBackend> Msgan<B> {
    /// Creates the method with fresh weights.
    pub fn new(context: &Context<B>, settings: MsganSettings) -> Self {
        let _beginning = context.seed_weights();
        let channels = context.task.conditioning_channels() + IMAGE;
        let device = &context.device;
        let network = settings
            .discriminator
            .init(channels, context.side(), device);
        Self {
            task: context.task.clone(),
            space: context.space(),
            generator: backbone(context, BETAS),
            discriminator: Trained::new(network, BETAS),
            settings,
            seed: context.seed,
            device: device.clone(),
        }
    }
}

/// Computes the mode-seeking term: the mean over inputs of `1 / (|G1 - G2| / |z1 - z2| + epsilon)`.
pub fn mode_seeking<B: TrainingBackend>(
    images: [&Tensor<B, 4>; 2],
    codes: [&Tensor<B, 2>; 2],
) -> Tensor<B, 1> {
    let [n, c, h, w] = images[0].dims();
    let apart = (images[0].clone() - images[1].clone()).abs();
    let apart = apart.reshape([n, c * h * w]).mean_dim(1);
    let of_codes = (codes[0].clone() - codes[1].clone()).abs().mean_dim(1);
    (apart / of_codes + EPSILON).recip().mean()
}

impl<B: TrainingBackend> Method for Msgan<B> {
    fn step(&mut self, feed: &mut Feed, progress: f64) -> Result<f32, Error> {
        let mut random = Random::new(self.seed, feed.position());
        let examples = feed.next(self.settings.batch)?;
        let pairs = Pairs::<B>::of(&examples, self.space, &self.device)?;
        let rate = constant_then_linear(self.settings.rate, progress);
        let mut code = || random.normal::<B, 2>([pairs.len(), CODE_VALUES], &self.device);
        let (first_code, second_code) = (code(), code());

        let make = |z| pairs.make(&self.generator.network, self.space, z);
        let (first, second) = (make(&first_code), make(&second_code));
        let judge = self.discriminator.frozen();
        let fools = |image: &Tensor<B, 4>| {
            least_squares(
                judge.forward(judged(Some(&pairs.input), image.clone())),
                1.0,
            )
        };
        let difference = (pairs.truth.clone() - first.clone()).abs().mean();
        let seeking = mode_seeking([&first, &second], [&first_code, &second_code]);
        let loss = fools(&first)
            + fools(&second)
            + difference * self.settings.reconstruction
            + seeking * self.settings.mode_seeking;
        let value = number(&loss);
        self.generator.step(&mut loss.backward(), rate);

        // The true output counts once for each of the two generated outputs.
        let network = &self.discriminator.network;
        let verdict = |image: Tensor<B, 4>, target| {
            least_squares(network.forward(judged(Some(&pairs.input), image)), target)
        };
        let loss = verdict(first.detach(), 0.0)
            + verdict(second.detach(), 0.0)
            + verdict(pairs.truth.clone(), 1.0) * 2.0;
        self.discriminator.step(&mut loss.backward(), rate);
        Ok(value)
    }

    fn sample(
        &self,
        inputs: &[&Example],
        samples: usize,
        seed: u64,
    ) -> Result<Vec<Vec<Planes>>, Error> {
        let generator = self.generator.evaluated().fold();
        Ok(sample_with_code(
            &generator, &self.task, inputs, samples, seed,
        ))
    }

    fn costs(&self) -> Costs {
        Costs {
            parameters: self.generator.parameters(),
            training_parameters: self.discriminator.parameters(),
            evaluations_per_sample: 1,
            is_stochastic: true,
        }
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        self.generator.save(folder, "generator")?;
        self.discriminator.save(folder, "discriminator")
    }

    fn load(&mut self, folder: &Path) -> Result<(), Error> {
        self.generator.load(folder, "generator", &self.device)?;
        self.discriminator
            .load(folder, "discriminator", &self.device)
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn_flex::Flex;

    use super::*;

    #[test]
    fn the_term_is_the_mean_of_the_inverse_ratios() {
        type B = Autodiff<Flex>;
        let device = Default::default();
        let image = |value: f32| Tensor::<B, 4>::full([1, 3, 2, 2], value, &device);
        let both = |a: f32, b: f32| Tensor::cat(vec![image(a), image(b)], 0);
        let first = Tensor::<B, 2>::from_floats([[0.0, 0.0], [1.0, 0.0]], &device);
        let second = Tensor::<B, 2>::from_floats([[1.0, 1.0], [0.0, 0.0]], &device);
        // The ratios are 0.5 / 1 and 0.25 / 0.5.
        let term = mode_seeking([&both(0.5, 0.0), &both(0.0, 0.25)], [&first, &second]);
        let expected = 1.0 / (0.5 + EPSILON);
        assert!((f64::from(term.into_scalar()) - expected).abs() < 1e-4);
    }
}
