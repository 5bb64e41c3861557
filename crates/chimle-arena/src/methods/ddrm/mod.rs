//! DDRM: Kawar et al., "Denoising Diffusion Restoration Models", NeurIPS 2022, arXiv 2201.11793; for JPEG arXiv 2209.11888.
//!
//! An unconditional diffusion model of the outputs (DDPM: Ho et al. 2020) is trained. Samples of the posterior given a
//! degraded image y = Hx + σ_Y n then need no training for the task. With the singular value decomposition H = U S V^T,
//! the sampler works on the components of V^T x. The formulas and settings are those of the authors' releases (commits
//! 32b6b3c and e3704ce): η = 0.85, η_b = 1 and 20 time steps; for JPEG, η = 1 and η_b = 0.4. The numbers of the paper's
//! equations (4 and 5) and of its theorem (3.2) are not verified.
//!
//! DDRM applies to JPEG and to tasks with such an H. It does not apply to other tasks, for example night to day.
//!
//! Scaled down: the U-Net has width 32 and reads 2x2 pixels as channels. Different from the releases: in colorization,
//! the model's images are in network Lab, so that H selects the lightness, and σ_Y covers the rounding of inputs to 8
//! bits. The U-Net F predicts ε_θ = (1 - ᾱ)^(1/2) x_t + ᾱ^(1/2) F(x_t, t) (Salimans and Ho 2022), and predictions of x
//! are clipped to [-1, 1]. After minutes of training, a network that predicts ε_θ directly has a large error at the
//! sampler's first time steps.

mod operator;

use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use chimle_core::TaskHandle;
use chimle_core::data::{
    ChromaSubsampling, DECOMPRESSION_QUALITY, DataError, Example, InputSize, OutputSpace, Planes,
    jpeg, planes_from_tensor, stack,
};
use chimle_kernels::{Kernels, TrainingBackend};
use serde::{Deserialize, Serialize};

use super::imle::number;
use super::ndm::{RowNoise, check_sides};
use crate::backbone::sample_rows;
use crate::context::Context;
use crate::error::Error;
use crate::feed::Feed;
use crate::method::{Costs, Method};
use crate::networks::{Unet, UnetConfig};
use crate::random::Random;
use crate::space::{Space, signed_inputs};
use crate::trained::Trained;
use operator::Spectrum;

/// The number of time steps of the diffusion.
const TIMES: usize = 1000;
/// β at the first and at the last time step. β is linear in between.
const BETAS: (f64, f64) = (1e-4, 0.02);
/// The standard deviation of the rounding error of 8-bit values, scaled to [-1, 1].
const ROUNDING: f64 = 2.0 / 255.0 / 3.464;

/// The settings of DDRM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DdrmSettings {
    /// The number of images in a training step.
    pub batch: usize,
    /// Adam's learning rate.
    pub rate: f64,
    /// The decay of the moving average of the weights. Samples come from the average.
    pub average: f64,
    /// The number of time steps of the sampler.
    pub times: usize,
    /// The sampler's η. The default is that of the release: 0.85, and 1 for JPEG.
    pub eta: Option<f64>,
    /// The sampler's η_b. The default is that of the release: 1, and 0.4 for JPEG.
    pub eta_b: Option<f64>,
    /// The time step, out of 1,000, at which the sampler starts for JPEG.
    pub start: usize,
    /// The network.
    pub unet: UnetConfig,
}

impl Default for DdrmSettings {
    fn default() -> Self {
        Self {
            batch: 8,
            rate: 5e-4,
            average: 0.999,
            times: 20,
            eta: None,
            eta_b: None,
            start: 300,
            unet: UnetConfig::default(),
        }
    }
}

/// DDRM.
pub struct Ddrm<B: TrainingBackend> {
    task: TaskHandle,
    space: Space,
    settings: DdrmSettings,
    degradation: Degradation<B::InnerBackend>,
    diffusion: Diffusion,
    network: Trained<B, Unet<B>>,
    seed: u64,
    device: B::Device,
}

/// The kind of degradation, which decides how the posterior is sampled.
enum Degradation<B: Kernels> {
    /// A linear degradation, with its singular value decomposition.
    Linear(Spectrum<B>),
    /// JPEG compression, which is not linear.
    Jpeg,
}

/// The noise schedule: ᾱ at each time step.
struct Diffusion {
    alpha_bar: Vec<f64>,
}

impl Diffusion {
    fn new() -> Self {
        let mut product = 1.0;
        let alpha_bar = (0..TIMES).map(|t| {
            let (first, last) = BETAS;
            product *= 1.0 - (first + (last - first) * t as f64 / (TIMES - 1) as f64);
            product
        });
        Self {
            alpha_bar: alpha_bar.collect(),
        }
    }

