//! Named parameters in files: safetensors and PyTorch state dicts.
//!
//! [`WeightFile`] reads both formats. [`write()`] writes a safetensors file, which appears under its
//! name only when it is complete. [`write_halved`] writes the parameters of an open file as 16-bit
//! floats. A [`WeightsError`] prints as one line that names the file. If the error is about one
//! parameter, it also names the parameter, and the two shapes if they differ.
//!
//! Use this crate to load the weights of a network on any Burn backend. It is made for files that
//! are read once: a safetensors file is held in memory. It does not know which parameters a network
//! has, so the crate of the network asks for them by name.
//!
//! # Examples
//!
//! ```
//! use burn::tensor::{Tensor, TensorData};
//! use burn_flex::Flex;
//! use chimle_weights::{WeightFile, write};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("layer.safetensors");
//! let bias = TensorData::from([0.5f32, -0.5]);
//! write(&path, &[("bias".to_owned(), bias)], &[("made by", "an example".to_owned())])?;
//!
//! let file = WeightFile::open(&path)?;
//! let bias: Tensor<Flex, 1> = file.tensor("bias", [2], &Default::default())?;
//! assert_eq!(bias.to_data(), TensorData::from([0.5f32, -0.5]));
//!
//! let wrong = file.tensor::<Flex, 1>("bias", [3], &Default::default()).unwrap_err();
//! assert!(wrong.to_string().ends_with("`bias` has shape [2], expected [3]"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod pytorch;
mod read;
mod write;

pub use error::WeightsError;
pub use read::WeightFile;
pub use write::{write, write_halved};
