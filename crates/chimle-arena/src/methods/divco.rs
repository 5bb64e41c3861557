//! DivCo: Liu et al., "DivCo: Diverse Conditional Image Synthesis via Contrastive Generative Adversarial Network",
//! CVPR 2021, arXiv 2103.07893.
//!
//! DivCo is BicycleGAN without the regression of z, plus a contrastive loss of codes. For a query code z, the positive
//! code lies within 0.01 of z, and negative codes are drawn independently. Let f be the mean of E's distribution. The
//! loss is
//!
//! 0.3 times the mean over inputs of -log softmax of <f(G(x, z)), f(G(x, z_k))> / τ at the positive code, with τ = 1. Only G
//! receives its gradient. The numbers of the equations (3 and 4) are not verified.
//!
//! In the authors' release (commit 0e61a2b), both models for paired data compute this loss but never call `backward` on it.
//! Here the loss is minimized. `contrast = 0` gives the method as released.
//!
//! Scaled down: there are 4 negatives in place of 10, the generator is the shared one, and the contrastive loss is averaged
//! over the batch, which has size 1 in the release. A negative code is redrawn while any of its values is within 0.01 of the
//! query's value. The release makes this check for the whole batch at once.

use std::path::Path;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, TensorData};
use chimle_core::TaskHandle;
use chimle_core::data::{Example, Planes};
use chimle_core::imle::{Rows, Selection};
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
use crate::networks::{Discriminator, DiscriminatorConfig, Encoder, EncoderConfig};
use crate::random::Random;
use crate::schedule::constant_then_linear;
use crate::space::Space;
use crate::trained::Trained;

/// The largest difference between a value of a positive code and the query's value, and the smallest difference for a
/// negative code.
const RADIUS: f32 = 0.01;

/// The settings of DivCo. The default weights of the losses are those of the release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DivcoSettings {
    /// The number of pairs per cycle in a step.
    pub batch: usize,
    /// Adam's learning rate at the beginning.
    pub rate: f64,
    /// The weight of the reconstruction of y.
    pub reconstruction: f64,
    /// The weight of the divergence of E(y) from the prior.
    pub divergence: f64,
    /// The weight of the contrastive loss.
    pub contrast: f64,
    /// The number of negative codes.
    pub negatives: usize,
    /// The temperature of the contrastive loss.
    pub temperature: f64,
    /// Whether f (the mean of E's distribution) is divided by its length. In the release it is not.
    pub normalized: bool,
    /// Whether the discriminators see the input as well as the output.
    pub conditional: bool,
    /// The discriminators.
    pub discriminator: DiscriminatorConfig,
    /// The encoder.
    pub encoder: EncoderConfig,
}

impl Default for DivcoSettings {
    fn default() -> Self {
        Self {
            batch: 4,
            rate: 2e-4,
            reconstruction: 10.0,
            divergence: 0.01,
            contrast: 0.3,
            negatives: 4,
            temperature: 1.0,
            normalized: false,
            conditional: false,
            discriminator: DiscriminatorConfig::default(),
            encoder: EncoderConfig::default(),
        }
    }
}

/// DivCo.
pub struct Divco<B: TrainingBackend> {
    task: TaskHandle,
    space: Space,
    settings: DivcoSettings,
    generator: Trained<B, Generator<B>>,
    encoder: Trained<B, Encoder<B>>,
    of_encoded: Trained<B, Discriminator<B>>,
    of_random: Trained<B, Discriminator<B>>,
    seed: u64,
    device: B::Device,
}

impl<B: TrainingBackend> Divco<B> {
    /// Creates the method with fresh weights.
    ///
    /// # Errors
    ///
    /// If there are no negative codes.
    pub fn new(context: &Context<B>, settings: DivcoSettings) -> Result<Self, Error> {
        if settings.negatives == 0 {
            return Err(Error::setting("negatives", "must be at least 1"));
        }
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
        Ok(Self {
            task: context.task.clone(),
            space: context.space(),
            generator: backbone(context, BETAS),
            encoder: Trained::new(settings.encoder.init(IMAGE, CODE_VALUES, device), BETAS),
            of_encoded: discriminator(),
            of_random: discriminator(),
            settings,
            seed: context.seed,
            device: device.clone(),
        })
    }

    fn judged(&self, pairs: &Pairs<B>, image: Tensor<B, 4>) -> Tensor<B, 4> {
        judged(self.settings.conditional.then_some(&pairs.input), image)
    }

    /// Computes the contrastive loss of the query's outputs, compared with the outputs of other codes for the same inputs.
    fn contrast(
        &self,
        pairs: &Pairs<B>,
        z: &[f32],
        query: &Tensor<B, 4>,
        random: &mut Random,
    ) -> Tensor<B, 1> {
        let (rows, others) = (pairs.len(), self.settings.negatives + 1);
        let codes = other_codes(z, others, random);
        let codes = Tensor::from_data(
            TensorData::new(codes, [rows * others, CODE_VALUES]),
            &self.device,
        );
        let repeat = Selection::<B>::repeat_each(others);
        let repeated = Pairs {
            conditioning: pairs.conditioning.select_rows(&repeat),
            input: pairs.input.select_rows(&repeat),
            truth: pairs.truth.select_rows(&repeat),
        };
        let made = repeated.make(&self.generator.network, self.space, &codes);
        let encoder = self.encoder.frozen();
        let features = |images| {
            let mean: Tensor<B, 2> = encoder.forward(images).mean;
            if !self.settings.normalized {
                return mean;
            }
            let length = mean.clone().square().sum_dim(1).sqrt() + 1e-7;
            mean / length
        };
        let query = features(query.clone()).reshape([rows, 1, CODE_VALUES]);
        let keys = features(made).reshape([rows, others, CODE_VALUES]);
        contrast_of(query, keys, self.settings.temperature)
    }
}