    /// Returns ᾱ at a time step. `None` stands for the data, where ᾱ is 1.
    fn alpha_bar(&self, time: Option<usize>) -> f64 {
        time.map_or(1.0, |time| self.alpha_bar[time])
    }

    /// Returns σ_t = ((1 - ᾱ_t) / ᾱ_t)^(1/2), the noise of x_t / ᾱ_t^(1/2).
    fn sigma(&self, time: Option<usize>) -> f64 {
        let alpha_bar = self.alpha_bar(time);
        ((1.0 - alpha_bar) / alpha_bar).sqrt()
    }

    /// Returns ᾱ^(1/2) and (1 - ᾱ)^(1/2) at each row's time, `[n, 1, 1, 1]`, which can be multiplied with images.
    fn shares<B: Kernels>(&self, times: &[usize], device: &B::Device) -> [Tensor<B, 4>; 2] {
        let alpha_bars = || times.iter().map(|&time| self.alpha_bar(Some(time)));
        let rows = |values: Vec<f32>| {
            Tensor::from_data(TensorData::new(values, [times.len(), 1, 1, 1]), device)
        };
        [
            rows(alpha_bars().map(|a| a.sqrt() as f32).collect()),
            rows(alpha_bars().map(|a| (1.0 - a).sqrt() as f32).collect()),
        ]
    }

    /// Computes ε_θ(x_t, t) = (1 - ᾱ)^(1/2) x_t + ᾱ^(1/2) F(x_t, t).
    fn noise<B: Kernels>(
        &self,
        network: &Unet<B>,
        x: Tensor<B, 4>,
        times: &[usize],
    ) -> Tensor<B, 4> {
        let device = x.device();
        let told: Vec<f32> = times.iter().map(|&time| time as f32).collect();
        let told = Tensor::from_data(TensorData::new(told, [times.len()]), &device);
        let [of_data, of_noise] = self.shares::<B>(times, &device);
        network.forward(x.clone(), told) * of_data + x * of_noise
    }
}

/// Returns about `count` evenly spaced time steps below `end`, from the last to the first.
fn uniform_times(end: usize, count: usize) -> Vec<usize> {
    let stride = (end / count.clamp(1, end)).max(1);
    let mut times: Vec<usize> = (0..end).step_by(stride).collect();
    times.reverse();
    times
}

impl<B: TrainingBackend> Ddrm<B> {
    /// Creates the method with fresh weights.
    ///
    /// # Errors
    ///
    /// If the task's degradation is neither linear nor JPEG, the network does not fit the image, or a setting is impossible.
    pub fn new(context: &Context<B>, settings: DdrmSettings) -> Result<Self, Error> {
        check_sides(context, &settings.unet)?;
        if settings.times == 0 || settings.start == 0 || settings.start > TIMES {
            let reason = format!("must be in 1..={TIMES}, and `times` at least 1");
            return Err(Error::setting("start", reason));
        }
        let task = &context.task;
        let degradation = match (task.output_space(), task.input_size(), task.name()) {
            (OutputSpace::Lab, ..) => {
                Degradation::Linear(Spectrum::first_channel(&context.sizes, &context.device))
            }
            (OutputSpace::Rgb, InputSize::Reduced, _) => {
                Degradation::Linear(Spectrum::bicubic(&context.sizes, &context.device)?)
            }
            (.., "decompression") => Degradation::Jpeg,
            _ => {
                return Err(Error::DoesNotApply {
                    method: "ddrm",
                    task: task.to_string(),
                    reason: "its degradation is neither linear nor JPEG",
                });
            }
        };
        let _beginning = context.seed_weights();
        let network = settings.unet.init(3, 3, &context.device);
        Ok(Self {
            task: task.clone(),
            space: context.space(),
            degradation,
            diffusion: Diffusion::new(),
            network: Trained::new(network, (0.9, 0.999)).with_average(settings.average),
            settings,
            seed: context.seed,
            device: context.device.clone(),
        })
    }

    /// Predicts the noise ε̂ in x_t and the data x̂, clipped.
    fn predict(
        &self,
        network: &Unet<B::InnerBackend>,
        x: Tensor<B::InnerBackend, 4>,
        time: usize,
    ) -> Prediction<B::InnerBackend> {
        let rows = x.dims()[0];
        let noise = self.diffusion.noise(network, x.clone(), &vec![time; rows]);
        let alpha_bar = self.diffusion.alpha_bar(Some(time));
        let data = (x - noise.clone() * (1.0 - alpha_bar).sqrt()) / alpha_bar.sqrt();
        Prediction {
            noise,
            data: data.clamp(-1.0, 1.0),
        }
    }

