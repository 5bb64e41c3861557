//! The element types of PyTorch's storages.

use burn::tensor::{bf16, f16};

/// The type of a storage's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ElementType {
    Float64,
    Float32,
    Float16,
    BFloat16,
    /// A type that is not converted, with its name in PyTorch and its size in bytes.
    Other(&'static str, u64),
}

impl ElementType {
    /// Returns the element type of a storage class, given the name of the class.
    pub(super) fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "DoubleStorage" => Self::Float64,
            "FloatStorage" => Self::Float32,
            "HalfStorage" => Self::Float16,
            "BFloat16Storage" => Self::BFloat16,
            "LongStorage" => Self::Other("int64", 8),
            "IntStorage" => Self::Other("int32", 4),
            "ShortStorage" => Self::Other("int16", 2),
            "CharStorage" => Self::Other("int8", 1),
            "ByteStorage" => Self::Other("uint8", 1),
            "BoolStorage" => Self::Other("bool", 1),
            "ComplexFloatStorage" => Self::Other("complex64", 8),
            "ComplexDoubleStorage" => Self::Other("complex128", 16),
            _ => return None,
        })
    }

    /// Returns the size of an element in bytes.
    pub(super) fn size(self) -> u64 {
        match self {
            Self::Float64 => 8,
            Self::Float32 => 4,
            Self::Float16 | Self::BFloat16 => 2,
            Self::Other(_, size) => size,
        }
    }

    /// Converts elements to 32-bit floats. If the type is not a float, the error is its name.
    pub(super) fn to_f32(self, bytes: &[u8]) -> Result<Vec<f32>, &'static str> {
        Ok(match self {
            Self::Float64 => convert(bytes, |b| f64::from_le_bytes(b) as f32),
            Self::Float32 => convert(bytes, f32::from_le_bytes),
            Self::Float16 => convert(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Self::BFloat16 => convert(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Self::Other(name, _) => return Err(name),
        })
    }
}

fn convert<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<N>();
    numbers.iter().map(|bytes| number(*bytes)).collect()
}
