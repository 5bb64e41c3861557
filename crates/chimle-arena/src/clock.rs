//! The CPU time of this process.
//!
//! Methods get equal CPU time, not equal wall-clock time, so other work on the machine does not
//! change the comparison. All threads of the process are counted.

use std::time::Duration;

use cpu_time::ProcessTime;

/// The CPU time spent in one kind of work, summed over all its intervals.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuClock {
    spent: Duration,
    since: Option<ProcessTime>,
}

impl CpuClock {
    /// Creates a clock that stands at `spent`.
    pub fn at(spent: Duration) -> Self {
        Self { spent, since: None }
    }

    /// Starts counting.
    pub fn start(&mut self) {
        self.since = Some(ProcessTime::now());
    }

    /// Stops counting.
    pub fn stop(&mut self) {
        self.spent = self.spent();
        self.since = None;
    }

    /// Returns the time counted so far.
    pub fn spent(&self) -> Duration {
        let running = self.since.map(|since| since.elapsed());
        self.spent + running.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the CPU busy until the process has used this much of it.
    fn work(time: Duration) {
        let begun = ProcessTime::now();
        while begun.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn only_work_between_start_and_stop_counts_and_sleep_does_not() {
        let mut clock = CpuClock::at(Duration::from_secs(5));
        work(Duration::from_millis(30));
        clock.start();
        std::thread::sleep(Duration::from_millis(60));
        work(Duration::from_millis(30));
        clock.stop();
        work(Duration::from_millis(30));
        let counted = clock.spent() - Duration::from_secs(5);
        // Other tests of the process use its CPU too, so only the lower bound is exact.
        assert!(counted >= Duration::from_millis(30), "{counted:?}");
        assert_eq!(clock.spent(), clock.spent());
    }
}