    /// Draws signed images from the posterior given a linear degradation (DDRM's definition).
    fn draw_linear(
        &self,
        spectrum: &Spectrum<B::InnerBackend>,
        examples: &[&Example],
        noise: &mut RowNoise<'_, B::InnerBackend>,
    ) -> Tensor<B::InnerBackend, 4> {
        let network = self.network.evaluated();
        let (eta, eta_b) = (
            self.settings.eta.unwrap_or(0.85),
            self.settings.eta_b.unwrap_or(1.0),
        );
        // The observed components, ȳ.
        let observed = spectrum.observed(examples, &self.device);
        let [_, c, h, w] = observed.dims();
        let times = uniform_times(TIMES, self.settings.times);
        let sigma = self.diffusion.sigma(Some(times[0]));
        let first = Coefficients::of(spectrum.singular(), &self.device, |s| {
            if s * sigma > ROUNDING {
                [
                    0.0,
                    1.0,
                    0.0,
                    (sigma * sigma - (ROUNDING / s).powi(2)).sqrt(),
                ]
            } else {
                [0.0, 0.0, 0.0, sigma]
            }
        });
        let zero = || observed.zeros_like();
        // x̄ = V^T x_t / ᾱ_t^(1/2)
        let mut components =
            first.combine([zero(), observed.clone(), zero(), noise.next([c, h, w])]);
        for (k, &time) in times.iter().enumerate() {
            let next = times.get(k + 1).copied();
            let alpha_bar = self.diffusion.alpha_bar(Some(time));
            let x = spectrum.image(components) * alpha_bar.sqrt();
            let predicted = self.predict(&network, x, time);
            let sigma = self.diffusion.sigma(next);
            if next.is_none() {
                return predicted.data;
            }
            let coefficients = Coefficients::of(spectrum.singular(), &self.device, |s| {
                let kept = (1.0 - eta * eta).sqrt() * sigma;
                if s == 0.0 {
                    [1.0, 0.0, kept, eta * sigma]
                } else if s * sigma < ROUNDING {
                    let towards = kept * s / ROUNDING;
                    [1.0 - towards, towards, 0.0, eta * sigma]
                } else {
                    let rest = sigma * sigma - (eta_b * ROUNDING / s).powi(2);
                    [1.0 - eta_b, eta_b, 0.0, rest.max(0.0).sqrt()]
                }
            });
            components = coefficients.combine([
                spectrum.components(predicted.data),
                observed.clone(),
                spectrum.components(predicted.noise),
                noise.next([c, h, w]),
            ]);
        }
        spectrum.image(components)
    }

    /// Draws signed images from the posterior given a JPEG image.
    fn draw_jpeg(
        &self,
        examples: &[&Example],
        noise: &mut RowNoise<'_, B::InnerBackend>,
    ) -> Result<Tensor<B::InnerBackend, 4>, Error> {
        let network = self.network.evaluated();
        let (eta, eta_b) = (
            self.settings.eta.unwrap_or(1.0),
            self.settings.eta_b.unwrap_or(0.4),
        );
        let compressed: Tensor<B::InnerBackend, 4> = signed_inputs(examples, &self.device)?;
        let [_, c, h, w] = compressed.dims();
        let times = uniform_times(self.settings.start, self.settings.times);
        let scale = |time| {
            let alpha_bar: f64 = self.diffusion.alpha_bar(time);
            (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt())
        };
        let (of_data, of_noise) = scale(Some(times[0]));
        let mut x = compressed.clone() * of_data + noise.next([c, h, w]) * of_noise;
        for (k, &time) in times.iter().enumerate() {
            let predicted = self.predict(&network, x, time);
            // u = x̂ - Dec(Enc(x̂)) + Dec(Enc(Y))
            let again = self.compressed(&predicted.data)?;
            let corrected = predicted.data.clone() - again + compressed.clone();
            let data = corrected * eta_b + predicted.data * (1.0 - eta_b);
            let (of_data, of_noise) = scale(times.get(k + 1).copied());
            let fresh = noise.next([c, h, w]) * eta + predicted.noise * (1.0 - eta);
            x = data * of_data + fresh * of_noise;
        }
        Ok(x)
    }

    /// Compresses and decompresses signed images: Dec(Enc(x)).
    fn compressed(
        &self,
        images: &Tensor<B::InnerBackend, 4>,
    ) -> Result<Tensor<B::InnerBackend, 4>, Error> {
        let images = planes_from_tensor((images.clone() + 1.0) / 2.0).into_iter();
        let compressed = images.map(|image| {
            let image = jpeg(
                &image.to_rgb(),
                DECOMPRESSION_QUALITY,
                ChromaSubsampling::Half,
            )?;
            Ok(Planes::from_rgb(&image))
        });
        let compressed = compressed.collect::<Result<Vec<Planes>, DataError>>()?;
        let compressed: Tensor<B::InnerBackend, 4> =
            stack(&compressed.iter().collect::<Vec<_>>(), &self.device);
        Ok(compressed * 2.0 - 1.0)
    }
}

