//! The configuration of a run: all settings needed to repeat the run, as stored in its `config.toml`.

mod data;
mod distance;
mod presets;
mod training;

use std::path::{Path, PathBuf};

use chimle_data::{Dataset, DatasetConfig, Example, Sizes, TaskHandle};
use chimle_imle::{Neighbors, Search, SearchError};
use chimle_nn::GeneratorConfig;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::generator::NetworkConfig;
use crate::seed::{Stream, derive};

pub(crate) use data::Split;
pub use data::{DataConfig, DataSource};
pub use distance::{DistanceConfig, WeightedDistance};
pub use training::{BatchOrder, Measure, SearchConfig, TrainingConfig};

/// The format of a run folder that this version writes.
///
/// Format 1 (version 0.1.0 and before) draws different rounds, codes and held-out inputs from the same
/// seed. A run of format 1 can be sampled, evaluated and shown, but not resumed.
pub(crate) const FORMAT: u32 = 2;

fn first_format() -> u32 {
    1
}

/// A run's configuration. `C` is the configuration of its generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "C: NetworkConfig")]
pub struct RunConfig<C = GeneratorConfig> {
    /// The version of the run folder's format.
    #[serde(default = "first_format")]
    pub format: u32,
    /// The task that the generator learns, such as colorization.
    pub task: TaskHandle,
    /// The seed of all randomness.
    pub seed: u64,
    /// The run or the file of weights from which training starts. Without it, training starts from
    /// random weights.
    #[serde(
        default,
        with = "crate::path_text::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub init: Option<PathBuf>,
    /// The distance of the search and the loss.
    pub distance: DistanceConfig,
    /// Where examples come from, and their size.
    pub data: DataConfig,
    /// The latent search.
    pub search: SearchConfig,
    /// The schedule.
    pub training: TrainingConfig,
    /// The generator.
    pub generator: C,
}

impl<C: NetworkConfig> RunConfig<C> {
    /// Returns the same configuration with another generator.
    pub fn with_generator<D: NetworkConfig>(self, generator: D) -> RunConfig<D> {
        RunConfig {
            format: self.format,
            task: self.task,
            seed: self.seed,
            init: self.init,
            distance: self.distance,
            data: self.data,
            search: self.search,
            training: self.training,
            generator,
        }
    }

    /// Reads a configuration from a TOML file and [validates](Self::validate) it.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not TOML, has an unknown or missing key, or has a value that is not
    /// allowed. The error names the file and the key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
        let config: Self = toml::from_str(&text).map_err(|e| {
            // The message alone, without the excerpt of the file that `toml` prints around it.
            let place = e
                .span()
                .map(|span| text[..span.start].matches('\n').count() + 1);
            let place = place
                .map(|line| format!("line {line}: "))
                .unwrap_or_default();
            Error::Config {
                path: path.to_owned(),
                reason: format!("{place}{}", e.message().replace('\n', " ")),
            }
        })?;
        config.validate().map_err(|e| Error::Config {
            path: path.to_owned(),
            reason: e.to_string(),
        })?;
        Ok(config)
    }

    /// Returns the configuration as the text of a `config.toml`.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a configuration is plain data")
    }

    /// Checks that the configuration describes a possible run.
    ///
    /// # Errors
    ///
    /// If a field has a value that is not allowed. The error names the field and the allowed values.
    pub fn validate(&self) -> Result<(), Error> {
        if self.format > FORMAT {
            return Err(Error::Setting {
                field: "format",
                reason: format!(
                    "is {}, but chimle {} knows formats up to {FORMAT}: use a newer version",
                    self.format,
                    env!("CARGO_PKG_VERSION")
                ),
            });
        }
        self.distance.validate()?;
        self.generator.validate(&*self.task)?;
        self.search().validate(self.generator.levels())?;
        if self.search.neighbors != Neighbors::Exact && !self.distance.is_euclidean() {
            return Err(SearchError::NotEuclidean.into());
        }
        self.search.validate()?;
        self.data.validate()?;
        self.sizes()?;
        self.training.validate()
    }

    /// Computes the sizes of the images of an example.
    ///
    /// # Errors
    ///
    /// As [`Sizes::new`].
    pub fn sizes(&self) -> Result<Sizes, Error> {
        let levels = self.generator.levels();
        Ok(Sizes::new(
            &*self.task,
            levels,
            self.data.height,
            self.data.width,
        )?)
    }

    /// Returns the search that the configuration describes.
    pub fn search(&self) -> Search {
        Search::new(self.search.strategy.clone(), self.search.chunk)
            .with_neighbors(self.search.neighbors.clone())
    }

    /// Loads the examples to validate on, without augmentation.
    ///
    /// The examples come from `data.validation`, or are held out of `data.source`. If the data set is too
    /// small to hold any input out, the examples of its first input are returned. An example that cannot
    /// be read is skipped.
    ///
    /// # Errors
    ///
    /// As [`dataset`](Self::dataset); also if no example can be read.
    pub fn held_out(&self) -> Result<Vec<Example>, Error> {
        let seed = derive(self.seed, Stream::Validation, 0);
        let (mut examples, mut last) = (Vec::new(), None);
        let (dataset, inputs) = match &self.data.validation {
            Some(source) => {
                let dataset = self.dataset_of(source, false)?;
                let count = dataset.inputs().min(self.data.held_out.max(1));
                (dataset, (0..count).collect())
            }
            None => {
                let dataset = self.dataset(false)?;
                let inputs = self.split(&dataset).held_out;
                (dataset, inputs)
            }
        };
        for index in inputs.into_iter().flat_map(|input| dataset.observed(input)) {
            match dataset.example(index, seed) {
                Ok(example) => examples.push(example),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) if examples.is_empty() => Err(error.into()),
            _ => Ok(examples),
        }
    }

    /// Splits the inputs of the data set into training inputs and held-out inputs.
    pub(crate) fn split(&self, dataset: &Dataset) -> Split {
        if self.data.validation.is_some() {
            Split::none_held_out(dataset)
        } else if self.format == 1 {
            Split::at_end(dataset, self.data.held_out)
        } else {
            Split::draw(dataset, self.data.held_out, self.seed)
        }
    }

    /// Opens the data set. It contains both the training examples and the held-out examples.
    ///
    /// # Errors
    ///
    /// As [`Dataset::open`].
    pub fn dataset(&self, augment: bool) -> Result<Dataset, Error> {
        self.dataset_of(&self.data.source, augment)
    }

    fn dataset_of(&self, source: &DataSource, augment: bool) -> Result<Dataset, Error> {
        let source = source.resolve(&*self.task)?;
        let mut config = DatasetConfig::new(
            self.task.clone(),
            self.generator.levels(),
            self.data.height,
            self.data.width,
        )
        .with_augment(augment);
        config.smallest_crop = self.data.smallest_crop;
        config.transpose = self.data.transpose;
        config.cache_bytes = self.data.cache_mib << 20;
        Ok(Dataset::open(source, config)?)
    }
}
