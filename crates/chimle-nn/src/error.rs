//! The errors of a configuration.

use crate::config::Architecture;

/// The reason why no generator can be made from a configuration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A size that is zero, or a list of sizes that is empty.
    #[error("generator: `{field}` must be at least 1")]
    Zero {
        /// The field at fault.
        field: &'static str,
    },
    /// A size, or a list of sizes, that is too large.
    #[error("generator: `{field}` must be at most {most}, not {found}")]
    TooLarge {
        /// The field at fault.
        field: &'static str,
        /// The largest allowed value.
        most: usize,
        /// The value.
        found: usize,
    },
    /// Sizes that are each allowed, but give a generator with too many parameters.
    #[error("generator: the configuration needs more than {most} parameters")]
    TooManyParameters {
        /// The largest allowed number of parameters.
        most: u64,
    },
    /// Lists of different lengths.
    #[error("generator: `residual_channels` has {levels} levels but `{field}` has {found}")]
    Levels {
        /// The length of `residual_channels`.
        levels: usize,
        /// The field whose length differs.
        field: &'static str,
        /// The length of this field.
        found: usize,
    },
    /// Channels that the architecture cannot have.
    #[error(
        "generator: `in_channels` and `out_channels` must be {needed} for {architecture:?}, not {in_channels} and {out_channels}"
    )]
    Channels {
        /// The architecture.
        architecture: Architecture,
        /// The channels of the conditioning.
        in_channels: usize,
        /// The channels of the output.
        out_channels: usize,
        /// The required numbers of channels, in words.
        needed: &'static str,
    },
    /// An encoder in a generator for super-resolution.
    #[error("generator: `encoder_channels` does not fit super-resolution, which takes no encoder")]
    Encoder,
    /// A scale that is not a positive number.
    #[error("generator: `linear_scale` must be a positive number, not {0}")]
    LinearScale(f64),
}
