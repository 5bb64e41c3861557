//! A denoising diffusion model (Ho, Jain, Abbeel 2020) of points.
//!
//! The forward process is q(x_t | x_{t-1}) = N(√(1 - β_t) x_{t-1}, β_t). The reverse process is p(x_{t-1} | x_t) =
//! N(μ(x_t, t), σ_t²) with p(x_T) = N(0, 1), and μ comes from a network that predicts the noise. Unlike in Ho et
//! al., each σ_t is set to the value that maximizes the variational bound. With few steps, their choice σ_t² = β_t
//! blurs the samples, which would make the comparison unfair.

use std::f64::consts::FRAC_PI_2;

use burn::module::{AutodiffModule, Module, Param};
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use toy::{Flex, Mixture, Noise, Perceptron, Training, adam, cosine_decay};

/// The number of features of a step that the network reads.
const STEP_FEATURES: usize = 9;
/// The number of sine and cosine pairs of each coordinate that the network reads. The shortest wavelength is an
/// eighth of the distance between modes. Without these waves, a small network needs very long to learn the
/// positions of narrow modes.
const WAVES: usize = 6;
/// The number of points from which σ_t is estimated.
const MEASURED: usize = 4096;

/// The noise schedule β_1 ... β_T and the quantities derived from it. Steps are counted from 1, and index 0 stands
/// for the data.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// ᾱ_t for t from 0 to T. Given x_0, x_t has the mean √ᾱ_t x_0 and the variance 1 - ᾱ_t.
    alpha_bar: Vec<f64>,
}

impl Schedule {
    /// Creates the cosine schedule of Nichol and Dhariwal 2021.
    pub fn cosine(steps: usize) -> Self {
        let f = |t: usize| {
            ((t as f64 / steps as f64 + 0.008) / 1.008 * FRAC_PI_2)
                .cos()
                .powi(2)
        };
        let mut alpha_bar = vec![1.0];
        for t in 1..=steps {
            let beta = (1.0 - f(t) / f(t - 1)).min(0.999);
            alpha_bar.push(alpha_bar[t - 1] * (1.0 - beta));
        }
        Self { alpha_bar }
    }

    /// Returns the number of steps, T.
    pub fn steps(&self) -> usize {
        self.alpha_bar.len() - 1
    }

    /// Returns ᾱ_t for t from 0 to T.
    pub fn alpha_bar(&self, t: usize) -> f64 {
        self.alpha_bar[t]
    }

    /// Returns β_t for t from 1 to T, the variance of q(x_t | x_{t-1}).
    pub fn beta(&self, t: usize) -> f64 {
        1.0 - self.alpha_bar[t] / self.alpha_bar[t - 1]
    }

    /// Returns the variance of q(x_{t-1} | x_t, x_0).
    fn posterior_variance(&self, t: usize) -> f64 {
        self.beta(t) * (1.0 - self.alpha_bar[t - 1]) / (1.0 - self.alpha_bar[t])
    }

    /// Returns the factor by which an error of the predicted noise changes μ.
    fn error_scale(&self, t: usize) -> f64 {
        self.beta(t) / ((1.0 - self.alpha_bar[t]) * (1.0 - self.beta(t))).sqrt()
    }

    /// Returns one number per step, `[T]`.
    fn tensor<B: Backend>(&self, value: impl Fn(usize) -> f64) -> Tensor<B, 1> {
        let values: Vec<f32> = (1..=self.steps()).map(|t| value(t) as f32).collect();
        let data = TensorData::new(values, [self.steps()]);
        Tensor::from_data(data, &Default::default())
    }

    /// Returns the features of each step that the network reads, `[T, STEP_FEATURES]`.
    fn features<B: Backend>(&self) -> Tensor<B, 2> {
        let of_step = |t: usize| {
            let angle = std::f64::consts::PI * t as f64 / self.steps() as f64;
            let waves = (0..4).flat_map(move |k| {
                let angle = angle * f64::from(1 << k);
                [angle.sin(), angle.cos()]
            });
            let signal_to_noise = (self.alpha_bar[t] / (1.0 - self.alpha_bar[t])).ln() / 4.0;
            waves.chain([signal_to_noise]).map(|value| value as f32)
        };
        let values: Vec<f32> = (1..=self.steps()).flat_map(of_step).collect();
        let data = TensorData::new(values, [self.steps(), STEP_FEATURES]);
        Tensor::from_data(data, &Default::default())
    }
}

