//! The terms of the variational bound in one dimension, computed on a grid.
//!
//! Training maximizes the bound L = E log p(x_0) - Σ_t KL_t, where
//!
//!     KL_t = E_{q(x_0 ... x_{t-1})} KL( q(x_t | x_0 ... x_{t-1})  ||  p(x_t | x_0 ... x_{t-1}) )
//!
//! by the chain rule for KL( q(x_1 ... x_T | x_0) || p(x_1 ... x_T | x_0) ). Both processes are Markov chains, so
//! both conditional distributions depend only on x_{t-1}. The second one follows from Bayes' rule (the paper's
//! equations 15 and 16):
//!
//!     p(x_t | x_{t-1}) = p(x_t) p(x_{t-1} | x_t) / p(x_{t-1})
//!
//! The marginals p(x_t) of the reverse chain are integrated on the grid, from x_T down to x_0. With ⟨·⟩ for the mean
//! over q,
//!
//!     KL_t = ⟨log q(x_t | x_{t-1})⟩ - ⟨log p(x_t)⟩ - ⟨log p(x_{t-1} | x_t)⟩ + ⟨log p(x_{t-1})⟩
//!
//! where each mean is an integral over one variable, because q(x_t) and its conditionals are mixtures of normal
//! distributions.

use std::f64::consts::TAU;

use crate::diffusion::Schedule;

/// A grid on which integrals are computed as sums.
#[derive(Debug, Clone)]
pub struct Grid {
    /// The points, equally spaced and symmetric around 0.
    pub points: Vec<f64>,
    /// The distance between neighboring points.
    pub width: f64,
}

impl Grid {
    /// Creates a grid of `count` points from `-reach` to `reach`.
    pub fn new(reach: f64, count: usize) -> Self {
        let width = 2.0 * reach / (count - 1) as f64;
        Self {
            points: (0..count).map(|k| k as f64 * width - reach).collect(),
            width,
        }
    }

    /// Returns the integral of `weight` times `value`. `value` is not evaluated where the weight is 0.
    fn mean(&self, weight: &[f64], value: impl Fn(usize) -> f64) -> f64 {
        let there = (0..weight.len()).filter(|&k| weight[k] > 0.0);
        there.map(|k| weight[k] * value(k)).sum::<f64>() * self.width
    }
}

/// A mixture of equally likely normal modes with the same variance, in one dimension.
#[derive(Debug, Clone)]
pub struct Line {
    /// The means of the modes.
    pub centers: Vec<f64>,
    /// The variance of each mode.
    pub variance: f64,
}

impl Line {
    /// Returns q(x_t), if `self` is the distribution of the data.
    pub fn noised(&self, schedule: &Schedule, t: usize) -> Self {
        let signal = schedule.alpha_bar(t);
        Self {
            centers: self.centers.iter().map(|c| c * signal.sqrt()).collect(),
            variance: signal * self.variance + 1.0 - signal,
        }
    }

    /// Returns the density at the grid's points.
    pub fn density(&self, grid: &Grid) -> Vec<f64> {
        let at = |&x: &f64| {
            let modes = self.centers.iter().map(|c| normal(x - c, self.variance));
            modes.sum::<f64>() / self.centers.len() as f64
        };
        grid.points.iter().map(at).collect()
    }

    /// Returns the mean and the variance of x_{t-1} given x_t = `x`, if `self` is q(x_{t-1}) and `above` is q(x_t).
    pub fn given_above(&self, above: &Self, beta: f64, x: f64) -> (f64, f64) {
        // For a single mode, x_{t-1} and x_t are jointly normal.
        let slope = (1.0 - beta).sqrt() * self.variance / above.variance;
        let remaining = self.variance * beta / above.variance;
        let exponent = |mean: f64| -0.5 * (x - mean).powi(2) / above.variance;
        let exponents = above.centers.iter().map(|&mean| exponent(mean));
        let highest = exponents.fold(f64::MIN, f64::max);
        let (mut whole, mut first, mut second) = (0.0, 0.0, 0.0);
        for (mean_below, mean) in self.centers.iter().zip(&above.centers) {
            let weight = (exponent(*mean) - highest).exp();
            let expected = mean_below + slope * (x - mean);
            whole += weight;
            first += weight * expected;
            second += weight * expected * expected;
        }
        let mean = first / whole;
        (mean, second / whole - mean * mean + remaining)
    }
}

