//! Reading named parameters from a file of weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData, bf16, f16};
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};

use crate::error::WeightsError;
use crate::pytorch::{NoValues, StateDict};
use crate::write::METADATA_KEY;

/// An open file of weights: safetensors (`.safetensors`) or a PyTorch state dict (`.pth`, `.pt`).
///
/// Values of 16 and 64 bits are converted to 32 bits. A state dict can have the zip layout or the
/// layout from before PyTorch 1.6, and its tensors can have any strides. The checksums of the zip
/// layout are checked. A state dict is refused if it needs anything that a plain dict of tensors does
/// not need, or if it claims sizes that the file does not have.
///
/// # Examples
///
/// ```no_run
/// # use burn::tensor::{Tensor, backend::Backend};
/// # fn example<B: Backend>(device: &B::Device) -> Result<(), chimle_weights::WeightsError> {
/// let file = chimle_weights::WeightFile::open("vgg16.pth")?;
/// let weight: Tensor<B, 4> = file.tensor("features.0.weight", [64, 3, 3, 3], device)?;
/// # Ok(())
/// # }
/// ```
pub struct WeightFile {
    path: PathBuf,
    content: Content,
}

enum Content {
    Safetensors(Parsed),
    Pytorch(StateDict),
}

/// A safetensors file in memory.
struct Parsed {
    bytes: Vec<u8>,
    /// The position at which the bytes of the parameters begin.
    start: usize,
    header: Metadata,
}

impl Parsed {
    /// Returns the bytes of a parameter. The header was checked against the file's length.
    fn data(&self, info: &TensorInfo) -> &[u8] {
        let (start, end) = info.data_offsets;
        &self.bytes[self.start + start..self.start + end]
    }
}

impl WeightFile {
    /// Opens the file and reads the list of its parameters.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Open`] if the file is missing or cannot be opened,
    /// [`WeightsError::UnknownFormat`] if its extension is unknown, [`WeightsError::Unreadable`] if it
    /// is damaged or does not match its extension.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref().to_path_buf();
        let extension = path.extension().and_then(|e| e.to_str());
        let content = match extension {
            Some("safetensors") => open_safetensors(&path),
            Some("pth" | "pt") => open_pytorch(&path),
            // A mistyped name gives the error that the file is missing, not that its kind is unknown.
            _ => {
                std::fs::metadata(&path).map_err(|source| cannot_open(&path, source))?;
                return Err(WeightsError::UnknownFormat { path });
            }
        }?;
        Ok(Self { path, content })
    }

    /// Reads a safetensors file that is in memory. Errors name the file `path`.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Unreadable`] if the bytes are not a complete safetensors file.
    pub fn from_safetensors(
        path: impl Into<PathBuf>,
        bytes: Vec<u8>,
    ) -> Result<Self, WeightsError> {
        let path = path.into();
        let content = parse_safetensors(&path, bytes)?;
        Ok(Self { path, content })
    }

    /// Returns the names of all parameters, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match &self.content {
            Content::Safetensors(file) => file.header.tensors().into_keys().collect(),
            Content::Pytorch(tensors) => tensors.names().map(str::to_owned).collect(),
        };
        names.sort();
        names
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the bytes of a safetensors file as they were read. Returns `None` for a state dict,
    /// which is read parameter by parameter.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Safetensors(file) => Some(&file.bytes),
            Content::Pytorch(_) => None,
        }
    }

    /// Returns the shape of the parameter `name`.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Missing`] if the file holds no such parameter.
    pub fn shape(&self, name: &str) -> Result<Vec<usize>, WeightsError> {
        match &self.content {
            Content::Safetensors(file) => file
                .header
                .info(name)
                .map(|info| info.shape.clone())
                .ok_or_else(|| self.missing(name)),
            Content::Pytorch(tensors) => tensors
                .shape(name)
                .map(<[usize]>::to_vec)
                .ok_or_else(|| self.missing(name)),
        }
    }

    /// Checks that the file holds the parameter `name` in this shape, without reading its values.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Missing`] if the file holds no such parameter, [`WeightsError::Shape`] if its
    /// shape is different.
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<(), WeightsError> {
        self.check_shape(name, shape, &self.shape(name)?)
    }

    /// Returns the text that [`write`](crate::write()) stored under `key` in a safetensors file, if
    /// any. Files of version 0.1.0, which stored each key separately, are read too.
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.all_metadata().remove(key)
    }

    /// Returns all text that [`write`](crate::write()) stored, by key.
    pub(crate) fn all_metadata(&self) -> BTreeMap<String, String> {
        let Content::Safetensors(file) = &self.content else {
            return BTreeMap::new();
        };
        let Some(metadata) = file.header.metadata() else {
            return BTreeMap::new();
        };
        let mut all: BTreeMap<String, String> = metadata.clone().into_iter().collect();
        if let Some(json) = all.remove(METADATA_KEY) {
            let ours: BTreeMap<String, String> = serde_json::from_str(&json).unwrap_or_default();
            all.extend(ours);
        }
        all
    }

    /// Returns the parameter `name`, which must have the given shape.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Missing`] if the file holds no such parameter, [`WeightsError::Shape`] if its
    /// shape is different, [`WeightsError::ElementType`] if its values are not floats,
    /// [`WeightsError::Values`] if its values cannot be read.
    pub fn tensor<B: Backend, const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        device: &B::Device,
    ) -> Result<Tensor<B, D>, WeightsError> {
        Ok(Tensor::from_data(self.data(name, &shape)?, device))
    }

    /// Returns the same values as [`tensor`](Self::tensor), on the host.
    ///
    /// # Errors
    ///
    /// The errors of [`tensor`](Self::tensor).
    pub fn data(&self, name: &str, shape: &[usize]) -> Result<TensorData, WeightsError> {
        let values = match &self.content {
            Content::Safetensors(file) => self.safetensors_values(file, name, shape)?,
            Content::Pytorch(tensors) => self.pytorch_values(tensors, name, shape)?,
        };
        Ok(TensorData::new(values, shape))
    }

    fn safetensors_values(
        &self,
        file: &Parsed,
        name: &str,
        shape: &[usize],
    ) -> Result<Vec<f32>, WeightsError> {
        let info = file.header.info(name).ok_or_else(|| self.missing(name))?;
        self.check_shape(name, shape, &info.shape)?;
        let data = file.data(info);
        match info.dtype {
            Dtype::F64 => Ok(read_values(data, |b| f64::from_le_bytes(b) as f32)),
            Dtype::F32 => Ok(read_values(data, f32::from_le_bytes)),
            Dtype::F16 => Ok(read_values(data, |b| f16::from_le_bytes(b).to_f32())),
            Dtype::BF16 => Ok(read_values(data, |b| bf16::from_le_bytes(b).to_f32())),
            other => Err(self.element_type(name, format!("{other:?}"))),
        }
    }

    fn pytorch_values(
        &self,
        tensors: &StateDict,
        name: &str,
        shape: &[usize],
    ) -> Result<Vec<f32>, WeightsError> {
        let found = tensors.shape(name).ok_or_else(|| self.missing(name))?;
        self.check_shape(name, shape, found)?;
        let values = tensors.values(name).ok_or_else(|| self.missing(name))?;
        values.map_err(|error| match error {
            NoValues::Type(found) => self.element_type(name, found.to_owned()),
            NoValues::Unreadable(reason) => self.values(name, reason),
        })
    }

    fn check_shape(
        &self,
        name: &str,
        expected: &[usize],
        found: &[usize],
    ) -> Result<(), WeightsError> {
        if expected == found {
            return Ok(());
        }
        Err(WeightsError::Shape {
            path: self.path.clone(),
            parameter: name.to_owned(),
            expected: expected.to_vec(),
            found: found.to_vec(),
        })
    }

    fn missing(&self, name: &str) -> WeightsError {
        WeightsError::Missing {
            path: self.path.clone(),
            parameter: name.to_owned(),
        }
    }

    fn element_type(&self, name: &str, found: String) -> WeightsError {
        WeightsError::ElementType {
            path: self.path.clone(),
            parameter: name.to_owned(),
            found,
        }
    }

    fn values(&self, name: &str, reason: String) -> WeightsError {
        WeightsError::Values {
            path: self.path.clone(),
            parameter: name.to_owned(),
            reason,
        }
    }
}

