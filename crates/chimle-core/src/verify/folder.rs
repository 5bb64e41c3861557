//! Finding files of a folder by name, and reading what is not a floating-point tensor.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, backend::Backend};
use chimle_nn::{WeightFile, WeightsError};
use image::RgbImage;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::error::Error;

/// The entries of a folder whose name begins and ends so, sorted.
pub(super) fn matching(folder: &Path, start: &str, end: &str) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::file("read", folder))? {
        let path = entry.map_err(Error::file("read", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(start) && name.ends_with(end)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A file's name without its folder.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The file, if it exists.
pub(super) fn open(path: &Path) -> Result<Option<WeightFile>, WeightsError> {
    path.exists().then(|| WeightFile::open(path)).transpose()
}

/// The values under `name`, which must have the given shape.
pub(super) fn floats(
    file: &WeightFile,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>, WeightsError> {
    file.data(name, shape).map(|data| {
        data.into_vec()
            .expect("a file of weights gives 32-bit floats")
    })
}

/// A tensor's values.
pub(super) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// A safetensors file that holds integers too.
pub(super) struct Numbers {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Numbers {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(Error::file("read", path))?;
        let numbers = Self {
            path: path.to_owned(),
            bytes,
        };
        numbers.parse()?;
        Ok(numbers)
    }

    /// The names that begin so, sorted.
    pub(super) fn names_from(&self, start: &str) -> Result<Vec<String>, Error> {
        let file = self.parse()?;
        let names = file.names().into_iter().filter(|n| n.starts_with(start));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// 64-bit integers, which must have the given shape.
    pub(super) fn integers(&self, name: &str, shape: &[usize]) -> Result<Vec<i64>, Error> {
        let file = self.parse()?;
        let view = self.view(&file, name, Dtype::I64)?;
        if view.shape() != shape {
            let found = view.shape();
            return Err(self.error(format!("`{name}` has shape {found:?}, expected {shape:?}")));
        }
        let (numbers, _) = view.data().as_chunks::<8>();
        Ok(numbers.iter().map(|b| i64::from_le_bytes(*b)).collect())
    }

    /// Rows of 64-bit floats, and how many are in a row.
    pub(super) fn rows(&self, name: &str) -> Result<(Vec<f64>, usize), Error> {
        let file = self.parse()?;
        let view = self.view(&file, name, Dtype::F64)?;
        let &[_, dimension] = view.shape() else {
            let found = view.shape();
            return Err(self.error(format!(
                "`{name}` has shape {found:?}, expected [images, features]"
            )));
        };
        let (numbers, _) = view.data().as_chunks::<8>();
        let values = numbers.iter().map(|b| f64::from_le_bytes(*b)).collect();
        Ok((values, dimension))
    }

    /// An image of bytes `[height, width, 3]`.
    pub(super) fn picture(&self, name: &str) -> Result<RgbImage, Error> {
        let file = self.parse()?;
        let view = self.view(&file, name, Dtype::U8)?;
        let picture = match view.shape() {
            &[height, width, 3] => u32::try_from(width)
                .ok()
                .zip(u32::try_from(height).ok())
                .and_then(|(w, h)| RgbImage::from_raw(w, h, view.data().to_vec())),
            _ => None,
        };
        picture.ok_or_else(|| {
            let found = view.shape();
            self.error(format!(
                "`{name}` has shape {found:?}, expected [height, width, 3]"
            ))
        })
    }

    fn view<'a>(
        &self,
        file: &SafeTensors<'a>,
        name: &str,
        kind: Dtype,
    ) -> Result<TensorView<'a>, Error> {
        let view = file
            .tensor(name)
            .map_err(|_| self.error(format!("holds no `{name}`")))?;
        if view.dtype() != kind {
            let found = view.dtype();
            return Err(self.error(format!("`{name}` is of type {found:?}, expected {kind:?}")));
        }
        Ok(view)
    }

    fn parse(&self) -> Result<SafeTensors<'_>, Error> {
        SafeTensors::deserialize(&self.bytes)
            .map_err(|e| self.error(format!("no safetensors file, or damaged: {e}")))
    }

    fn error(&self, reason: String) -> Error {
        Error::Config {
            path: self.path.clone(),
            reason,
        }
    }
}
