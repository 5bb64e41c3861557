//! NDM: Batzolis et al., "Non-uniform Diffusion Models", arXiv 2207.09786.
//!
//! A conditional score model in which the target u and the condition c both diffuse, and c diffuses more slowly (the
//! paper's CMDE). The noise is σ(t) = σ_min (σ_max / σ_min)^t, and u and c have different σ_max. The settings are those
//! of the authors' release (commit c7bef56): values have a range of 1, and σ_min = 5e-3; σ_max is the square root of
//! the number of values for u, and 0.1 to 1 for c.
//!
//! Training: the network n(noisy u, noisy c, t) predicts σ s, where s is the score. The loss is C |n + ε|^2, averaged over
//! all values of u and c, where each of the two has its own C = 2 ln(σ_max / σ_min).
//!
//! Sampling: u starts as N(0, σ_max^2). At each time step, a Langevin step u += a s + (2a)^(1/2) ε with
//! a = 2 (0.15 |ε| / |s|)^2 is followed by a reverse step u += Δσ^2 s + Δσ ε. A new c_t = c + σ_c ε is drawn before each
//! evaluation. The result is the mean of the last step, without its noise. It is not verified which variant the authors
//! of CHIMLE compared with. The numbers of the equations (section 4) are not verified either.
//!
//! Scaled down: the U-Net has width 32 and reads 2x2 pixels as channels, in place of width 128. The sampler takes 50
//! time steps in place of 1,000, by the same formulas. Different from the release: the inputs and the output of the
//! network are scaled as in Karras et al. (2022, table 1). The release does not scale inputs, but in a few minutes of
//! training no network learns to predict noise of a size of 100 accurately. With d = 1/2 and F the U-Net, n = -σ u /
//! (σ^2 + d^2) + d F(u / (σ^2 + d^2)^(1/2)) / (σ^2 + d^2)^(1/2), and likewise for c. In a task that adds color, u is
//! the two color channels.

use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use chimle_core::TaskHandle;
use chimle_core::data::{Example, Planes};
use chimle_core::imle::{Candidate, CodePool, SeededPool};
use chimle_kernels::{Kernels, TrainingBackend};
use serde::{Deserialize, Serialize};

use super::imle::number;
use crate::backbone::sample_rows;
use crate::context::Context;
use crate::error::Error;
use crate::feed::Feed;
use crate::method::{Costs, Method};
use crate::networks::{Unet, UnetConfig};
use crate::random::Random;
use crate::space::{Space, signed_inputs};
use crate::trained::Trained;

/// The smallest noise, σ_min, of both the target and the condition.
const SMALLEST: f64 = 5e-3;
/// The smallest time t in training.
const FIRST_TIME: f64 = 1e-5;
/// The signal-to-noise ratio of the Langevin step.
const LANGEVIN: f64 = 0.15;
/// The standard deviation of the data that the scaling assumes, d.
const DATA: f64 = 0.5;
/// The range of signed values. The process is defined for values with a range of 1.
const RANGE: f64 = 2.0;

/// The settings of NDM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NdmSettings {
    /// The number of pairs in a step.
    pub batch: usize,
    /// Adam's learning rate after the warm-up.
    pub rate: f64,
    /// The number of steps in which the learning rate rises.
    pub warm_up: u64,
    /// The decay of the moving average of the weights. Samples come from the average.
    pub average: f64,
    /// The largest noise of the condition, σ_max. In the release it is 1, 0.5 (super-resolution), and 0.1 or 1
    /// (colorization).
    pub condition_noise: f64,
    /// The number of time steps of the sampler. Each time step takes two evaluations of the network.
    pub times: usize,
    /// The network.
    pub unet: UnetConfig,
}

impl Default for NdmSettings {
    fn default() -> Self {
        Self {
            batch: 8,
            rate: 5e-4,
            warm_up: 100,
            average: 0.999,
            condition_noise: 0.5,
            times: 50,
            unet: UnetConfig::default(),
        }
    }
}