fn open_safetensors(path: &Path) -> Result<Content, WeightsError> {
    regular_file(path)?;
    let bytes = std::fs::read(path).map_err(|source| cannot_open(path, source))?;
    parse_safetensors(path, bytes)
}

fn parse_safetensors(path: &Path, bytes: Vec<u8>) -> Result<Content, WeightsError> {
    // This also compares the sizes with the file's length.
    let (length, header) =
        SafeTensors::read_metadata(&bytes).map_err(|e| unreadable(path, e.to_string()))?;
    // The parameters follow the header's length (8 bytes) and the header.
    let start = 8 + length;
    Ok(Content::Safetensors(Parsed {
        bytes,
        start,
        header,
    }))
}

fn open_pytorch(path: &Path) -> Result<Content, WeightsError> {
    regular_file(path)?;
    let file = StateDict::open(path);
    let file = file.map_err(|refusal| unreadable(path, refusal.into_reason()))?;
    Ok(Content::Pytorch(file))
}

/// Checks that the path is a regular file that can be opened. A folder, a pipe or a device may have
/// no end. A missing file and a damaged file give different errors.
fn regular_file(path: &Path) -> Result<(), WeightsError> {
    let failed = |source| cannot_open(path, source);
    // Opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(unreadable(path, "it is not a regular file".to_owned()));
    }
    std::fs::File::open(path).map_err(failed)?;
    Ok(())
}

fn cannot_open(path: &Path, source: std::io::Error) -> WeightsError {
    WeightsError::Open {
        path: path.to_path_buf(),
        source,
    }
}

fn unreadable(path: &Path, reason: String) -> WeightsError {
    WeightsError::Unreadable {
        path: path.to_path_buf(),
        reason,
    }
}

/// Converts numbers of `N` bytes each. The safetensors crate has checked that the length is a
/// multiple of `N`.
fn read_values<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<N>();
    numbers.iter().map(|b| number(*b)).collect()
}
