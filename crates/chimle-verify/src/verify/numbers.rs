//! Safetensors files with integers, bytes and 64-bit floats.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::error::Error;

/// A safetensors file. Unlike [`WeightFile`](chimle_core::nn::WeightFile), it also reads integers, bytes
/// and 64-bit floats.
pub(super) struct Numbers {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Numbers {
    /// Reads the file.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(Error::read(path))?;
        let numbers = Self {
            path: path.to_owned(),
            bytes,
        };
        numbers.parse()?;
        Ok(numbers)
    }

    /// Returns the names that begin with `start`, sorted.
    pub(super) fn names_from(&self, start: &str) -> Result<Vec<String>, Error> {
        let file = self.parse()?;
        let names = file.names().into_iter().filter(|n| n.starts_with(start));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// Reads 64-bit integers, which must have the given shape.
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

    /// Reads rows of 64-bit floats, and returns them with the length of a row.
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

    /// Reads an image of bytes `[height, width, 3]`.
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
            .map_err(|_| self.error(format!("has no `{name}`")))?;
        if view.dtype() != kind {
            let found = view.dtype();
            return Err(self.error(format!("`{name}` is of type {found:?}, expected {kind:?}")));
        }
        Ok(view)
    }

    fn parse(&self) -> Result<SafeTensors<'_>, Error> {
        SafeTensors::deserialize(&self.bytes)
            .map_err(|e| self.error(format!("not a safetensors file, or damaged: {e}")))
    }

    fn error(&self, reason: String) -> Error {
        Error::Contents {
            path: self.path.clone(),
            reason,
        }
    }
}
