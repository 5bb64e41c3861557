//! What follows a convolution at once.

/// The activation after a convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// None.
    #[default]
    Linear,
    /// `max(x, 0) + slope min(x, 0)`. Its derivative is read off its output, so that the slope may
    /// not be negative.
    LeakyRelu {
        /// At least zero.
        slope: f64,
    },
}

impl Activation {
    /// `max(x, 0)`
    pub const RELU: Self = Self::LeakyRelu { slope: 0.0 };
}
