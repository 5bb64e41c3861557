//! Files of weights that also hold the generator's configuration and task, so that a model can be loaded from
//! the file alone.

use std::path::Path;

use burn::tensor::backend::Backend;
use chimle_data::TaskHandle;
use chimle_weights::WeightFile;

use crate::config::RunConfig;
use crate::error::Error;
use crate::generator::{ImageGenerator, NetworkConfig};

/// The key of the task's name in the metadata of a file of weights.
const TASK_KEY: &str = "chimle.task";

/// The metadata key of the output's size in training. The value `64x96` means 64 rows of 96 pixels.
const SIZE_KEY: &str = "chimle.size";

/// The task and the image size that a generator was trained for. They are stored in a file of weights next to
/// the generator's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedFor {
    /// The task.
    pub task: TaskHandle,
    /// The height and the width of the outputs in training, in pixels, if they are known.
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
    /// Creates a value for a generator whose size in training is not known.
    pub fn new(task: impl Into<TaskHandle>) -> Self {
        Self {
            task: task.into(),
            size: None,
        }
    }

    /// Reads the task and the size from the metadata of a file. If the file names no task, the
    /// [usual task](NetworkConfig::usual_task) of the generator is returned.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the file states an unknown task or an impossible size, or if it states no task and the
    /// generator has no usual one.
    pub fn of_file<C: NetworkConfig>(file: &WeightFile, config: &C) -> Result<Self, Error> {
        let error = |reason| Error::Config {
            path: file.path().to_owned(),
            reason,
        };
        let task = match file.metadata(TASK_KEY) {
            Some(name) => name.parse().map_err(|e| error(format!("its task: {e}")))?,
            None => config.usual_task().ok_or_else(|| {
                error("it does not name the task that it was trained for".to_owned())
            })?,
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

/// Writes a file of weights with the generator's parameters, its configuration, its task and its image size.
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

/// Creates the generator that a file describes, with the parameters of the file.
pub(crate) fn generator_of<B: Backend, G: ImageGenerator<B>>(
    file: &WeightFile,
    task: Option<&TaskHandle>,
    device: &B::Device,
) -> Result<G, Error> {
    let config = G::config_of_file(file, task.map(|task| &**task))?;
    Ok(ImageGenerator::load(G::from_config(&config, device), file)?)
}