/// The reverse process on a grid.
#[derive(Debug, Clone)]
pub struct Reverse {
    /// μ(x, t) at the grid's points, for t = 1 ... T.
    pub means: Vec<Vec<f64>>,
    /// σ_t for t = 1 ... T.
    pub sigma: Vec<f64>,
}

/// The bound and its terms.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Terms {
    /// E log p(x_0), averaged over the data.
    pub log_likelihood: f64,
    /// E log q(x_0): the log-likelihood of a perfect model.
    pub best_log_likelihood: f64,
    /// KL_t for t = 1 ... T.
    pub kl: Vec<f64>,
    /// The bound L.
    pub bound: f64,
    /// p(x_t) at the grid's points, for t = 0 ... T.
    #[serde(skip)]
    pub marginals: Vec<Vec<f64>>,
}

/// Returns the density of a normal distribution at this difference from its mean.
pub fn normal(difference: f64, variance: f64) -> f64 {
    (-0.5 * difference * difference / variance).exp() / (TAU * variance).sqrt()
}

/// Returns p(x_t) for t = 0 ... T.
fn marginals(grid: &Grid, reverse: &Reverse) -> Vec<Vec<f64>> {
    let mut marginals = vec![
        grid.points
            .iter()
            .map(|&x| normal(x, 1.0))
            .collect::<Vec<_>>(),
    ];
    for (means, sigma) in reverse.means.iter().zip(&reverse.sigma).rev() {
        let above = &marginals[marginals.len() - 1];
        let mut below = vec![0.0; above.len()];
        // Nine standard deviations from the mean, a normal density is below 1e-17 of its peak.
        let around = (9.0 * sigma / grid.width).ceil() as isize;
        for (mean, mass) in means.iter().zip(above) {
            let nearest = ((mean - grid.points[0]) / grid.width).round() as isize;
            let from = (nearest - around).max(0);
            let to = (nearest + around + 1).min(below.len() as isize);
            for k in from..to {
                let difference = grid.points[k as usize] - mean;
                below[k as usize] += mass * grid.width * normal(difference, sigma * sigma);
            }
        }
        marginals.push(below);
    }
    marginals.reverse();
    marginals
}

/// Computes the terms of the bound for this data, forward process and reverse process.
pub fn terms(grid: &Grid, data: &Line, schedule: &Schedule, reverse: &Reverse) -> Terms {
    let marginals = marginals(grid, reverse);
    // ⟨log p(x_t)⟩, with a lower limit of the density that keeps its logarithm finite.
    let log_marginal = |t: usize| {
        let q = data.noised(schedule, t).density(grid);
        grid.mean(&q, |k| marginals[t][k].max(1e-300).ln())
    };
    let kl: Vec<f64> = (1..=schedule.steps())
        .map(|t| {
            let forward = -0.5 * (TAU * schedule.beta(t)).ln() - 0.5;
            forward - log_marginal(t) - log_reverse(grid, data, schedule, reverse, t)
                + log_marginal(t - 1)
        })
        .collect();
    let log_likelihood = log_marginal(0);
    let q = data.density(grid);
    Terms {
        log_likelihood,
        best_log_likelihood: grid.mean(&q, |k| q[k].ln()),
        bound: log_likelihood - kl.iter().sum::<f64>(),
        kl,
        marginals,
    }
}

/// Computes ⟨log p(x_{t-1} | x_t)⟩.
fn log_reverse(grid: &Grid, data: &Line, schedule: &Schedule, reverse: &Reverse, t: usize) -> f64 {
    let (below, here) = (data.noised(schedule, t - 1), data.noised(schedule, t));
    let square = grid.mean(&here.density(grid), |k| {
        let (expected, remaining) = below.given_above(&here, schedule.beta(t), grid.points[k]);
        (expected - reverse.means[t - 1][k]).powi(2) + remaining
    });
    let variance = reverse.sigma[t - 1].powi(2);
    -0.5 * (TAU * variance).ln() - 0.5 * square / variance
}

