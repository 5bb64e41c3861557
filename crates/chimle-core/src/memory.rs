//! The number of rows that are evaluated at once, so that they fit into memory.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Error;
use burn::tensor::backend::Backend;
use chimle_nn::{Architecture, GeneratorConfig, Precision};

/// The default for the largest number of bytes of a batch: 1 GiB.
pub(crate) const USUAL_BYTES: u64 = 1 << 30;

/// The default for the largest number of rows of a batch.
pub(crate) const USUAL_ROWS: usize = 64;

/// Estimates how many bytes each level of a generator takes, at its peak, to make one output of this size
/// without gradients. The largest estimate is at least the memory that the CPU backend takes, and at most twice
/// that.
///
/// With c residual channels and g growth channels, the peak of a level is at one of three places:
///
/// - Within a dense block: its c + 4 g feature maps, a copy of them for backends that concatenate, the input of
///   the block, and, in 32 bits, the inputs of the RRDB and of the level.
/// - At the first convolution: the inputs of the level and a copy of them, in 32 bits.
/// - At the upsampling: c feature maps enlarged to twice the side, and their convolution, in 32 bits.
pub(crate) fn level_bytes(
    config: &GeneratorConfig,
    precision: Precision,
    height: usize,
    width: usize,
) -> Vec<u64> {
    let levels = config.levels();
    let narrow = match precision {
        Precision::F32 => 4,
        Precision::Bf16 | Precision::F16 => 2,
    };
    let widths = config.residual_channels.iter().zip(&config.growth_channels);
    let bytes = widths.enumerate().map(|(level, (&c, &g))| {
        let shown = (height * width) >> (2 * (levels - 1 - level));
        let (pixels, enlarges) = match config.architecture {
            Architecture::SuperResolution => (shown / 4, true),
            _ => (shown, level + 1 < levels),
        };
        let dense = pixels * (narrow * (2 * (c + 4 * g) + c) + 4 * 2 * c);
        let up = pixels * 4 * (4 * 2 * c + c);
        // The inputs of the first convolution, and their concatenation.
        let entering = pixels * 4 * (2 * config.level_channels_in(level) + c);
        let bytes = dense.max(entering).max(if enlarges { up } else { 0 });
        bytes as u64
    });
    bytes.collect()
}

/// The largest number of candidates of a coarse level in a batch, relative to the level that takes most memory.
const MOST_COARSE: u64 = 64;

/// Computes the number of candidates in one batch, per level. The level that takes most memory has `rows`
/// candidates. The other levels have as many candidates as fit into the same memory.
pub(crate) fn chunks(rows: usize, level_bytes: &[u64]) -> Vec<usize> {
    let most = level_bytes.iter().copied().max().unwrap_or(0);
    let chunks = level_bytes.iter().map(|&bytes| {
        let times = (most / bytes.max(1)).clamp(1, MOST_COARSE);
        rows.saturating_mul(times as usize)
    });
    chunks.collect()
}

/// The limits for the number of rows of a batch. The limits are the requested number, the number that the memory
/// estimate allows, and the number that did not fit before.
#[derive(Debug)]
pub(crate) struct Rows {
    most: AtomicUsize,
    bytes: u64,
}

impl Clone for Rows {
    fn clone(&self) -> Self {
        Self {
            most: AtomicUsize::new(self.most.load(Ordering::Relaxed)),
            bytes: self.bytes,
        }
    }
}

impl Rows {
    /// Creates limits of at most `most` rows and at most `bytes` bytes.
    pub(crate) fn new(most: usize, bytes: u64) -> Self {
        Self {
            most: AtomicUsize::new(most.max(1)),
            bytes,
        }
    }

    /// Returns the number of rows that should fit, if each takes `bytes_each` bytes.
    pub(crate) fn fitting(&self, bytes_each: u64) -> usize {
        let fitting = usize::try_from(self.bytes / bytes_each.max(1)).unwrap_or(usize::MAX);
        fitting.clamp(1, self.most.load(Ordering::Relaxed))
    }

