//! Writing named parameters to a safetensors file.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use burn::tensor::TensorData;
use safetensors::tensor::{Dtype, TensorView};

use crate::error::WeightsError;

/// Writes parameters as 32-bit floats, with `metadata` as text beside them.
///
/// The file is written under another name in the same folder, flushed to the disk and then renamed:
/// under `path` there is what was there before or the whole new file, whatever happens between.
///
/// # Errors
///
/// [`WeightsError::Write`].
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
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    let bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|e| failed(std::io::Error::other(e)))?;

    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    // Readable by others as any file is: a temporary file by itself would be its owner's alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(&bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}