/// The network's prediction from x_t.
struct Prediction<B: Kernels> {
    noise: Tensor<B, 4>,
    data: Tensor<B, 4>,
}

/// The factors of x̂, ȳ, ε̂ and new noise in the next components.
struct Coefficients<B: Kernels>([Tensor<B, 4>; 4]);

impl<B: Kernels> Coefficients<B> {
    /// Computes the factors of every component from its singular value.
    fn of(singular: &Planes, device: &B::Device, factors: impl Fn(f64) -> [f64; 4]) -> Self {
        let each: Vec<[f64; 4]> = singular
            .data
            .iter()
            .map(|&s| factors(f64::from(s)))
            .collect();
        let shape = [1, singular.channels, singular.height, singular.width];
        Self([0, 1, 2, 3].map(|k| {
            let values: Vec<f32> = each.iter().map(|factors| factors[k] as f32).collect();
            Tensor::from_data(TensorData::new(values, shape), device)
        }))
    }

    fn combine(self, parts: [Tensor<B, 4>; 4]) -> Tensor<B, 4> {
        let products = self
            .0
            .into_iter()
            .zip(parts)
            .map(|(factor, part)| part * factor);
        let sum = products.reduce(|sum, product| sum + product);
        sum.expect("there are four parts")
    }
}

impl<B: TrainingBackend> Method for Ddrm<B> {
    /// Takes a training step of the diffusion model. The loss is the mean of |ε - ε_θ(x_t, t)|^2.
    fn step(&mut self, feed: &mut Feed, _: f64) -> Result<f32, Error> {
        let mut random = Random::new(self.seed, feed.position());
        let examples = feed.next(self.settings.batch)?;
        let examples: Vec<&Example> = examples.iter().collect();
        let data: Tensor<B, 4> = self.space.signed_truths(&examples, &self.device);
        let times: Vec<usize> = examples.iter().map(|_| random.below(TIMES)).collect();
        let noise: Tensor<B, 4> = random.normal(data.dims(), &self.device);
        let [of_data, of_noise] = self.diffusion.shares::<B>(&times, &self.device);
        let noisy = data * of_data + noise.clone() * of_noise;
        let found = self.diffusion.noise(&self.network.network, noisy, &times);
        let loss = (found - noise).square().mean();
        let value = number(&loss);
        self.network.step(&mut loss.backward(), self.settings.rate);
        Ok(value)
    }

    fn sample(
        &self,
        inputs: &[&Example],
        samples: usize,
        seed: u64,
    ) -> Result<Vec<Vec<Planes>>, Error> {
        let mut failed = None;
        let drawn = sample_rows(&self.task, inputs, samples, |examples, candidates| {
            let mut noise = RowNoise::new(seed, candidates, &self.device);
            let signed = match &self.degradation {
                Degradation::Linear(spectrum) => self.draw_linear(spectrum, examples, &mut noise),
                Degradation::Jpeg => self
                    .draw_jpeg(examples, &mut noise)
                    .unwrap_or_else(|error| {
                        failed = Some(error);
                        self.space
                            .signed_truths(examples, &self.device)
                            .zeros_like()
                    }),
            };
            self.space.rgb(signed)
        });
        failed.map_or(Ok(drawn), Err)
    }

    fn costs(&self) -> Costs {
        let times = match self.degradation {
            Degradation::Linear(_) => uniform_times(TIMES, self.settings.times),
            Degradation::Jpeg => uniform_times(self.settings.start, self.settings.times),
        };
        Costs {
            parameters: self.network.parameters(),
            training_parameters: 0,
            evaluations_per_sample: times.len(),
            is_stochastic: true,
        }
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        self.network.save(folder, "network")
    }

    fn load(&mut self, folder: &Path) -> Result<(), Error> {
        self.network.load(folder, "network", &self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_releases() {
        let times = uniform_times(TIMES, 20);
        assert_eq!((times.len(), times[0], times[19]), (20, 950, 0));
        let of_jpeg = uniform_times(300, 20);
        assert_eq!((of_jpeg.len(), of_jpeg[0]), (20, 285));
        let diffusion = Diffusion::new();
        assert!((diffusion.alpha_bar(Some(0)) - 0.9999).abs() < 1e-9);
        assert!((diffusion.alpha_bar(Some(999)) - 4.036e-5).abs() < 1e-7);
        assert_eq!(diffusion.sigma(None), 0.0);
    }
}
