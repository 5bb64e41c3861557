//! BicycleGAN: Zhu et al., "Toward Multimodal Image-to-Image Translation", NeurIPS 2017, arXiv 1711.11586.
//!
//! The encoder E maps a true output y to a distribution of its code z. Two cycles are trained at once. In cVAE-GAN, E maps y
//! to a code, and G maps the code back to y. In cLR-GAN, G maps a random code to an output, and E maps the output back to the
//! code. The coefficients are those of the authors' release (commit 40b9d52):
//!
//! min over G, E of GAN(D, G(x, E(y))) + GAN(D2, G(x, z)) + 10 |y - G(x, E(y))| + 0.01 KL(E(y) | N(0, 1)), and min over G
//! alone of 0.5 |E(G(x, z)) - z| (equation 7). If E received this gradient too, G and E could hide the code in the image. The
//! numbers of the other equations are not verified.
//!
//! Scaled down: the generator is the shared one, and z enters it by AdaIN and by concatenation, not in a U-Net's encoder
//! blocks. There is no dropout. The divergence is averaged over the batch, because the release's effective batch is 1.
//! Samples come from the moving average of G, as for every method with the shared generator. Initial weights are PyTorch's
//! defaults, not Xavier's with a gain of 0.02.

use std::path::Path;

use burn::tensor::Tensor;
use chimle_core::TaskHandle;
use chimle_core::data::{Example, Planes};
use chimle_core::nn::Generator;
use chimle_kernels::TrainingBackend;
use serde::{Deserialize, Serialize};

use super::adversarial::{judged, least_squares};
use super::imle::number;
use super::pairs::Pairs;
use crate::backbone::{CODE_VALUES, backbone, sample_with_code};
use crate::context::Context;
use crate::error::Error;
use crate::feed::Feed;
use crate::method::{Costs, Method};
use crate::networks::{Discriminator, DiscriminatorConfig, Encoder, EncoderConfig};
use crate::random::Random;
use crate::schedule::constant_then_linear;
use crate::space::Space;
use crate::trained::Trained;

/// The decay rates of Adam's moments.
pub(super) const BETAS: (f32, f32) = (0.5, 0.999);
/// The channels of a signed image.
pub(super) const IMAGE: usize = 3;

/// The settings of BicycleGAN. The default weights of the losses are those of the release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BicycleGanSettings {
    /// The number of pairs per cycle in a step.
    pub batch: usize,
    /// Adam's learning rate at the beginning.
    pub rate: f64,
    /// The weight of the reconstruction of y.
    pub reconstruction: f64,
    /// The weight of the divergence of E(y) from the prior.
    pub divergence: f64,
    /// The weight of the regression of z.
    pub latent: f64,
    /// Whether the discriminators see the input as well as the output. In the release they do not.
    pub conditional: bool,
    /// The discriminators.
    pub discriminator: DiscriminatorConfig,
    /// The encoder.
    pub encoder: EncoderConfig,
}

impl Default for BicycleGanSettings {
    fn default() -> Self {
        Self {
            batch: 4,
            rate: 2e-4,
            reconstruction: 10.0,
            divergence: 0.01,
            latent: 0.5,
            conditional: false,
            discriminator: DiscriminatorConfig::default(),
            encoder: EncoderConfig::default(),
        }
    }
}

/// BicycleGAN.
pub struct BicycleGan<B: TrainingBackend> {
    task: TaskHandle,
    space: Space,
    settings: BicycleGanSettings,
    generator: Trained<B, Generator<B>>,
    encoder: Trained<B, Encoder<B>>,
    /// The discriminator of outputs made from encoded codes.
    of_encoded: Trained<B, Discriminator<B>>,
    /// The discriminator of outputs made from random codes.
    of_random: Trained<B, Discriminator<B>>,
    seed: u64,
    device: B::Device,
}

impl<B: TrainingBackend> BicycleGan<B> {
    /// Creates the method with fresh weights.
    pub fn new(context: &Context<B>, settings: BicycleGanSettings) -> Self {
        let _beginning = context.seed_weights();
        let (side, device) = (context.side(), &context.device);
        let seen = if settings.conditional {
            context.task.conditioning_channels()
        } else {
            0
        };
        let discriminator = || {
            let network = settings.discriminator.init(seen + IMAGE, side, device);
            Trained::new(network, BETAS)
        };
        Self {
            task: context.task.clone(),
            space: context.space(),
            generator: backbone(context, BETAS),
            encoder: Trained::new(settings.encoder.init(IMAGE, CODE_VALUES, device), BETAS),
            of_encoded: discriminator(),
            of_random: discriminator(),
            settings,
            seed: context.seed,
            device: device.clone(),
        }
    }

