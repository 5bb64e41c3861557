//! Writing named parameters to a safetensors file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::tensor::{TensorData, f16};
use safetensors::tensor::{Dtype, TensorView};

use crate::error::WeightsError;
use crate::read::WeightFile;

/// The single key of all metadata. The value is a JSON object. The safetensors crate writes several
/// keys in a random order, so equal models would have different files.
pub(crate) const METADATA_KEY: &str = "chimle";

/// Writes parameters as 32-bit floats, together with `metadata` as text. The same contents always give
/// the same bytes.
///
/// The file is written completely or not at all: if anything fails, the previous file at `path` stays.
///
/// # Errors
///
/// [`WeightsError::Write`] if the file cannot be written.
pub fn write(
    path: impl AsRef<Path>,
    parameters: &[(String, TensorData)],
    metadata: &[(&str, String)],
) -> Result<(), WeightsError> {
    write_values(path.as_ref(), Dtype::F32, parameters, metadata)
}

/// Writes the parameters of an open file as 16-bit floats, together with its metadata. The new file has
/// about half the size.
///
/// A value is rounded to the nearest 16-bit float. For magnitudes in [6.1e-5, 65504], the relative
/// error is at most 2^-11. For smaller magnitudes, the absolute error is at most 3e-8. The file is
/// written completely or not at all.
///
/// # Errors
///
/// [`WeightsError::Values`] if a value is too large for 16 bits, the errors of [`WeightFile::data`], or
/// [`WeightsError::Write`] if the file cannot be written.
///
/// # Examples
///
/// ```
/// use burn::tensor::TensorData;
/// use chimle_weights::{WeightFile, write, write_halved};
///
/// let folder = tempfile::tempdir()?;
/// let whole = folder.path().join("whole.safetensors");
/// let half = folder.path().join("half.safetensors");
/// write(&whole, &[("w".to_owned(), TensorData::from([0.5f32, 0.1]))], &[])?;
///
/// write_halved(&WeightFile::open(&whole)?, &half)?;
/// let values: Vec<f32> = WeightFile::open(&half)?.data("w", &[2])?.iter::<f32>().collect();
/// assert_eq!(values[0], 0.5);
/// assert!((values[1] - 0.1).abs() < 0.1 / 2048.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_halved(file: &WeightFile, path: impl AsRef<Path>) -> Result<(), WeightsError> {
    let mut parameters = Vec::new();
    for name in file.names() {
        let data = file.data(&name, &file.shape(&name)?)?;
        let too_large = |v: &f32| v.is_finite() && f16::from_f32(*v).is_infinite();
        let found = data.iter::<f32>().find(too_large);
        if let Some(value) = found {
            return Err(WeightsError::Values {
                path: file.path().to_path_buf(),
                parameter: name,
                reason: format!("{value} is too large for a 16-bit float"),
            });
        }
        parameters.push((name, data));
    }
    let metadata = file.all_metadata();
    let metadata: Vec<(&str, String)> = metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();
    write_values(path.as_ref(), Dtype::F16, &parameters, &metadata)
}

fn write_values(
    path: &Path,
    element: Dtype,
    parameters: &[(String, TensorData)],
    metadata: &[(&str, String)],
) -> Result<(), WeightsError> {
    let failed = |source: std::io::Error| WeightsError::Write {
        path: path.to_path_buf(),
        source,
    };
    let values: Vec<TensorData> = parameters
        .iter()
        .map(|(_, data)| match element {
            Dtype::F16 => data.clone().convert::<f16>(),
            _ => data.clone().convert::<f32>(),
        })
        .collect();
    let views = parameters.iter().zip(&values).map(|((name, _), data)| {
        TensorView::new(element, data.shape.to_vec(), data.as_bytes())
            .map(|view| (name.as_str(), view))
            .map_err(|e| failed(std::io::Error::other(e)))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>()?;
    let metadata: BTreeMap<&str, &String> =
        metadata.iter().map(|(key, value)| (*key, value)).collect();
    let metadata = serde_json::to_string(&metadata).expect("text is plain data");
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata)]);
    let bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|e| failed(std::io::Error::other(e)))?;
    chimle_files::write(path, bytes).map_err(failed)
}
