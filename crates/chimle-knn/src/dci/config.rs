//! Settings of Prioritized DCI.

use serde::{Deserialize, Serialize};

use crate::KnnError;

/// Settings of a [`PrioritizedDci`](crate::PrioritizedDci).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrioritizedDciConfig {
    /// Composite indices (L in the paper), at least 1. Each is a search of its own; their candidates
    /// are put together. Default 2.
    pub composite: usize,
    /// Simple indices of each composite index (m in the paper), 1 to 255. More make better
    /// candidates, each of which takes more visits. Default 10.
    pub simple: usize,
    /// Points visited by each composite index for one query (k1 in the paper), counting a point
    /// once for each simple index it is met in: `simple` times the number of points is all there
    /// is to visit. Default: none given, [`default_visited`](Self::default_visited).
    pub visited: Option<usize>,
    /// Candidates retrieved by each composite index for one query (k0 in the paper), whose true
    /// distance is computed. Default: none given, [`default_retrieved`](Self::default_retrieved).
    pub retrieved: Option<usize>,
    /// Intrinsic dimension that the default budgets are made for (d' in the paper), at least 1.
    /// Default 20.
    pub intrinsic_dimension: f64,
    /// What the directions are drawn from. Default 0.
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
    /// Factor of the default retrieval budget.
    const RETRIEVED: f64 = 8.0;

    /// Factor of the default visiting budget.
    const VISITED: f64 = 4.0;

    /// The retrieval budget of each composite index when none is given: `8 k max(ln(n / k),
    /// (n / k)^(1 - m / d'))` for `k` of `n` points, at least `k` and at most `n`. The growth is the
    /// paper's (section 4); the factor was found by measurement.
    pub fn default_retrieved(&self, n: usize, k: usize) -> usize {
        let power = 1.0 - self.simple as f64 / self.intrinsic_dimension;
        clamp(Self::RETRIEVED * growth(n, k, power), k, n)
    }

    /// The visiting budget of each composite index when none is given: `4 m k max(ln(n / k),
    /// (n / k)^(1 - 1 / d'))` for `k` of `n` points, at most `m n`. The growth is the paper's; with
    /// this factor the retrieval budget is nearly always spent first, and decides the recall.
    pub fn default_visited(&self, n: usize, k: usize) -> usize {
        let power = 1.0 - 1.0 / self.intrinsic_dimension;
        let visited = Self::VISITED * self.simple as f64 * growth(n, k, power);
        clamp(visited, k, self.simple.saturating_mul(n))
    }

    /// Whether the settings are in their ranges.
    ///
    /// # Errors
    ///
    /// [`KnnError::Setting`] names the one that is not.
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

/// `k max(ln(n / k), (n / k)^power)`.
fn growth(n: usize, k: usize, power: f64) -> f64 {
    let ratio = n as f64 / k.max(1) as f64;
    k as f64 * ratio.ln().max(ratio.powf(power))
}

fn clamp(budget: f64, least: usize, most: usize) -> usize {
    (budget.ceil() as usize).max(least).min(most)
}