/// NDM.
pub struct Ndm<B: TrainingBackend> {
    task: TaskHandle,
    space: Space,
    settings: NdmSettings,
    processes: Processes,
    network: Trained<B, Unet<B>>,
    steps: u64,
    seed: u64,
    device: B::Device,
}

/// The diffusion processes of the target and of the condition.
#[derive(Clone, Copy, Debug)]
struct Processes {
    target: Process,
    condition: Process,
}

/// A diffusion process with the noise σ(t) = smallest (largest / smallest)^t.
#[derive(Clone, Copy, Debug)]
struct Process {
    largest: f64,
}

impl Process {
    fn sigma(self, t: f64) -> f64 {
        SMALLEST * (self.largest / SMALLEST).powf(t)
    }

    /// Returns the weight of the loss, C.
    fn weight(self) -> f64 {
        2.0 * (self.largest / SMALLEST).ln()
    }
}

impl<B: TrainingBackend> Ndm<B> {
    /// Creates the method with fresh weights.
    ///
    /// # Errors
    ///
    /// If the sides of the images cannot be halved as often as the network requires, or a setting is impossible.
    pub fn new(context: &Context<B>, settings: NdmSettings) -> Result<Self, Error> {
        check_sides(context, &settings.unet)?;
        if settings.condition_noise <= SMALLEST || settings.times == 0 {
            let reason = format!("must be above {SMALLEST}, and `times` at least 1");
            return Err(Error::setting("condition_noise", reason));
        }
        let _beginning = context.seed_weights();
        let space = context.space();
        let (height, width) = context.sizes.output();
        let free = space.free_channels();
        let channels = free + context.task.conditioning_channels();
        let network = settings.unet.init(channels, channels, &context.device);
        Ok(Self {
            task: context.task.clone(),
            space,
            processes: Processes {
                target: Process {
                    largest: ((free * height * width) as f64).sqrt(),
                },
                condition: Process {
                    largest: settings.condition_noise,
                },
            },
            network: Trained::new(network, (0.9, 0.999)).with_average(settings.average),
            settings,
            steps: 0,
            seed: context.seed,
            device: context.device.clone(),
        })
    }
}

/// Checks that the sides of a task's outputs fit a U-Net.
pub(super) fn check_sides<B: TrainingBackend>(
    context: &Context<B>,
    unet: &UnetConfig,
) -> Result<(), Error> {
    unet.validate()
        .map_err(|reason| Error::setting("unet", reason))?;
    let (height, width) = context.sizes.output();
    let multiple = unet.multiple();
    if height % multiple == 0 && width % multiple == 0 {
        return Ok(());
    }
    let reason = format!(
        "needs sides that are multiples of {multiple}, but the output has {width}x{height} pixels: use fewer multipliers"
    );
    Err(Error::setting("unet", reason))
}

/// Evaluates n(u, c, t), which is σ s of u and then of c, `[n, channels, h, w]`.
fn evaluate<B: Kernels>(
    network: &Unet<B>,
    processes: Processes,
    target: Tensor<B, 4>,
    condition: Tensor<B, 4>,
    times: &[f64],
) -> Tensor<B, 4> {
    let device = target.device();
    let free = target.dims()[1];
    let given = condition.dims()[1];
    // Computes σ^2 + d^2 at a row's time.
    let variance = |process: Process, t: f64| process.sigma(t).powi(2) + DATA * DATA;
    let scale = |process: Process| {
        rows::<B>(
            times.iter().map(|&t| 1.0 / variance(process, t).sqrt()),
            &device,
        )
    };
    let (of_target, of_condition) = (scale(processes.target), scale(processes.condition));
    let seen = vec![
        target.clone() * of_target.clone(),
        condition.clone() * of_condition.clone(),
    ];
    let told: Vec<f32> = times.iter().map(|t| (999.0 * t) as f32).collect();
    let told = Tensor::from_data(TensorData::new(told, [times.len()]), &device);
    let found = network.forward(Tensor::cat(seen, 1), told);
    let joined =
        |noisy: Tensor<B, 4>, found: Tensor<B, 4>, scale: Tensor<B, 4>, process: Process| {
            let kept = times
                .iter()
                .map(|&t| process.sigma(t) / variance(process, t));
            found * scale * DATA - noisy * rows::<B>(kept, &device)
        };
    let parts = vec![
        joined(
            target,
            found.clone().narrow(1, 0, free),
            of_target,
            processes.target,
        ),
        joined(
            condition,
            found.narrow(1, free, given),
            of_condition,
            processes.condition,
        ),
    ];
    Tensor::cat(parts, 1)
}