/// Returns the two arguments of KL_1 as densities of x_1 on the grid: q(x_1 | x_0) and p(x_1 | x_0).
pub fn first_step(
    grid: &Grid,
    schedule: &Schedule,
    reverse: &Reverse,
    terms: &Terms,
    x_0: f64,
) -> [Vec<f64>; 2] {
    let forward = grid
        .points
        .iter()
        .map(|x| normal(x - (1.0 - schedule.beta(1)).sqrt() * x_0, schedule.beta(1)));
    let joint: Vec<f64> = (0..grid.points.len())
        .map(|k| {
            terms.marginals[1][k] * normal(x_0 - reverse.means[0][k], reverse.sigma[0].powi(2))
        })
        .collect();
    let whole = joint.iter().sum::<f64>() * grid.width;
    [forward.collect(), joint.iter().map(|p| p / whole).collect()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns KL(N(m, v) || N(n, w)).
    fn closed_form(m: f64, v: f64, n: f64, w: f64) -> f64 {
        0.5 * ((w / v).ln() + (v + (m - n).powi(2)) / w - 1.0)
    }

    /// With one normal mode and a linear reverse process, x_{t-1} = slope x_t + shift + σ noise, all distributions
    /// are normal.
    #[test]
    fn divergences_on_the_grid_are_those_of_normal_distributions() {
        let grid = Grid::new(9.0, 4001);
        let schedule = Schedule::cosine(3);
        let data = Line {
            centers: vec![0.4],
            variance: 0.09,
        };
        let (slopes, shifts, sigma) = ([0.9, 0.7, 0.5], [0.1, -0.2, 0.3], [0.3, 0.5, 0.6]);
        let means = (0..3).map(|k| {
            grid.points
                .iter()
                .map(|x| slopes[k] * x + shifts[k])
                .collect()
        });
        let reverse = Reverse {
            means: means.collect(),
            sigma: sigma.to_vec(),
        };
        let found = terms(&grid, &data, &schedule, &reverse);

        // The marginals N(m_t, v_t) of the reverse process, from x_3 down.
        let mut marginal = [(0.0, 1.0); 4];
        for t in (0..3).rev() {
            let (m, v) = marginal[t + 1];
            marginal[t] = (
                slopes[t] * m + shifts[t],
                slopes[t].powi(2) * v + sigma[t].powi(2),
            );
        }
        for t in 1..=3 {
            let ((m, v), (m_below, v_below)) = (marginal[t], marginal[t - 1]);
            // p(x_t | x_{t-1}) is normal with the mean gain (x_{t-1} - m_below) + m.
            let gain = slopes[t - 1] * v / v_below;
            let remaining = v - gain * gain * v_below;
            let q_below = data.noised(&schedule, t - 1);
            let root = (1.0 - schedule.beta(t)).sqrt();
            let (center, variance) = (q_below.centers[0], q_below.variance);
            // The divergence is quadratic in x_{t-1}, so its mean is its value at the mean of x_{t-1} plus a term
            // from the variance.
            let at_mean = closed_form(
                root * center,
                schedule.beta(t),
                gain * (center - m_below) + m,
                remaining,
            );
            let expected = at_mean + 0.5 * (root - gain).powi(2) * variance / remaining;
            assert!(
                (found.kl[t - 1] - expected).abs() < 1e-6,
                "{t}: {expected} {found:?}"
            );
        }
        let (m, v) = marginal[0];
        let likelihood =
            -0.5 * (TAU * v).ln() - 0.5 * (data.variance + (data.centers[0] - m).powi(2)) / v;
        assert!((found.log_likelihood - likelihood).abs() < 1e-6);
    }

    #[test]
    fn the_exact_reverse_of_one_mode_has_no_divergence() {
        let grid = Grid::new(6.0, 3001);
        let schedule = Schedule::cosine(4);
        // If the data is a standard normal, every q(x_t) is too, and the reverse process equals the forward process.
        let data = Line {
            centers: vec![0.0],
            variance: 1.0,
        };
        let root = |t| (1.0f64 - schedule.beta(t)).sqrt();
        let reverse = Reverse {
            means: (1..=4)
                .map(|t| grid.points.iter().map(|x| root(t) * x).collect())
                .collect(),
            sigma: (1..=4).map(|t| schedule.beta(t).sqrt()).collect(),
        };
        let found = terms(&grid, &data, &schedule, &reverse);
        assert!(found.kl.iter().all(|kl| kl.abs() < 1e-6), "{found:?}");
        assert!((found.log_likelihood - found.best_log_likelihood).abs() < 1e-6);
    }
}
