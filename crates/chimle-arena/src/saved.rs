//! Saving and loading of modules and optimizers in a checkpoint.

use std::fs;
use std::path::Path;

use burn::module::{AutodiffModule, Module};
use burn::optim::Optimizer;
use burn::record::{FullPrecisionSettings, NamedMpkBytesRecorder, Record, Recorder};
use burn::tensor::backend::{AutodiffBackend, Backend};

use crate::error::Error;

fn recorder() -> NamedMpkBytesRecorder<FullPrecisionSettings> {
    NamedMpkBytesRecorder::default()
}

fn save<B: Backend, R: Record<B>>(record: R, path: &Path) -> Result<(), Error> {
    let bytes = Recorder::<B>::record(&recorder(), record, ());
    let bytes = bytes.map_err(|error| damaged(path, &error))?;
    chimle_files::write(path, bytes).map_err(Error::file("write", path))
}

fn load<B: Backend, R: Record<B>>(path: &Path, device: &B::Device) -> Result<R, Error> {
    let bytes = fs::read(path).map_err(Error::file("read", path))?;
    let record = Recorder::<B>::load(&recorder(), bytes, device);
    record.map_err(|error| damaged(path, &error))
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Checkpoint {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// Writes a module to `NAME.mpk` in a folder: its parameters with their identifiers, and its
/// running statistics.
///
/// # Errors
///
/// If the file cannot be written.
pub fn save_module<B: Backend, M: Module<B>>(
    folder: &Path,
    name: &str,
    module: &M,
) -> Result<(), Error> {
    save::<B, _>(
        module.clone().into_record(),
        &folder.join(format!("{name}.mpk")),
    )
}

/// Reads a module that [`save_module`] wrote.
///
/// # Errors
///
/// If the file is missing or damaged.
pub fn load_module<B: Backend, M: Module<B>>(
    folder: &Path,
    name: &str,
    module: M,
    device: &B::Device,
) -> Result<M, Error> {
    let record = load::<B, _>(&folder.join(format!("{name}.mpk")), device)?;
    Ok(module.load_record(record))
}

/// Writes the state of an optimizer to `NAME.mpk` in a folder.
///
/// # Errors
///
/// If the file cannot be written.
pub fn save_optimizer<B, M, O>(folder: &Path, name: &str, optimizer: &O) -> Result<(), Error>
where
    B: AutodiffBackend,
    M: AutodiffModule<B>,
    O: Optimizer<M, B>,
{
    save::<B, _>(optimizer.to_record(), &folder.join(format!("{name}.mpk")))
}

/// Reads the state of an optimizer that [`save_optimizer`] wrote.
///
/// # Errors
///
/// If the file is missing or damaged.
pub fn load_optimizer<B, M, O>(
    folder: &Path,
    name: &str,
    optimizer: O,
    device: &B::Device,
) -> Result<O, Error>
where
    B: AutodiffBackend,
    M: AutodiffModule<B>,
    O: Optimizer<M, B>,
{
    let record = load::<B, _>(&folder.join(format!("{name}.mpk")), device)?;
    Ok(optimizer.load_record(record))
}