/// Draws a positive code and then negative codes for each code, row by row.
fn other_codes(z: &[f32], others: usize, random: &mut Random) -> Vec<f32> {
    let mut codes = Vec::with_capacity(z.len() * others);
    for query in z.chunks_exact(CODE_VALUES) {
        let radius = f64::from(RADIUS);
        let positive = query
            .iter()
            .map(|&value| value + random.uniform(-radius, radius) as f32);
        codes.extend(positive.collect::<Vec<_>>());
        for _ in 1..others {
            let mut negative = random.normals(CODE_VALUES);
            let is_near = |negative: &[f32]| {
                let mut apart = negative.iter().zip(query).map(|(a, b)| (a - b).abs());
                apart.any(|apart| apart < RADIUS)
            };
            while is_near(&negative) {
                negative = random.normals(CODE_VALUES);
            }
            codes.extend(negative);
        }
    }
    codes
}

/// Computes the mean over rows of -log softmax of `<query, key> / temperature` at the positive key, which comes first.
/// `query` is `[n, 1, d]`, and `keys` is `[n, k, d]`.
fn contrast_of<B: TrainingBackend>(
    query: Tensor<B, 3>,
    keys: Tensor<B, 3>,
    temperature: f64,
) -> Tensor<B, 1> {
    let [n, k, _] = keys.dims();
    let logits = (query * keys).sum_dim(2).reshape([n, k]) / temperature;
    -log_softmax(logits, 1).narrow(1, 0, 1).mean()
}

impl<B: TrainingBackend> Method for Divco<B> {
    fn step(&mut self, feed: &mut Feed, progress: f64) -> Result<f32, Error> {
        let mut random = Random::new(self.seed, feed.position());
        let examples = feed.next(2 * self.settings.batch)?;
        let (encoded, others) = examples.split_at(self.settings.batch);
        let encoded = Pairs::<B>::of(encoded, self.space, &self.device)?;
        let others = Pairs::<B>::of(others, self.space, &self.device)?;
        let rate = constant_then_linear(self.settings.rate, progress);
        let settings = self.settings.clone();

        let code = self.encoder.network.forward(encoded.truth.clone());
        let z = code.draw(&mut random);
        let reconstructed = encoded.make(&self.generator.network, self.space, &z);
        let seen = self.judged(&encoded, reconstructed.clone());
        let fools_first = least_squares(self.of_encoded.frozen().forward(seen), 1.0);
        let difference = (encoded.truth.clone() - reconstructed.clone()).abs().mean();

        let query = random.normals(encoded.len() * CODE_VALUES);
        let data = TensorData::new(query.clone(), [encoded.len(), CODE_VALUES]);
        let z: Tensor<B, 2> = Tensor::from_data(data, &self.device);
        let made = encoded.make(&self.generator.network, self.space, &z);
        // The discriminator judges the output of the query alone.
        let seen = self.judged(&encoded, made.clone());
        let fools_second = least_squares(self.of_random.frozen().forward(seen), 1.0);

        let mut loss = fools_first
            + fools_second
            + difference * settings.reconstruction
            + code.divergence() * settings.divergence;
        if settings.contrast > 0.0 {
            let contrast = self.contrast(&encoded, &query, &made, &mut random);
            loss = loss + contrast * settings.contrast;
        }
        let value = number(&loss);
        let mut gradients = loss.backward();
        self.generator.step(&mut gradients, rate);
        self.encoder.step(&mut gradients, rate);

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

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn_flex::Flex;

    use super::*;

    #[test]
    fn the_contrast_is_the_cross_entropy_of_the_positive() {
        type B = Autodiff<Flex>;
        let device = Default::default();
        let query = Tensor::<B, 3>::from_floats([[[1.0, 0.0]], [[0.0, 2.0]]], &device);
        let keys = Tensor::<B, 3>::from_floats(
            [[[1.0, 5.0], [0.0, 1.0]], [[3.0, 1.0], [0.0, -1.0]]],
            &device,
        );
        // Logits (1, 0) and (2, -2).
        let expected = ((1.0 + (-1.0f64).exp()).ln() + (1.0 + (-4.0f64).exp()).ln()) / 2.0;
        let found = contrast_of(query, keys, 1.0).into_scalar();
        assert!((f64::from(found) - expected).abs() < 1e-6);
    }

    #[test]
    fn the_positive_code_is_near_and_no_value_of_a_negative_one_is() {
        let mut random = Random::new(0, 0);
        let z = random.normals(40 * CODE_VALUES);
        let codes = other_codes(&z, 5, &mut random);
        assert_eq!(codes.len(), 5 * z.len());
        for (query, others) in z.chunks(CODE_VALUES).zip(codes.chunks(5 * CODE_VALUES)) {
            for (k, other) in others.chunks(CODE_VALUES).enumerate() {
                let near = query
                    .iter()
                    .zip(other)
                    .map(|(a, b)| (a - b).abs() < 1.001 * RADIUS);
                let near: Vec<bool> = near.collect();
                assert!(
                    if k == 0 {
                        near.iter().all(|n| *n)
                    } else {
                        true
                    },
                    "{near:?}"
                );
                let below = query.iter().zip(other).any(|(a, b)| (a - b).abs() < RADIUS);
                assert!(k == 0 || !below);
            }
        }
    }
}
