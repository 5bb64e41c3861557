//! The results of a search: how workers on several machines exchange them, and how they are reported.

use std::time::Duration;

use burn::tensor::backend::AutodiffBackend;
use chimle_imle::Chosen;

use super::peers::Peers;
use super::sum_of;
use crate::error::Error;
use crate::event::Event;

/// The result of the search for one example.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// The chosen candidate at each level.
    pub(crate) candidates: Vec<usize>,
    /// The distance of the chosen candidate, at each level compared.
    nearest: Vec<f32>,
    /// The mean distance of all candidates, at each level compared.
    pool: Vec<f32>,
}

impl Found {
    pub(crate) fn of(chosen: &Chosen) -> Self {
        let pools = chosen.distances.iter();
        Self {
            candidates: chosen.candidates.clone(),
            nearest: chosen.nearest(),
            pool: pools.map(|pool| mean_of_measured(pool) as f32).collect(),
        }
    }
}

/// The exchange of search results between workers on several machines.
///
/// Each worker fills its own rows of a table and sets all other rows to zero. The sum of these tables has
/// the rows of all workers. The table is f32, which is exact for the index of a candidate up to 2^24.
pub(crate) struct Exchange {
    /// The number of levels.
    pub(crate) levels: usize,
    /// The number of levels at which candidates were compared.
    pub(crate) compared: usize,
    /// The number of examples of each worker, on all machines.
    pub(crate) sizes: Vec<usize>,
}

impl Exchange {
    /// Returns the results of all workers, and whether one of them was asked to stop.
    pub(crate) fn run<B: AutodiffBackend>(
        &self,
        peers: &Peers,
        worker: usize,
        own: &[Found],
        asked_to_stop: bool,
        device: &B::Device,
    ) -> Result<(Vec<Found>, bool), Error> {
        let &Self {
            levels, compared, ..
        } = self;
        let width = levels + 2 * compared;
        let before: usize = self.sizes[..peers.rank(worker)].iter().sum();
        let total: usize = self.sizes.iter().sum();
        let mut table = vec![0.0; total * width + 1];
        for (row, found) in own.iter().enumerate() {
            let candidates = found.candidates.iter().map(|&candidate| candidate as f32);
            let values = candidates.chain(found.nearest.iter().chain(&found.pool).copied());
            let start = (before + row) * width;
            for (place, value) in table[start..start + width].iter_mut().zip(values) {
                *place = value;
            }
        }
        // The last number counts the workers that were asked to stop.
        table[total * width] = if asked_to_stop { 1.0 } else { 0.0 };
        let table = sum_of::<B>(peers, worker, table, device)?;
        let rows = table.chunks_exact(width).take(total).map(|row| Found {
            candidates: row[..levels].iter().map(|&value| value as usize).collect(),
            nearest: row[levels..levels + compared].to_vec(),
            pool: row[levels + compared..].to_vec(),
        });
        Ok((rows.collect(), table[total * width] > 0.0))
    }
}

/// The sums of the results of a search, for its report.
#[derive(Default)]
pub(crate) struct SearchSummary {
    examples: usize,
    chosen: Vec<f64>,
    pool: Vec<f64>,
}

impl SearchSummary {
    /// Adds the results for some examples.
    pub(crate) fn add(&mut self, found: &[Found]) {
        for Found { nearest, pool, .. } in found {
            self.examples += 1;
            self.chosen.resize(nearest.len(), 0.0);
            self.pool.resize(pool.len(), 0.0);
            for (sum, &value) in self.chosen.iter_mut().zip(nearest) {
                *sum += f64::from(value);
            }
            for (sum, &value) in self.pool.iter_mut().zip(pool) {
                *sum += f64::from(value);
            }
        }
    }

    /// Returns the report of the search that precedes a step.
    pub(crate) fn event(&self, step: u64, round: u64, time: Duration) -> Event {
        let mean = |sums: &[f64]| -> Vec<f32> {
            let means = sums.iter().map(|sum| sum / self.examples as f64);
            means.map(|mean| mean as f32).collect()
        };
        Event::Searched {
            step,
            round,
            examples: self.examples,
            chosen: mean(&self.chosen),
            pool: mean(&self.pool),
            seconds: time.as_secs_f64(),
        }
    }
}

/// Returns the mean of the distances that were measured. A candidate that was not measured has the distance
/// NaN.
fn mean_of_measured(distances: &[f32]) -> f64 {
    let measured = distances.iter().filter(|distance| !distance.is_nan());
    let (sum, count) = measured.fold((0.0, 0), |(sum, count), &distance| {
        (sum + f64::from(distance), count + 1)
    });
    sum / f64::from(count)
}
