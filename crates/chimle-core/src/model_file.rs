//! Files of weights that carry their configuration and their task, so a file alone makes a model.

use std::path::Path;

use burn::tensor::backend::Backend;
use chimle_data::TaskHandle;
use chimle_weights::WeightFile;

use crate::error::Error;
use crate::generator::{ImageGenerator, NetworkConfig};

/// The key of the task's name in the metadata of a file of weights.
const TASK_KEY: &str = "chimle.task";

/// Writes a generator with its configuration and its task.
///
/// # Errors
///
/// If the file cannot be written.
pub fn save_generator<B: Backend, G: ImageGenerator<B>>(
    generator: &G,
    task: &TaskHandle,
    path: &Path,
) -> Result<(), Error> {
    let metadata = [(TASK_KEY, task.to_string())];
    Ok(ImageGenerator::save(generator, path, &metadata)?)
}

/// Makes the generator whose parameters a file holds.
pub(crate) fn generator_of<B: Backend, G: ImageGenerator<B>>(
    file: &WeightFile,
    task: Option<&TaskHandle>,
    device: &B::Device,
) -> Result<G, Error> {
    let config = G::config_of_file(file, task.map(|task| &**task))?;
    Ok(ImageGenerator::load(G::from_config(&config, device), file)?)
}

/// Returns the task that a file names, otherwise the usual task of the generator.
pub(crate) fn task_of<C: NetworkConfig>(
    file: &WeightFile,
    config: &C,
) -> Result<TaskHandle, Error> {
    let error = |reason| Error::Config {
        path: file.path().to_owned(),
        reason,
    };
    match file.metadata(TASK_KEY) {
        Some(name) => name.parse().map_err(|e| error(format!("its task: {e}"))),
        None => config
            .usual_task()
            .ok_or_else(|| error("it does not say for which task it was trained".to_owned())),
    }
}
