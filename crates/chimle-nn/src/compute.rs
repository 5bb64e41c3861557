//! The settings with which a generator is evaluated. They are not part of its configuration.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{DType, FloatDType, Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

/// The float type of the maps in the dense blocks, whose convolutions are nearly all of a
/// generator's work.
///
/// Everything else has 32 bits with every precision: weights, the optimizer's state, the streams
/// between the dense blocks, normalizations (which would amplify the rounding of 16 bits), images
/// and distances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the range of 32-bit floats. The maps take half the memory.
    Bf16,
    /// 16 bits with a finer step and a narrower range than `Bf16`. It is meant for evaluation,
    /// because the gradients of a loss may vanish in this range.
    F16,
}

impl Precision {
    /// All precisions.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    /// Returns whether the device can compute with this precision.
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

    /// Casts the input of a dense block to this precision. `F32` casts nothing, so a tensor of 64
    /// bits keeps its type.
    pub(crate) fn narrow<B: Backend, const D: usize>(self, tensor: Tensor<B, D>) -> Tensor<B, D> {
        match self {
            Self::F32 => tensor,
            Self::Bf16 | Self::F16 => tensor.cast(self.dtype()),
        }
    }

    /// Casts the output of a dense block back to 32 bits. `F32` casts nothing.
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

/// The settings with which a generator is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compute {
    /// The type of the dense blocks' maps.
    pub precision: Precision,
    /// Whether the backward pass computes the maps of each RRDB again, instead of keeping them from
    /// the forward pass. This costs about one more forward pass and needs only a small part of the
    /// memory.
    pub recompute: bool,
}
