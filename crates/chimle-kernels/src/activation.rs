//! The activation that is applied together with a convolution.

/// The activation after a convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// No activation.
    #[default]
    Linear,
    /// `max(x, 0) + slope min(x, 0)`. The derivative is computed from the output, so the slope must
    /// not be negative.
    LeakyRelu {
        /// The slope of the negative side, at least zero.
        slope: f64,
    },
}

impl Activation {
    /// The activation `max(x, 0)`.
    pub const RELU: Self = Self::LeakyRelu { slope: 0.0 };
}
