//! MoNCE: Zhan et al., "Modulated Contrast for Versatile Image Synthesis", CVPR 2022, arXiv 2203.09333.
//!
//! A contrastive loss of patches replaces the perceptual loss of a conditional GAN. A patch of the output should be more
//! similar to the truth's patch at the same position than to the truth's other patches. At the deepest layer, each
//! negative is weighted by optimal transport. The coefficients are those of the authors' release for paired data (commit
//! 6672c29). The loss is
//!
//! hinge GAN + 10 feature matching (L1) + λ MoNCE, with λ from 10 to 100. MoNCE is a sum over five layers of a frozen VGG
//! with the weights 1/32, 1/16, 1/8, 1/4 and 1. Features are divided by their length, and the temperature is 0.07.
//!
//! The release can draw different samples only if its VAE is switched on: an encoder of y with a divergence of weight
//! 0.05. Here the VAE is on by default, and `vae = false` gives the deterministic form. It is not verified how the authors
//! of CHIMLE drew samples of MoNCE. The numbers of the equations (section 3) are not verified either.
//!
//! Scaled down: the shared generator replaces SPADE's, and the discriminator has no spectral normalization. Features are
//! from VGG16 after relu1_2 to relu5_3, not from VGG19 after relu1_1 to relu5_1. The release multiplies the transport
//! weights by 128 for its 256 positions; here the factor is half the number of positions.

use std::path::Path;

use burn::module::AutodiffModule;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Int, Tensor, TensorData};
use chimle_core::TaskHandle;
use chimle_core::data::{Example, Planes};
use chimle_core::nn::Generator;
use chimle_core::perceptual::Vgg16;
use chimle_kernels::{TrainingBackend, normalize_channels};
use serde::{Deserialize, Serialize};

use super::adversarial::{hinge_of_generator, hinge_of_made, hinge_of_real, judged};
use super::bicycle_gan::IMAGE;
use super::imle::number;
use super::pairs::Pairs;
use crate::backbone::{CODE_VALUES, backbone, sample_one_output, sample_with_code};
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
const BETAS: (f32, f32) = (0.0, 0.9);
/// The weights of VGG's five blocks.
const LAYERS: [f64; 5] = [1.0 / 32.0, 1.0 / 16.0, 1.0 / 8.0, 1.0 / 4.0, 1.0];
/// The temperature of the contrastive loss.
const TEMPERATURE: f64 = 0.07;
/// The largest number of positions per layer.
const POSITIONS: usize = 256;
/// The similarity of a patch to its own position in the transport problem. It is so low that this position gets no
/// weight.
const OWN_PLACE: f32 = -10.0;
/// The number of Sinkhorn iterations.
const ITERATIONS: usize = 50;
/// Keeps logarithms and quotients finite.
const EPSILON: f64 = 1e-10;

/// The settings of MoNCE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MonceSettings {
    /// The number of pairs in a step.
    pub batch: usize,
    /// Adam's learning rate of the generator at the beginning.
    pub rate: f64,
    /// Adam's learning rate of the discriminator at the beginning.
    pub discriminator_rate: f64,
    /// The weight of feature matching.
    pub feature_matching: f64,
    /// The weight of the contrastive loss.
    pub contrast: f64,
    /// Whether outputs depend on a random code. If not, the method has one output per input.
    pub vae: bool,
    /// The weight of the divergence of E(y) from the prior.
    pub divergence: f64,
    /// The discriminator, which sees the input as well as the output.
    pub discriminator: DiscriminatorConfig,
    /// The encoder.
    pub encoder: EncoderConfig,
}

impl Default for MonceSettings {
    fn default() -> Self {
        Self {
            batch: 4,
            rate: 1e-4,
            discriminator_rate: 4e-4,
            feature_matching: 10.0,
            contrast: 10.0,
            vae: true,
            divergence: 0.05,
            discriminator: DiscriminatorConfig::default(),
            encoder: EncoderConfig::default(),
        }
    }
}

