//! Reading numbers that JSON cannot represent. NaN and infinities are written as `null` and read as NaN.

use serde::{Deserialize, Deserializer};

/// Reads a number, or NaN for `null`.
pub(crate) fn number<'de, D: Deserializer<'de>, T: Deserialize<'de> + From<f32>>(
    from: D,
) -> Result<T, D::Error> {
    let number = Option::deserialize(from)?;
    Ok(number.unwrap_or_else(|| T::from(f32::NAN)))
}

/// Reads a list of numbers, with NaN for each `null`.
pub(crate) fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
    let numbers: Vec<Option<f32>> = Vec::deserialize(from)?;
    let numbers = numbers.into_iter();
    Ok(numbers.map(|number| number.unwrap_or(f32::NAN)).collect())
}