/// Returns one number per row, `[n, 1, 1, 1]`, which can be multiplied with feature maps.
fn rows<B: Kernels>(values: impl Iterator<Item = f64>, device: &B::Device) -> Tensor<B, 4> {
    let values: Vec<f32> = values.map(|value| value as f32).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count, 1, 1, 1]), device)
}

impl<B: TrainingBackend> Method for Ndm<B> {
    fn step(&mut self, feed: &mut Feed, _: f64) -> Result<f32, Error> {
        let mut random = Random::new(self.seed, feed.position());
        let examples = feed.next(self.settings.batch)?;
        let examples: Vec<&Example> = examples.iter().collect();
        let truth: Tensor<B, 4> = self.space.signed_truths(&examples, &self.device) / RANGE;
        let free = self.space.free_channels();
        let target = truth.narrow(1, 3 - free, free);
        let condition: Tensor<B, 4> = signed_inputs(&examples, &self.device)? / RANGE;
        let times: Vec<f64> = examples
            .iter()
            .map(|_| random.uniform(FIRST_TIME, 1.0))
            .collect();
        let mut noised = |values: Tensor<B, 4>, process: Process| {
            let noise: Tensor<B, 4> = random.normal(values.dims(), &self.device);
            let sigma = rows::<B>(times.iter().map(|t| process.sigma(*t)), &self.device);
            (values + noise.clone() * sigma, noise)
        };
        let (noisy_target, of_target) = noised(target, self.processes.target);
        let (noisy_condition, of_condition) = noised(condition, self.processes.condition);
        let network = &self.network.network;
        let found = evaluate(
            network,
            self.processes,
            noisy_target,
            noisy_condition,
            &times,
        );
        let given = found.dims()[1] - free;
        let squared = |first: usize, count: usize, noise: Tensor<B, 4>, process: Process| {
            let error = found.clone().narrow(1, first, count) + noise;
            error.square().sum() * process.weight()
        };
        let sum = squared(0, free, of_target, self.processes.target)
            + squared(free, given, of_condition, self.processes.condition);
        let loss = sum / found.shape().num_elements() as f64;
        let value = number(&loss);
        self.steps += 1;
        let warm = (self.steps as f64 / self.settings.warm_up.max(1) as f64).min(1.0);
        self.network
            .step(&mut loss.backward(), self.settings.rate * warm);
        Ok(value)
    }

    fn sample(
        &self,
        inputs: &[&Example],
        samples: usize,
        seed: u64,
    ) -> Result<Vec<Vec<Planes>>, Error> {
        let network = self.network.evaluated();
        let mut failed = None;
        let drawn = sample_rows(&self.task, inputs, samples, |examples, candidates| {
            let input = signed_inputs(examples, &self.device).unwrap_or_else(|error| {
                failed = Some(error);
                let (h, w) = (examples[0].truth().height, examples[0].truth().width);
                let channels = self.task.conditioning_channels();
                Tensor::zeros([examples.len(), channels, h, w], &self.device)
            });
            let mut noise = RowNoise::new(seed, candidates, &self.device);
            let target = draw(
                &network,
                self.processes,
                self.settings.times,
                &input,
                self.space,
                &mut noise,
            );
            self.space.rgb(self.space.completed(target, &input))
        });
        failed.map_or(Ok(drawn), Err)
    }