/// MoNCE.
pub struct Monce<B: TrainingBackend> {
    task: TaskHandle,
    space: Space,
    settings: MonceSettings,
    generator: Trained<B, Generator<B>>,
    encoder: Trained<B, Encoder<B>>,
    discriminator: Trained<B, Discriminator<B>>,
    vgg16: Vgg16<B>,
    seed: u64,
    device: B::Device,
}

impl<B: TrainingBackend> Monce<B> {
    /// Creates the method with fresh weights. `vgg16` computes the features of the contrastive loss.
    pub fn new(context: &Context<B>, settings: MonceSettings, vgg16: Vgg16<B>) -> Self {
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
            encoder: Trained::new(settings.encoder.init(IMAGE, CODE_VALUES, device), BETAS),
            discriminator: Trained::new(network, BETAS),
            settings,
            vgg16,
            seed: context.seed,
            device: device.clone(),
        }
    }

    /// Computes the contrastive loss of generated and true images, both as signed values.
    fn contrast(
        &self,
        made: Tensor<B, 4>,
        truth: Tensor<B, 4>,
        random: &mut Random,
    ) -> Tensor<B, 1> {
        let rgb = |signed| self.space.rgb(signed).clamp(0.0, 1.0);
        let of_made = self.vgg16.forward(rgb(made));
        let of_truth = self.vgg16.valid().forward(rgb(truth).inner());
        let deepest = LAYERS.len() - 1;
        let layers = of_made.into_iter().zip(of_truth).enumerate();
        let losses = layers.map(|(k, (made, truth))| {
            let [_, _, h, w] = made.dims();
            let mut positions = random.order(h * w);
            positions.truncate(POSITIONS);
            let truth = Tensor::from_inner(truth);
            let patches = |map| patches_at::<B>(map, &positions);
            let modulated = k == deepest;
            patch_contrast(patches(made), patches(truth), modulated) * LAYERS[k]
        });
        let sum = losses.reduce(|sum, layer| sum + layer);
        sum.expect("VGG16 has five blocks")
    }
}

/// Selects positions of a feature map and divides their features by their length: `[n, c, h, w]` to `[n, positions, c]`.
fn patches_at<B: TrainingBackend>(map: Tensor<B, 4>, positions: &[usize]) -> Tensor<B, 3> {
    let [n, c, h, w] = map.dims();
    let device = map.device();
    let normalized = normalize_channels(map, EPSILON).reshape([n, c, h * w]);
    let indices: Vec<i64> = positions.iter().map(|&place| place as i64).collect();
    let indices =
        Tensor::<B, 1, Int>::from_data(TensorData::new(indices, [positions.len()]), &device);
    normalized.select(2, indices).swap_dims(1, 2)
}

/// Computes the contrastive loss of patches: the mean over patches of -log softmax of the similarities at the positive,
/// which is the truth's patch at the same position. Both arguments are `[n, positions, c]` with features of length 1. The
/// truth receives no gradient.
///
/// If `modulated`, each negative is weighted by optimal transport, and the positive by the largest of these weights.
fn patch_contrast<B: TrainingBackend>(
    made: Tensor<B, 3>,
    truth: Tensor<B, 3>,
    modulated: bool,
) -> Tensor<B, 1> {
    let [n, p, _] = made.dims();
    let device = made.device();
    let similarities = made.matmul(truth.swap_dims(1, 2));
    let own: Tensor<B, 3, Bool> = Tensor::<B, 2, Int>::eye(p, &device)
        .equal_elem(1)
        .unsqueeze::<3>()
        .expand([n, p, p]);
    let mut logits = similarities.clone();
    if modulated && p > 1 {
        let weights = transport::<B>(similarities, own.clone());
        let positive = weights.clone().max_dim(2).expand([n, p, p]);
        let weights = weights.mask_where(own.clone(), positive);
        logits = logits + (weights + EPSILON).log() * TEMPERATURE;
    }
    let shares = log_softmax(logits / TEMPERATURE, 2);
    let positive = shares.mask_fill(own.bool_not(), 0.0);
    -positive.sum() / (n * p) as f64
}

