//! A model as the command line names it: a run folder, or a file of weights.

use std::path::Path;

use burn::tensor::backend::Backend;
use chimle_core::{Kernels, Model, RunConfig, RunFolder, TaskHandle};

use crate::error::Failure;

/// A model, and the configuration of its run if it has one.
pub struct Located<B: Backend> {
    pub model: Model<B>,
    /// `None` for a file of weights.
    pub run: Option<RunConfig>,
}

impl<B: Kernels> Located<B> {
    /// Loads the model at `path`. A given task replaces the task that the model was trained for.
    ///
    /// # Errors
    ///
    /// If the path holds no model, or the task does not fit it.
    pub fn load(
        path: &Path,
        task: Option<&TaskHandle>,
        device: &B::Device,
    ) -> Result<Self, Failure> {
        let run = run_at(path)?;
        let model = Model::load(path, device)?;
        let model = match task {
            Some(task) => {
                let reason = |error: chimle_core::Error| Failure::Flag {
                    flag: "--task",
                    reason: format!("{task} does not fit {}: {error}", path.display()),
                };
                model.with_task(task.clone()).map_err(reason)?
            }
            None => model,
        };
        Ok(Self { model, run })
    }
}

/// Reads the configuration of the run at `path`. Returns `None` for a file of weights.
///
/// # Errors
///
/// If the path is a folder that holds no run, or one whose configuration cannot be read.
pub fn run_at(path: &Path) -> Result<Option<RunConfig>, Failure> {
    if !path.is_dir() {
        return Ok(None);
    }
    Ok(Some(RunFolder::at(path).read_config()?))
}
