//! The trade-off between likelihood and divergences: one diffusion model is trained further with weighted
//! divergences.
//!
//! The bound is E log p(x_0) - Σ_t KL_t. With a weight λ it becomes E log p(x_0) - λ Σ_t KL_t. With λ = 1 this is
//! the bound, with λ = 0 only the likelihood is maximized, and with λ > 1 the divergences count more than in the
//! bound. In one dimension, the objective and its gradient can be computed on a grid without random estimates.

use std::f64::consts::TAU;

use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::{Tensor, TensorData};
use toy::{Training, adam, cosine_decay};

use crate::bound::{Grid, Line};
use crate::diffusion::{Denoiser, Diffusion, Schedule};

/// The number of points of the grid. The rounding of single precision is far below the distance between two
/// points.
const POINTS: usize = 480;
/// The ends of the grid. Less than one point in a thousand of the forward process lies outside.
const REACH: f64 = 3.5;
/// The number of steps in which the learning rate rises.
const WARM_UP: usize = 100;

/// The constants of the bound at one step, which depend on the data alone.
struct Step {
    /// q(x_t) times the grid's width, `[points]`.
    weight: Tensor<Training, 1>,
    /// The mean of x_{t-1} given x_t, `[points]`.
    expected: Tensor<Training, 1>,
    /// The variance of x_{t-1} given x_t, averaged over x_t.
    remaining: f64,
}

/// Trains a copy of `model` for `steps` more steps, and maximizes E log p(x_0) - `lambda` Σ_t KL_t.
pub fn train(model: &Diffusion, data: &Line, lambda: f64, steps: usize, rate: f64) -> Diffusion {
    let schedule = &model.schedule;
    let grid = Grid::new(REACH, POINTS);
    let points = vector(&grid.points).reshape([POINTS, 1]);
    let q_0: Vec<f64> = data.density(&grid).iter().map(|q| q * grid.width).collect();
    let q_0 = vector(&q_0);
    let forward: Vec<Step> = (1..=schedule.steps())
        .map(|t| step_of(&grid, data, schedule, t))
        .collect();

    let mut denoiser = model.denoiser.clone();
    let mut optimizer = adam::<Training, Denoiser<Training>>(0.9);
    for step in 0..steps {
        let log_sigma = denoiser.log_sigma();
        // The loop follows the chain down from p(x_T), and sums the part of the bound that depends on the
        // parameters.
        let mut density = (points.clone().square() * -0.5).exp() / TAU.sqrt();
        let mut bound = Tensor::<Training, 1>::zeros([1], &Default::default());
        for t in (1..=schedule.steps()).rev() {
            let mean = denoiser.mean(schedule, t, points.clone());
            let log_sigma = log_sigma.clone().narrow(0, t - 1, 1);
            let precision = (log_sigma.clone() * -2.0).exp();

            let data = &forward[t - 1];
            let error = (mean.clone().reshape([POINTS]) - data.expected.clone()).square();
            let square = (error * data.weight.clone()).sum() + data.remaining;
            bound = bound - log_sigma.clone() - square * precision.clone() * 0.5;

            let difference = points.clone() - mean.transpose();
            let kernel = (difference.square() * precision.unsqueeze::<2>() * -0.5).exp();
            let scale = (log_sigma.unsqueeze::<2>() * -1.0).exp() * (grid.width / TAU.sqrt());
            density = kernel.matmul(density) * scale;
        }
        let likelihood = ((density.reshape([POINTS]) + 1e-30).log() * q_0.clone()).sum();
        let loss = likelihood * (lambda - 1.0) - bound * lambda;
        let gradients = GradientsParams::from_grads(loss.backward(), &denoiser);
        // Without a warm-up, Adam's first steps, which all have full size, would undo the previous training.
        let warm_up = ((step + 1) as f64 / WARM_UP as f64).min(1.0);
        let rate = warm_up * cosine_decay(rate, step, steps);
        denoiser = optimizer.step(rate, denoiser, gradients);
    }
    Diffusion {
        schedule: schedule.clone(),
        denoiser,
    }
}

fn step_of(grid: &Grid, data: &Line, schedule: &Schedule, t: usize) -> Step {
    let (below, here) = (data.noised(schedule, t - 1), data.noised(schedule, t));
    let weight: Vec<f64> = here.density(grid).iter().map(|q| q * grid.width).collect();
    let conditional = |&x: &f64| below.given_above(&here, schedule.beta(t), x);
    let (expected, variance): (Vec<f64>, Vec<f64>) = grid.points.iter().map(conditional).unzip();
    Step {
        remaining: weight.iter().zip(&variance).map(|(w, v)| w * v).sum(),
        weight: vector(&weight),
        expected: vector(&expected),
    }
}

fn vector(values: &[f64]) -> Tensor<Training, 1> {
    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), &Default::default())
}