/// Computes the weights of the negatives, `[n, p, p]`. Sinkhorn iterations turn the similarities, without those of equal
/// positions, into a matrix whose rows and columns sum to 1. The result is multiplied by half the number of positions. No
/// gradient flows through the weights.
fn transport<B: TrainingBackend>(
    similarities: Tensor<B, 3>,
    own: Tensor<B, 3, Bool>,
) -> Tensor<B, 3> {
    let positions = similarities.dims()[1];
    let similarities = similarities.detach().mask_fill(own, OWN_PLACE);
    let mut weights = similarities.exp();
    for _ in 0..ITERATIONS {
        weights = weights.clone() / (weights.sum_dim(2) + EPSILON);
        weights = weights.clone() / (weights.sum_dim(1) + EPSILON);
    }
    weights * (positions as f64 / 2.0)
}

impl<B: TrainingBackend> Method for Monce<B> {
    fn step(&mut self, feed: &mut Feed, progress: f64) -> Result<f32, Error> {
        let mut random = Random::new(self.seed, feed.position());
        let examples = feed.next(self.settings.batch)?;
        let pairs = Pairs::<B>::of(&examples, self.space, &self.device)?;
        let settings = self.settings.clone();
        let rate = |rate| constant_then_linear(rate, progress);

        let (z, divergence) = if settings.vae {
            let code = self.encoder.network.forward(pairs.truth.clone());
            (code.draw(&mut random), Some(code.divergence()))
        } else {
            (
                Tensor::zeros([pairs.len(), CODE_VALUES], &self.device),
                None,
            )
        };
        let made = pairs.make(&self.generator.network, self.space, &z);
        let judge = self.discriminator.frozen();
        let layers = |image| judge.layers(judged(Some(&pairs.input), image));
        let of_made = layers(made.clone());
        let of_truth = layers(pairs.truth.clone());
        let verdicts = of_made
            .iter()
            .map(|scale| scale[scale.len() - 1].clone())
            .collect();
        let matching = feature_matching(&of_made, &of_truth);
        let contrast = self.contrast(made.clone(), pairs.truth.clone(), &mut random);
        let mut loss = hinge_of_generator(verdicts)
            + matching * settings.feature_matching
            + contrast * settings.contrast;
        if let Some(divergence) = divergence {
            loss = loss + divergence * settings.divergence;
        }
        let value = number(&loss);
        let mut gradients = loss.backward();
        self.generator.step(&mut gradients, rate(settings.rate));
        if settings.vae {
            self.encoder.step(&mut gradients, rate(settings.rate));
        }

        let network = &self.discriminator.network;
        let verdicts = |image| network.forward(judged(Some(&pairs.input), image));
        let loss =
            hinge_of_made(verdicts(made.detach())) + hinge_of_real(verdicts(pairs.truth.clone()));
        let rate = rate(settings.discriminator_rate);
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
        Ok(if self.settings.vae {
            sample_with_code(&generator, &self.task, inputs, samples, seed)
        } else {
            sample_one_output(&generator, &self.task, inputs, samples)
        })
    }

    fn costs(&self) -> Costs {
        let encoder = if self.settings.vae {
            self.encoder.parameters()
        } else {
            0
        };
        Costs {
            parameters: self.generator.parameters(),
            training_parameters: encoder + self.discriminator.parameters(),
            evaluations_per_sample: 1,
            is_stochastic: self.settings.vae,
        }
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        self.generator.save(folder, "generator")?;
        self.encoder.save(folder, "encoder")?;
        self.discriminator.save(folder, "discriminator")
    }

