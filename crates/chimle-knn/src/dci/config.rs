//! The settings of Prioritized DCI.

use serde::{Deserialize, Serialize};

use crate::KnnError;

/// The settings of a [`PrioritizedDci`](crate::PrioritizedDci).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrioritizedDciConfig {
    /// The number of composite indices (L in the paper), at least 1. Each is searched separately, and
    /// their candidates are merged. The default is 2.
    pub composite: usize,
    /// The number of simple indices in each composite index (m in the paper), from 1 to 255. With more
    /// of them, candidates are better, but each candidate takes more visits. The default is 10.
    pub simple: usize,
    /// The number of visits in each composite index per query (k1 in the paper). A point is visited at
    /// most once in each simple index, so more than `simple` visits per point are not possible. The
    /// default `None` uses [`default_visited`](Self::default_visited).
    pub visited: Option<usize>,
    /// The number of candidates from each composite index per query (k0 in the paper). Their true
    /// distance is computed. The default `None` uses [`default_retrieved`](Self::default_retrieved).
    pub retrieved: Option<usize>,
    /// The intrinsic dimension for which the default budgets are computed (d' in the paper), at least 1.
    /// The default is 20.
    pub intrinsic_dimension: f64,
    /// The seed of the random directions. The default is 0.
    pub seed: u64,
}

impl Default for PrioritizedDciConfig {
    fn default() -> Self {
        Self {
            composite: 2,
            simple: 10,
            visited: None,
            retrieved: None,
            intrinsic_dimension: 20.0,
            seed: 0,
        }
    }
}

impl PrioritizedDciConfig {
    /// The factor of the default number of candidates.
    const RETRIEVED: f64 = 8.0;

    /// The factor of the default number of visits.
    const VISITED: f64 = 4.0;

    /// Computes the default number of candidates from each composite index, for `k` neighbors among `n`
    /// points: `8 k max(ln(n / k), (n / k)^(1 - m / d'))`, at least `k` and at most `n`. The number
    /// grows with `n` and `k` as in the paper (section 4). The factor 8 was found by measurement.
    pub fn default_retrieved(&self, n: usize, k: usize) -> usize {
        let power = 1.0 - self.simple as f64 / self.intrinsic_dimension;
        clamp(Self::RETRIEVED * growth(n, k, power), k, n)
    }

    /// Computes the default number of visits in each composite index, for `k` neighbors among `n`
    /// points: `4 m k max(ln(n / k), (n / k)^(1 - 1 / d'))`, at most `m n`. The number grows with `n`
    /// and `k` as in the paper. With the factor 4, the search nearly always reaches the limit on
    /// candidates first, so that limit decides the recall.
    pub fn default_visited(&self, n: usize, k: usize) -> usize {
        let power = 1.0 - 1.0 / self.intrinsic_dimension;
        let visited = Self::VISITED * self.simple as f64 * growth(n, k, power);
        clamp(visited, k, self.simple.saturating_mul(n))
    }

    /// Checks that the settings are in their ranges.
    ///
    /// # Errors
    ///
    /// [`KnnError::Setting`] if a setting is out of its range. The error names the first such setting.
    pub fn validate(&self) -> Result<(), KnnError> {
        let wrong = |setting, value, expected| {
            Err(KnnError::Setting {
                setting,
                value,
                expected,
            })
        };
        if self.composite == 0 {
            return wrong("composite", 0.0, "at least 1");
        }
        if self.simple == 0 || self.simple > usize::from(u8::MAX) {
            return wrong("simple", self.simple as f64, "1 to 255");
        }
        let dimension = self.intrinsic_dimension;
        if !dimension.is_finite() || dimension < 1.0 {
            return wrong("intrinsic_dimension", dimension, "at least 1");
        }
        Ok(())
    }
}

/// Computes `k max(ln(n / k), (n / k)^power)`.
fn growth(n: usize, k: usize, power: f64) -> f64 {
    let ratio = n as f64 / k.max(1) as f64;
    k as f64 * ratio.ln().max(ratio.powf(power))
}

fn clamp(budget: f64, least: usize, most: usize) -> usize {
    (budget.ceil() as usize).max(least).min(most)
}
