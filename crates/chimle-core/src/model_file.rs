//! Files of weights that carry their configuration and their task, so a file alone makes a model.

use std::path::Path;

use burn::tensor::backend::Backend;
use chimle_data::TaskHandle;
use chimle_weights::WeightFile;

use crate::config::RunConfig;
use crate::error::Error;
use crate::generator::{ImageGenerator, NetworkConfig};

/// The key of the task's name in the metadata of a file of weights.
const TASK_KEY: &str = "chimle.task";

/// The key of the output's size in training, as in `64x96` for 64 rows of 96 pixels.
const SIZE_KEY: &str = "chimle.size";

/// What a generator was trained for. A file of weights says it, besides the configuration of the generator.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedFor {
    /// The task.
    pub task: TaskHandle,
    /// The height and the width of the outputs in training, in pixels, where they are known.
    pub size: Option<(usize, usize)>,
}

impl<C> From<&RunConfig<C>> for TrainedFor {
    fn from(config: &RunConfig<C>) -> Self {
        Self {
            task: config.task.clone(),
            size: Some((config.data.height, config.data.width)),
        }
    }
}

impl TrainedFor {
    /// Creates the description of a generator whose size of training is not known.
    pub fn new(task: impl Into<TaskHandle>) -> Self {
        Self {
            task: task.into(),
            size: None,
        }
    }

    /// Returns the task and the size that a file names. Where it names no task, this is the usual task of
    /// the generator.
    pub(crate) fn of_file<C: NetworkConfig>(file: &WeightFile, config: &C) -> Result<Self, Error> {
        let error = |reason| Error::Config {
            path: file.path().to_owned(),
            reason,
        };
        let task = match file.metadata(TASK_KEY) {
            Some(name) => name.parse().map_err(|e| error(format!("its task: {e}")))?,
            None => config
                .usual_task()
                .ok_or_else(|| error("it does not say for which task it was trained".to_owned()))?,
        };
        let size = match file.metadata(SIZE_KEY) {
            Some(text) => Some(parse_size(&text).ok_or_else(|| {
                error(format!(
                    "its size is {text:?}, not a height and a width as in 64x96"
                ))
            })?),
            None => None,
        };
        Ok(Self { task, size })
    }
}

fn parse_size(text: &str) -> Option<(usize, usize)> {
    let (height, width) = text.split_once('x')?;
    let side = |text: &str| text.parse().ok().filter(|side| (1..=65535).contains(side));
    Some((side(height)?, side(width)?))
}

/// Writes a generator with its configuration and what it was trained for.
///
/// # Errors
///
/// If the file cannot be written.
pub fn save_generator<B: Backend, G: ImageGenerator<B>>(
    generator: &G,
    trained_for: &TrainedFor,
    path: &Path,
) -> Result<(), Error> {
    let mut metadata = vec![(TASK_KEY, trained_for.task.to_string())];
    if let Some((height, width)) = trained_for.size {
        metadata.push((SIZE_KEY, format!("{height}x{width}")));
    }
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