    /// Returns the input of a discriminator for images of these pairs.
    fn judged(&self, pairs: &Pairs<B>, image: Tensor<B, 4>) -> Tensor<B, 4> {
        judged(self.settings.conditional.then_some(&pairs.input), image)
    }
}

impl<B: TrainingBackend> Method for BicycleGan<B> {
    fn step(&mut self, feed: &mut Feed, progress: f64) -> Result<f32, Error> {
        let mut random = Random::new(self.seed, feed.position());
        let examples = feed.next(2 * self.settings.batch)?;
        // The first half is encoded. The other half gives true outputs to the discriminator of random codes.
        let (encoded, others) = examples.split_at(self.settings.batch);
        let encoded = Pairs::<B>::of(encoded, self.space, &self.device)?;
        let others = Pairs::<B>::of(others, self.space, &self.device)?;
        let rate = constant_then_linear(self.settings.rate, progress);
        let settings = self.settings.clone();

        // cVAE-GAN: y to a code and back.
        let code = self.encoder.network.forward(encoded.truth.clone());
        let z = code.draw(&mut random);
        let reconstructed = encoded.make(&self.generator.network, self.space, &z);
        let seen = self.judged(&encoded, reconstructed.clone());
        let fools_first = least_squares(self.of_encoded.frozen().forward(seen), 1.0);
        let difference = (encoded.truth.clone() - reconstructed.clone()).abs().mean();

        // cLR-GAN: a random code to an output and back. E is frozen, and only passes the gradient on to G.
        let z: Tensor<B, 2> = random.normal([encoded.len(), CODE_VALUES], &self.device);
        let made = encoded.make(&self.generator.network, self.space, &z);
        let seen = self.judged(&encoded, made.clone());
        let fools_second = least_squares(self.of_random.frozen().forward(seen), 1.0);
        let recovered = self.encoder.frozen().forward(made.clone()).mean;
        let latent = (recovered - z).abs().mean();

        let loss = fools_first
            + fools_second
            + difference * settings.reconstruction
            + code.divergence() * settings.divergence
            + latent * settings.latent;
        let value = number(&loss);
        let mut gradients = loss.backward();
        self.generator.step(&mut gradients, rate);
        self.encoder.step(&mut gradients, rate);

        // The step of both discriminators, after the step of G and E.
        let false_first = self.judged(&encoded, reconstructed.detach());
        let true_first = self.judged(&encoded, encoded.truth.clone());
        let first = &self.of_encoded.network;
        let loss_of_first = least_squares(first.forward(false_first), 0.0)
            + least_squares(first.forward(true_first), 1.0);
        let false_second = self.judged(&encoded, made.detach());
        let true_second = self.judged(&others, others.truth.clone());
        let second = &self.of_random.network;
        let loss_of_second = least_squares(second.forward(false_second), 0.0)
            + least_squares(second.forward(true_second), 1.0);
        self.of_encoded.step(&mut loss_of_first.backward(), rate);
        self.of_random.step(&mut loss_of_second.backward(), rate);
        Ok(value)
    }

    /// Draws samples with random codes, without E.
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
            training_parameters: self.encoder.parameters()
                + self.of_encoded.parameters()
                + self.of_random.parameters(),
            evaluations_per_sample: 1,
            is_stochastic: true,
        }
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        self.generator.save(folder, "generator")?;
        self.encoder.save(folder, "encoder")?;
        self.of_encoded.save(folder, "discriminator-encoded")?;
        self.of_random.save(folder, "discriminator-random")
    }

    fn load(&mut self, folder: &Path) -> Result<(), Error> {
        let device = &self.device;
        self.generator.load(folder, "generator", device)?;
        self.encoder.load(folder, "encoder", device)?;
        self.of_encoded
            .load(folder, "discriminator-encoded", device)?;
        self.of_random.load(folder, "discriminator-random", device)
    }
}
