//! Where the time of a run goes.

use std::time::{Duration, Instant};

/// The time that a trainer has spent so far, by what it was spent on. Of several workers, it is the
/// first one's.
///
/// On a GPU, operations run behind the program: the time appears where a result is read.
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
    /// Steps of the optimizer, and the moving average.
    pub optimizer: Duration,
    /// Summing results over workers.
    pub exchange: Duration,
    /// Validations and strips of samples.
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

    /// Returns the time that none of the parts accounts for: the log, and the loop itself.
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

/// Does some work and adds its time to a sum.
pub(crate) fn timed<T>(sum: &mut Duration, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    *sum += begun.elapsed();
    result
}
