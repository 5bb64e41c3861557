//! The files of the reference folder, which are found by name, and their 32-bit floats.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, backend::Backend};
use chimle_core::nn::{WeightFile, WeightsError};

use crate::error::Error;

/// Returns the entries of a folder whose names begin with `start` and end with `end`, sorted.
pub(super) fn matching(folder: &Path, start: &str, end: &str) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        let path = entry.map_err(Error::read(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(start) && name.ends_with(end)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Returns a file's name without its folder.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Opens a file, or returns `None` if it does not exist.
pub(super) fn open(path: &Path) -> Result<Option<WeightFile>, WeightsError> {
    path.exists().then(|| WeightFile::open(path)).transpose()
}

/// Reads the tensor `name`, which must have the given shape.
pub(super) fn floats(
    file: &WeightFile,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>, WeightsError> {
    file.data(name, shape).map(|data| {
        data.into_vec()
            .expect("WeightFile::data returns 32-bit floats")
    })
}

/// Returns the values of a tensor.
pub(super) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Returns the shape of the tensor `name`, which must be RGB images.
pub(super) fn image_shape(file: &WeightFile, name: &str) -> Result<[usize; 4], Error> {
    let shape = file.shape(name)?;
    match shape[..] {
        [batch, 3, height, width] => Ok([batch, 3, height, width]),
        _ => Err(Error::Contents {
            path: file.path().to_owned(),
            reason: format!("`{name}` has shape {shape:?}, expected [batch, 3, height, width]"),
        }),
    }
}