    fn load(&mut self, folder: &Path) -> Result<(), Error> {
        self.generator.load(folder, "generator", &self.device)?;
        self.encoder.load(folder, "encoder", &self.device)?;
        self.discriminator
            .load(folder, "discriminator", &self.device)
    }
}

/// Computes the mean absolute difference of the discriminator's feature maps without the verdicts, averaged over scales
/// and summed over layers. The maps of the truth receive no gradient.
fn feature_matching<B: TrainingBackend>(
    made: &[Vec<Tensor<B, 4>>],
    truth: &[Vec<Tensor<B, 4>>],
) -> Tensor<B, 1> {
    let scales = made.len() as f64;
    let pairs = made.iter().zip(truth).flat_map(|(made, truth)| {
        let inner = made.len() - 1;
        made.iter().zip(truth).take(inner)
    });
    let differences = pairs.map(|(made, truth)| {
        let difference = made.clone() - truth.clone().detach();
        difference.abs().mean() / scales
    });
    let sum = differences.reduce(|sum, layer| sum + layer);
    sum.expect("a discriminator has layers")
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn::tensor::Distribution;
    use burn_flex::Flex;

    use super::*;

    type B = Autodiff<Flex>;

    fn patches(seed: u64) -> Tensor<B, 3> {
        let mut random = Random::new(seed, 0);
        let map: Tensor<B, 4> = random.normal([2, 6, 3, 3], &Default::default());
        patches_at(map, &(0..9).collect::<Vec<_>>())
    }

    #[test]
    fn transport_gives_rows_and_columns_of_one_sum_and_nothing_to_the_own_place() {
        let (made, truth) = (patches(1), patches(2));
        let similarities = made.matmul(truth.swap_dims(1, 2));
        let eye = Tensor::<B, 2, Int>::eye(9, &Default::default());
        let own = eye.equal_elem(1).unsqueeze::<3>().expand([2, 9, 9]);
        let weights = transport::<B>(similarities, own);
        for sums in [weights.clone().sum_dim(1), weights.clone().sum_dim(2)] {
            for sum in sums.into_data().iter::<f32>() {
                assert!((sum - 4.5).abs() < 1e-3, "{sum}");
            }
        }
        let diagonal = weights.slice([0..1, 4..5, 4..5]).into_scalar();
        assert!(diagonal < 1e-3, "{diagonal}");
    }

    #[test]
    fn patches_in_their_places_have_the_smallest_contrast() {
        let truth = patches(1);
        for modulated in [false, true] {
            let value = |made: Tensor<B, 3>| {
                f64::from(patch_contrast(made, truth.clone(), modulated).into_scalar())
            };
            let shifted = Tensor::cat(
                vec![truth.clone().narrow(1, 1, 8), truth.clone().narrow(1, 0, 1)],
                1,
            );
            let (same, other, moved) = (value(truth.clone()), value(patches(5)), value(shifted));
            assert!(
                same < 0.5 * other && other < moved,
                "{same} {other} {moved}"
            );
        }
        // Without modulation, the loss is the cross entropy.
        let random = Tensor::<B, 3>::random(
            [1, 4, 5],
            Distribution::Normal(0.0, 1.0),
            &Default::default(),
        );
        let found = f64::from(patch_contrast(random.clone(), random.clone(), false).into_scalar());
        let values: Vec<f32> = random.into_data().to_vec().unwrap();
        let dot = |i: usize, j: usize| -> f64 {
            (0..5)
                .map(|k| f64::from(values[5 * i + k] * values[5 * j + k]))
                .sum()
        };
        let expected: f64 = (0..4)
            .map(|i| {
                let sum: f64 = (0..4)
                    .map(|j| ((dot(i, j) - dot(i, i)) / TEMPERATURE).exp())
                    .sum();
                sum.ln() / 4.0
            })
            .sum();
        assert!(
            (found - expected).abs() < 1e-3 * expected.max(1.0),
            "{found} {expected}"
        );
    }
}