/// The loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// The variational bound itself
    Bound,
    /// The squared error of the predicted noise, with the same weight for all steps (Ho et al.)
    Simple,
}

/// The training settings of a diffusion model.
#[derive(Debug, Clone)]
pub struct Config {
    /// The loss.
    pub loss: Loss,
    /// The width of each of the three hidden layers.
    pub hidden: usize,
    /// The number of points in a training step.
    pub batch: usize,
    /// The number of training steps.
    pub steps: usize,
    /// Adam's learning rate at the start. It falls to 0.
    pub rate: f64,
}

/// The scale of the parameter of log σ_t. Adam changes every parameter by about the learning rate, so log σ_t
/// changes ten times as fast as a weight.
const LOG_SIGMA_SCALE: f64 = 10.0;

/// The parameters of a diffusion model: the network that predicts the noise, and log σ_t divided by
/// [`LOG_SIGMA_SCALE`].
#[derive(Module, Debug)]
pub struct Denoiser<B: Backend> {
    network: Perceptron<B>,
    log_sigma: Param<Tensor<B, 1>>,
}

impl<B: Backend> Denoiser<B> {
    fn new(schedule: &Schedule, hidden: usize, dimension: usize, noise: &mut Noise) -> Self {
        let log_sigma = schedule.tensor(|t| 0.5 * schedule.beta(t).ln() / LOG_SIGMA_SCALE);
        let inputs = (1 + 2 * WAVES) * dimension + STEP_FEATURES;
        let widths = [inputs, hidden, hidden, hidden, dimension];
        Self {
            network: Perceptron::new(&widths, noise),
            log_sigma: Param::from_tensor(log_sigma),
        }
    }

    /// Predicts the noise in `x`, `[rows, dimension]`. `features` has the step's features for each row.
    fn noise(&self, x: Tensor<B, 2>, features: Tensor<B, 2>) -> Tensor<B, 2> {
        let waves = (0..WAVES).flat_map(|k| {
            let angle = x.clone() * (FRAC_PI_2 * f64::from(1 << k));
            [angle.clone().sin(), angle.cos()]
        });
        let input = [x.clone(), features].into_iter().chain(waves);
        self.network.forward(Tensor::cat(input.collect(), 1))
    }

    /// Returns μ(x, t) for all rows of `x` and one t.
    pub fn mean(&self, schedule: &Schedule, t: usize, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let features = schedule
            .features::<B>()
            .narrow(0, t - 1, 1)
            .repeat_dim(0, x.dims()[0]);
        let noise = self.noise(x.clone(), features);
        let scale = schedule.beta(t) / (1.0 - schedule.alpha_bar(t)).sqrt();
        (x - noise * scale) / (1.0 - schedule.beta(t)).sqrt()
    }

    /// Returns log σ_t, `[T]`.
    pub fn log_sigma(&self) -> Tensor<B, 1> {
        self.log_sigma.val() * LOG_SIGMA_SCALE
    }
}

/// A trained model.
#[derive(Debug, Clone)]
pub struct Diffusion {
    /// The noise schedule.
    pub schedule: Schedule,
    /// The parameters.
    pub denoiser: Denoiser<Training>,
}

/// Noised points `x`, with the noise in them and their steps counted from 0.
struct Noised<B: Backend> {
    steps: Tensor<B, 1, Int>,
    noise: Tensor<B, 2>,
    x: Tensor<B, 2>,
}

fn noised<B: Backend>(
    schedule: &Schedule,
    data: Tensor<B, 2>,
    steps: Tensor<B, 1, Int>,
    noise: &mut Noise,
) -> Noised<B> {
    let [rows, dimension] = data.dims();
    let noise = noise.normals::<B>(rows, dimension);
    let of_step = |value: Tensor<B, 1>| value.select(0, steps.clone()).unsqueeze_dim::<2>(1);
    let signal = of_step(schedule.tensor(|t| schedule.alpha_bar(t).sqrt()));
    let amount = of_step(schedule.tensor(|t| (1.0 - schedule.alpha_bar(t)).sqrt()));
    Noised {
        x: data * signal + noise.clone() * amount,
        steps,
        noise,
    }
}

