//! The time that each part of a run takes.

use std::time::{Duration, Instant};

/// The time that each part of a run has taken so far. If there are several workers, the times are those of the
/// first worker.
///
/// A GPU runs operations asynchronously. Their time is counted in the part that reads the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Waiting for examples to be loaded, and stacking them on the device.
    pub data: Duration,
    /// Drawing codes and moving them to the device.
    pub codes: Duration,
    /// Evaluating the generator and the distance in searches.
    pub search: Duration,
    /// Evaluating the generator and the distance in steps, with their gradients.
    pub gradients: Duration,
    /// Taking steps of the optimizer, and computing the moving average.
    pub optimizer: Duration,
    /// Summing results over workers.
    pub exchange: Duration,
    /// Validating, and drawing strips of samples.
    pub validation: Duration,
    /// Writing checkpoints.
    pub saving: Duration,
    /// The whole run.
    pub total: Duration,
}

impl Times {
    /// Returns the fraction of the time that was spent in the generator and the distance.
    pub fn of_generator_and_distance(&self) -> f64 {
        (self.search + self.gradients).as_secs_f64()
            / self.total.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Returns the time that belongs to none of the parts, such as the time for the log and the loop.
    pub fn rest(&self) -> Duration {
        let parts = [
            self.data,
            self.codes,
            self.search,
            self.gradients,
            self.optimizer,
            self.exchange,
            self.validation,
            self.saving,
        ];
        self.total.saturating_sub(parts.iter().sum())
    }
}

/// Calls `work` and adds its time to a sum.
pub(crate) fn timed<T>(sum: &mut Duration, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    *sum += begun.elapsed();
    result
}
