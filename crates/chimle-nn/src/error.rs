//! What can be wrong with a configuration or a file of weights.

use crate::config::Architecture;

/// A configuration from which no generator can be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A size that is zero, or a list of sizes that is empty.
    #[error("generator: `{field}` must be at least 1")]
    Zero {
        /// The field at fault.
        field: &'static str,
    },
    /// Lists of different lengths.
    #[error(
        "generator: `residual_channels` has {levels} levels but `growth_channels` has {growth}"
    )]
    Levels {
        /// Length of `residual_channels`.
        levels: usize,
        /// Length of `growth_channels`.
        growth: usize,
    },
    /// Channels that the architecture does not have.
    #[error("generator: `{field}` must be {expected} for {architecture:?}, not {found}")]
    Channels {
        /// The field at fault.
        field: &'static str,
        /// The architecture.
        architecture: Architecture,
        /// What it takes.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// A scale that is not a positive number.
    #[error("generator: `linear_scale` must be a positive number, not {0}")]
    LinearScale(f64),
}