    fn costs(&self) -> Costs {
        Costs {
            parameters: self.network.parameters(),
            training_parameters: 0,
            evaluations_per_sample: 2 * self.settings.times,
            is_stochastic: true,
        }
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        self.network.save(folder, "network")
    }

    fn load(&mut self, folder: &Path) -> Result<(), Error> {
        // The warm-up is over, or nearly over, at the first checkpoint.
        self.steps = self.settings.warm_up;
        self.network.load(folder, "network", &self.device)
    }
}

/// Noise that depends on the seed, the input and the sample, and not on the batch.
pub(super) struct RowNoise<'a, B: Kernels> {
    pool: SeededPool,
    candidates: &'a [Candidate],
    drawn: usize,
    device: &'a B::Device,
}

impl<'a, B: Kernels> RowNoise<'a, B> {
    pub(super) fn new(seed: u64, candidates: &'a [Candidate], device: &'a B::Device) -> Self {
        Self {
            pool: SeededPool::new(seed),
            candidates,
            drawn: 0,
            device,
        }
    }

    /// Draws standard normal maps of shape `[c, h, w]`, one per row.
    pub(super) fn next(&mut self, [c, h, w]: [usize; 3]) -> Tensor<B, 4> {
        let values: Tensor<B, 2> =
            self.pool
                .draw(self.drawn, self.candidates, c * h * w, self.device);
        self.drawn += 1;
        values.reshape([self.candidates.len(), c, h, w])
    }
}

/// Draws targets for signed inputs, and returns the signed values of the free channels.
fn draw<B: Kernels>(
    network: &Unet<B>,
    processes: Processes,
    count: usize,
    input: &Tensor<B, 4>,
    space: Space,
    noise: &mut RowNoise<'_, B>,
) -> Tensor<B, 4> {
    let [n, given, h, w] = input.dims();
    let free = space.free_channels();
    let shape = [free, h, w];
    let condition = input.clone() / RANGE;
    let score = |u: Tensor<B, 4>, t: f64, noise: &mut RowNoise<'_, B>| {
        let sigma = processes.condition.sigma(t);
        let noisy = condition.clone() + noise.next([given, h, w]) * sigma;
        let found = evaluate(network, processes, u, noisy, &vec![t; n]);
        found.narrow(1, 0, free) / processes.target.sigma(t)
    };
    let lengths = |map: &Tensor<B, 4>| -> Tensor<B, 4> {
        let squares = map.clone().reshape([n, free * h * w]).square().sum_dim(1);
        squares.sqrt().reshape([n, 1, 1, 1])
    };
    let mut u = noise.next(shape) * processes.target.sigma(1.0);
    let mut mean = u.clone();
    for step in 0..count {
        let at = |step: usize| 1.0 - (1.0 - FIRST_TIME) * step as f64 / count as f64;
        let t = at(step);
        // The Langevin step.
        let s = score(u.clone(), t, noise);
        let epsilon = noise.next(shape);
        let a = (lengths(&epsilon) / (lengths(&s) + 1e-12) * LANGEVIN).square() * 2.0;
        u = u + s * a.clone() + epsilon * (a * 2.0).sqrt();
        // The reverse step. The last one leads to σ = 0.
        let s = score(u.clone(), t, noise);
        let sigma = |t: f64| processes.target.sigma(t).powi(2);
        let next = if step + 1 == count {
            0.0
        } else {
            sigma(at(step + 1))
        };
        let change = sigma(t) - next;
        mean = u + s * change;
        u = mean.clone() + noise.next(shape) * change.sqrt();
    }
    mean * RANGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_the_release() {
        let of = |largest| (Process { largest }).weight();
        let target = of((3.0f64 * 64.0 * 64.0).sqrt());
        assert!((target - 20.0).abs() < 0.05, "{target}");
        for (largest, weight) in [(1.0, 10.6), (0.5, 9.2), (0.1, 6.0)] {
            assert!((of(largest) - weight).abs() < 0.05);
        }
    }
}
