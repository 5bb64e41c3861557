//! How a generator is evaluated, which is not part of what it is.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{DType, FloatDType, Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

/// The type in which the dense blocks keep and convolve their maps: nearly all of a generator's work.
///
/// Everything else is in 32 bits with any of them: weights, the optimizer's state, the streams
/// between the dense blocks, normalizations (which would enlarge what 16 bits round off), images and distances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the range of 32: half the memory for these maps.
    Bf16,
    /// 16 bits with a finer step and a narrow range, in which the gradients of a loss may vanish: for
    /// evaluation.
    F16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    /// Whether the device can compute in it.
    pub fn is_supported<B: Backend>(self, device: &B::Device) -> bool {
        B::supports_dtype(device, DType::from(self.dtype()))
    }

    fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
            Self::F16 => FloatDType::F16,
        }
    }

    /// As a dense block takes it. In 32 bits nothing is cast, so that a caller's 64 bits stay.
    pub(crate) fn narrow<B: Backend, const D: usize>(self, tensor: Tensor<B, D>) -> Tensor<B, D> {
        match self {
            Self::F32 => tensor,
            Self::Bf16 | Self::F16 => tensor.cast(self.dtype()),
        }
    }

    /// As it leaves a dense block.
    pub(crate) fn widen<B: Backend, const D: usize>(self, tensor: Tensor<B, D>) -> Tensor<B, D> {
        match self {
            Self::F32 => tensor,
            Self::Bf16 | Self::F16 => tensor.cast(FloatDType::F32),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|one| one.to_string() == text);
        found.ok_or_else(|| "must be f32, bf16 or f16".to_owned())
    }
}

/// How a generator is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compute {
    /// The type of the dense blocks' maps.
    pub precision: Precision,
    /// Whether the backward pass works the maps of each RRDB out again instead of keeping them:
    /// about one more forward pass, and a small part of the memory.
    pub recompute: bool,
}
