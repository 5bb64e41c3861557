//! Time measurement on devices that compute asynchronously.

use std::time::Instant;

use burn::tensor::backend::Backend;

use crate::error::Error;

/// A clock that waits for the device.
pub(super) struct Clock<'a, B: Backend> {
    pub(super) device: &'a B::Device,
    /// The number of timed runs.
    pub(super) repeat: usize,
}

impl<B: Backend> Clock<'_, B> {
    /// Returns the median time of `repeat` runs, after one run that is not timed.
    pub(super) fn median_ms<T>(
        &self,
        mut run: impl FnMut() -> Result<T, Error>,
    ) -> Result<f64, Error> {
        let mut times = Vec::with_capacity(self.repeat);
        for round in 0..=self.repeat {
            self.synchronize()?;
            let begun = Instant::now();
            // The result is kept until the device is done, because a backend may skip the work for a result
            // that is already dropped.
            let result = run()?;
            self.synchronize()?;
            if round > 0 {
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            drop(result);
        }
        times.sort_by(f64::total_cmp);
        let middle = times.len() / 2;
        Ok(if times.len().is_multiple_of(2) {
            (times[middle - 1] + times[middle]) / 2.0
        } else {
            times[middle]
        })
    }

    fn synchronize(&self) -> Result<(), Error> {
        B::sync(self.device).map_err(Error::device)
    }
}