/// Trains a model of `steps` diffusion steps.
pub fn train(config: &Config, mixture: &Mixture, steps: usize, mut noise: Noise) -> Diffusion {
    let schedule = Schedule::cosine(steps);
    let dimension = mixture.dimension();
    let mut denoiser = Denoiser::<Training>::new(&schedule, config.hidden, dimension, &mut noise);
    let mut optimizer = adam::<Training, Denoiser<Training>>(0.9);
    let features = schedule.features::<Training>();
    let posterior = schedule.tensor::<Training>(|t| schedule.posterior_variance(t));
    let error_scale = schedule.tensor::<Training>(|t| schedule.error_scale(t).powi(2));

    for step in 0..config.steps {
        let data = mixture.draw::<Training>(config.batch, &mut noise);
        let drawn = noise.indices(config.batch, steps);
        let noised = noised(&schedule, data, drawn, &mut noise);
        let guess = denoiser.noise(noised.x, features.clone().select(0, noised.steps.clone()));
        // The mean over axes makes the bound one per dimension.
        let error = (guess - noised.noise)
            .square()
            .mean_dim(1)
            .squeeze_dim::<1>(1);
        let loss = match config.loss {
            Loss::Simple => error.mean(),
            Loss::Bound => {
                // -log p(x_{t-1} | x_t), averaged over q(x_{t-1} | x_t, x_0).
                let of_step =
                    |value: &Tensor<Training, 1>| value.clone().select(0, noised.steps.clone());
                let log_sigma = of_step(&denoiser.log_sigma());
                let squares = of_step(&posterior) + of_step(&error_scale) * error;
                (log_sigma.clone() + squares * (log_sigma * -2.0).exp() * 0.5).mean()
            }
        };
        let gradients = GradientsParams::from_grads(loss.backward(), &denoiser);
        let rate = cosine_decay(config.rate, step, config.steps);
        denoiser = optimizer.step(rate, denoiser, gradients);
    }

    let mut trained = Diffusion { schedule, denoiser };
    trained.fit_sigma(mixture, &mut noise);
    trained
}

impl Diffusion {
    /// Sets each σ_t to the value that maximizes the bound: σ_t² is the mean of (x_{t-1} - μ(x_t))².
    fn fit_sigma(&mut self, mixture: &Mixture, noise: &mut Noise) {
        let features = self.schedule.features::<Flex>();
        let log_sigma = (1..=self.schedule.steps()).map(|t| {
            let data = mixture.draw::<Flex>(MEASURED, noise);
            let steps = Tensor::full([MEASURED], t as i64 - 1, &Default::default());
            let noised = noised(&self.schedule, data, steps, noise);
            let features = features.clone().select(0, noised.steps);
            let guess = self.denoiser.valid().noise(noised.x, features);
            let error = (guess - noised.noise).square().mean().into_scalar();
            let variance = self.schedule.posterior_variance(t)
                + self.schedule.error_scale(t).powi(2) * f64::from(error);
            (0.5 * variance.ln() / LOG_SIGMA_SCALE) as f32
        });
        let values: Vec<f32> = log_sigma.collect();
        let data = TensorData::new(values, [self.schedule.steps()]);
        self.denoiser.log_sigma = Param::from_tensor(Tensor::from_data(data, &Default::default()));
    }

    /// Returns σ_1 ... σ_T.
    pub fn sigma(&self) -> Vec<f64> {
        let log_sigma = self.denoiser.log_sigma().into_data().to_vec::<f32>();
        let log_sigma = log_sigma.expect("f32");
        log_sigma
            .iter()
            .map(|&value| f64::from(value).exp())
            .collect()
    }

    /// Returns μ(x, t) at points in one dimension.
    pub fn mean_at(&self, t: usize, x: &[f64]) -> Vec<f64> {
        let values: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let data = TensorData::new(values, [x.len(), 1]);
        let mean = self.denoiser.valid().mean(
            &self.schedule,
            t,
            Tensor::from_data(data, &Default::default()),
        );
        let mean = mean.into_data().to_vec::<f32>().expect("f32");
        mean.iter().map(|&value| f64::from(value)).collect()
    }

    /// Draws samples, row by row.
    pub fn sample(&self, samples: usize, dimension: usize, noise: &mut Noise) -> Vec<f32> {
        let sigma = self.sigma();
        let denoiser = self.denoiser.valid();
        let mut x = noise.normals::<Flex>(samples, dimension);
        for t in (1..=self.schedule.steps()).rev() {
            let step = noise.normals::<Flex>(samples, dimension) * sigma[t - 1];
            x = denoiser.mean(&self.schedule, t, x) + step;
        }
        x.into_data().to_vec().expect("f32")
    }
}
