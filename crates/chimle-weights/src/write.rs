//! Writing named parameters to a safetensors file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::tensor::TensorData;
use safetensors::tensor::{Dtype, TensorView};

use crate::error::WeightsError;

/// The single key of all metadata. The value is a JSON object. The safetensors crate writes several
/// keys in a random order, so equal models would have different files.
pub(crate) const METADATA_KEY: &str = "chimle";

/// Writes parameters as 32-bit floats, together with `metadata` as text. The same contents always give
/// the same bytes.
///
/// The file is written whole or not at all: if anything fails, the previous file at `path` stays.
///
/// # Errors
///
/// Returns [`WeightsError::Write`] if the file cannot be written.
pub fn write(
    path: impl AsRef<Path>,
    parameters: &[(String, TensorData)],
    metadata: &[(&str, String)],
) -> Result<(), WeightsError> {
    let path = path.as_ref();
    let failed = |source: std::io::Error| WeightsError::Write {
        path: path.to_path_buf(),
        source,
    };
    let values: Vec<TensorData> = parameters
        .iter()
        .map(|(_, data)| data.clone().convert::<f32>())
        .collect();
    let views = parameters.iter().zip(&values).map(|((name, _), data)| {
        TensorView::new(Dtype::F32, data.shape.to_vec(), data.as_bytes())
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