    /// Calls `work` with the number of rows that should fit. Each time the device runs out of memory, the
    /// number is halved for this call and all later calls.
    pub(crate) fn attempt<B: Backend, T>(
        &self,
        device: &B::Device,
        bytes_each: u64,
        mut work: impl FnMut(usize) -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            let rows = self.fitting(bytes_each);
            // GPU backends report a failure by a panic when a result is read.
            let result = catch_unwind(AssertUnwindSafe(|| work(rows)));
            let reason = match &result {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(payload) => Some(words(payload.as_ref())),
            };
            match reason.filter(|reason| is_out_of_memory(reason)) {
                Some(_) if rows > 1 => {
                    self.most.store(rows / 2, Ordering::Relaxed);
                    drop(result);
                    B::memory_cleanup(device);
                }
                Some(_) => return Err(Error::OutOfMemory),
                None => return result.unwrap_or_else(|payload| resume_unwind(payload)),
            }
        }
    }
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or_default().to_owned()
}

/// Translates the driver's message about a failed device into an error. Returns `None` if the message is not
/// known. A program can use this to show a panic of a GPU backend in one line.
pub fn explain(reason: &str) -> Option<Error> {
    let text = reason.to_lowercase();
    if is_out_of_memory(&text) {
        return Some(Error::OutOfMemory);
    }
    let lost = [
        "device lost",
        "device is lost",
        "illegal_address",
        "launch_failed",
        "ecc_uncorrectable",
        "unhealthy",
    ];
    lost.iter().any(|one| text.contains(one)).then(|| Error::Device {
        reason: "it was lost during a computation; checkpoints saved before are intact, and a run can be resumed".to_owned(),
    })
}

fn is_out_of_memory(reason: &str) -> bool {
    let text = reason.to_lowercase();
    let signs = [
        "out of memory",
        "out-of-memory",
        "out_of_memory",
        "outofmemory",
        "allocate buffer",
        "buffertoobig",
        "maximum buffer size",
    ];
    signs.iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;

    fn attempt<T>(rows: &Rows, work: impl Fn(usize) -> Result<T, Error>) -> Result<T, Error> {
        rows.attempt::<Flex, T>(&Default::default(), 10, work)
    }

    #[test]
    fn rows_are_halved_until_they_fit_and_stay_so() {
        let rows = Rows::new(64, 1000);
        let full = |rows: usize| -> Result<usize, Error> {
            assert!(rows <= 20, "Unhandled: can't allocate buffer of size: 42");
            Ok(rows)
        };
        assert_eq!(attempt(&rows, full).unwrap(), 16);
        assert_eq!(attempt(&rows, Ok).unwrap(), 16);
    }

    #[test]
    fn the_estimate_bounds_the_rows() {
        let rows = Rows::new(64, 100);
        assert_eq!(rows.fitting(10), 10);
        assert_eq!(rows.fitting(1000), 1);
        assert_eq!(rows.fitting(0), 64);
    }

    #[test]
    fn a_single_row_that_does_not_fit_is_an_error_and_other_errors_are_themselves() {
        let rows = Rows::new(8, 1000);
        let never = |_| -> Result<(), Error> { panic!("CUDA_ERROR_OUT_OF_MEMORY") };
        assert!(matches!(attempt(&rows, never), Err(Error::OutOfMemory)));
        let other = |_| -> Result<(), Error> {
            Err(Error::Device {
                reason: "on fire".to_owned(),
            })
        };
        assert!(matches!(attempt(&rows, other), Err(Error::Device { .. })));
    }

    #[test]
    fn what_drivers_say_of_a_lost_device_and_of_full_memory_is_told_from_a_defect() {
        // These are messages of wgpu, cudarc and CubeCL.
        for lost in [
            "wgpu error: Validation Error: Parent device is lost",
            r#"DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered")"#,
            r#"DriverError(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure")"#,
            r#"DriverError(CUDA_ERROR_ECC_UNCORRECTABLE, "uncorrectable ECC error encountered")"#,
        ] {
            let explained = explain(lost).map(|error| error.to_string());
            let resumed = explained.is_some_and(|text| text.contains("can be resumed"));
            assert!(resumed, "{lost}");
        }
        let full = r#"DriverError(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")"#;
        assert!(matches!(explain(full), Some(Error::OutOfMemory)));
        assert!(explain("index out of bounds: the len is 3 but the index is 3").is_none());
    }

    #[test]
    #[should_panic(expected = "a defect")]
    fn a_panic_of_another_kind_goes_on() {
        let _ = attempt(&Rows::new(8, 1000), |_| -> Result<(), Error> {
            panic!("a defect")
        });
    }
}
