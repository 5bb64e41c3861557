//! Everything needed to repeat a run, as it stands in the run's `config.toml`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use chimle_data::{Dataset, DatasetConfig, Example, Source, Task};
use chimle_imle::{Neighbors, Objective, Search, SearchError, Strategy};
use chimle_nn::{Architecture, GeneratorConfig, Precision, Preset};
use chimle_perceptual::{Backbone, Distance, Lpips};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::seed::{Stream, derive};

/// A run's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// What the generator is asked to do.
    pub task: Task,
    /// The source of all randomness.
    pub seed: u64,
    /// Where examples come from, and their size.
    pub data: DataConfig,
    /// The distance of the search and the loss.
    pub distance: DistanceConfig,
    /// The latent search.
    pub search: SearchConfig,
    /// The schedule.
    pub training: TrainingConfig,
    /// The network.
    pub generator: GeneratorConfig,
}

/// Where examples come from, and their size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Photographs, pairs, or the procedural set.
    pub source: DataSource,
    /// Height of the output in pixels.
    pub height: usize,
    /// Width of the output in pixels.
    pub width: usize,
    /// Whether photographs are cropped, flipped and transposed at random.
    pub augment: bool,
    /// The smallest random crop, as a share in (0, 1] of the largest that fits the photograph.
    pub smallest_crop: f32,
    /// The most examples held out for validation; at most a tenth of the set is.
    pub held_out: usize,
    /// Threads that decode and degrade ahead of training.
    pub threads: usize,
}

/// Where examples come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DataSource {
    /// A folder of photographs; for a paired task, of pairs (see [`Source::detect`]).
    Folder(PathBuf),
    /// Two folders whose files correspond by name.
    Pairs {
        /// The folder of inputs.
        input: PathBuf,
        /// The folder of outputs.
        output: PathBuf,
    },
    /// Made-up scenes with known modes.
    Procedural {
        /// How many.
        scenes: usize,
    },
}

/// The distance of the search and the loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DistanceConfig {
    /// Mean absolute difference.
    L1,
    /// Mean squared difference.
    L2,
    /// Laplacian pyramid; needs no weights.
    LaplacianPyramid,
    /// LPIPS.
    Lpips {
        /// The network whose features are compared; VGG16 where a configuration does not say.
        #[serde(default)]
        backbone: Backbone,
        /// The network's weights, torchvision's `.pth` or safetensors.
        #[serde(alias = "vgg")]
        weights: PathBuf,
        /// LPIPS's linear weights for it; without them every feature counts the same.
        linear: Option<PathBuf>,
    },
}

/// The latent search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    /// Hierarchical (CHIMLE) with its pools, or flat (cIMLE).
    pub strategy: Strategy,
    /// The most candidates evaluated in one batch; fewer, where memory does not hold so many.
    pub chunk: usize,
    /// How the nearest of a pool is found: exactly, unless the file says otherwise.
    #[serde(default)]
    pub neighbors: Neighbors,
}

/// The schedule of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Steps in all.
    pub steps: u64,
    /// Inputs drawn and searched together, each with all its observed outputs (400 in the authors'
    /// release).
    pub share: usize,
    /// Steps between two searches, the codes held (10,000 in the authors' release).
    pub steps_per_search: u64,
    /// Examples in a step.
    pub batch: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// The mapping networks learn at this share of the rate.
    pub mapping_rate: f64,
    /// Steps after which the rate is multiplied by `decay`.
    pub milestones: Vec<u64>,
    /// See `milestones`.
    pub decay: f64,
    /// Standard deviation of the noise added to chosen codes at every step; 0 for none.
    pub perturbation: f64,
    /// What is summed into the loss.
    pub objective: Objective,
    /// The type of the local stream's maps: f32 or bf16.
    #[serde(default)]
    pub precision: Precision,
    /// Whether the backward pass works the maps of each RRDB out again instead of keeping them.
    #[serde(default)]
    pub recompute: bool,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// Steps between two validations.
    pub validate_every: u64,
    /// Checkpoints kept, the newest.
    pub keep: usize,
}

impl TrainingConfig {
    /// Another length of the schedule; the learning rate falls at the same shares of it. A schedule
    /// of no steps keeps its milestones, so that it can be made longer again.
    pub fn set_steps(&mut self, steps: u64) {
        if steps > 0 && self.steps > 0 {
            for milestone in &mut self.milestones {
                let scaled = u128::from(*milestone) * u128::from(steps) / u128::from(self.steps);
                *milestone = scaled as u64;
            }
        }
        self.steps = steps;
    }
}

/// The architecture that a task takes.
pub fn architecture(task: Task) -> Architecture {
    match task {
        Task::SuperResolution => Architecture::SuperResolution,
        Task::Colorization => Architecture::Colorization,
        Task::Decompression | Task::NightToDay => Architecture::ImageToImage,
    }
}

impl RunConfig {
    /// A preset's network with the schedule that suits it, on the procedural set, with the
    /// Laplacian-pyramid distance.
    pub fn new(task: Task, preset: Preset) -> Self {
        let generator = GeneratorConfig::preset(preset, architecture(task));
        let coarsest = match preset {
            Preset::Tiny | Preset::Small => 8,
            Preset::Paper => 32,
        };
        let side = coarsest * generator.enlargement();
        let release = TrainingConfig {
            steps: 200_000,
            share: 400,
            steps_per_search: 10_000,
            batch: 1,
            learning_rate: 1e-4,
            mapping_rate: 0.01,
            milestones: vec![100_000, 150_000],
            decay: 0.5,
            perturbation: 0.0,
            objective: Objective {
                intermediate_supervision: true,
            },
            precision: Precision::F32,
            recompute: false,
            checkpoint_every: 1000,
            validate_every: 1000,
            keep: 2,
        };
        let (pools, training) = match preset {
            Preset::Paper => (vec![200, 200, 20, 10], release),
            Preset::Small => (
                vec![20, 20, 10, 5],
                TrainingConfig {
                    steps: 20_000,
                    share: 64,
                    steps_per_search: 100,
                    batch: 8,
                    learning_rate: 1e-3,
                    mapping_rate: 0.1,
                    milestones: vec![12_000, 16_000],
                    checkpoint_every: 100,
                    validate_every: 100,
                    ..release
                },
            ),
            Preset::Tiny => (
                vec![16, 2, 1],
                TrainingConfig {
                    steps: 2000,
                    share: 64,
                    steps_per_search: 16,
                    batch: 16,
                    learning_rate: 3e-3,
                    mapping_rate: 1.0,
                    milestones: vec![1200, 1600],
                    checkpoint_every: 100,
                    validate_every: 200,
                    ..release
                },
            ),
        };
        Self {
            task,
            seed: 0,
            data: DataConfig {
                source: DataSource::Procedural { scenes: 512 },
                height: side,
                width: side,
                augment: true,
                smallest_crop: 0.75,
                held_out: 32,
                threads: std::thread::available_parallelism().map_or(1, usize::from),
            },
            distance: DistanceConfig::LaplacianPyramid,
            search: SearchConfig {
                strategy: Strategy::Hierarchical { pools },
                chunk: 64,
                neighbors: Neighbors::Exact,
            },
            training,
            generator,
        }
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, has a key that is unknown or missing, or says
    /// something impossible; each names the file and the key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
        let config: Self = toml::from_str(&text).map_err(|e| {
            // The first line says where, the rest draws a picture of it.
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

    /// The text of a `config.toml`.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a configuration is plain data")
    }

    /// Whether a run can be made of it.
    ///
    /// # Errors
    /// Names the field and what it must be.
    pub fn validate(&self) -> Result<(), Error> {
        self.generator.validate()?;
        self.search().validate(self.generator.levels())?;
        let is_euclidean = matches!(
            self.distance,
            DistanceConfig::L2 | DistanceConfig::Lpips { .. }
        );
        if self.search.neighbors != Neighbors::Exact && !is_euclidean {
            return Err(SearchError::NotEuclidean.into());
        }
        chimle_data::check_sides(
            self.task,
            self.generator.levels(),
            self.data.height,
            self.data.width,
        )?;
        if self.generator.architecture != architecture(self.task) {
            return Err(Error::Setting {
                field: "generator.architecture",
                reason: format!("must be {:?} for {}", architecture(self.task), self.task),
            });
        }
        let training = &self.training;
        if training.precision == Precision::F16 {
            return Err(Error::Setting {
                field: "training.precision",
                reason: "must be f32 or bf16: gradients are too small for f16".to_owned(),
            });
        }
        let counts = [
            ("training.share", training.share as u64),
            ("training.steps_per_search", training.steps_per_search),
            ("training.batch", training.batch as u64),
            ("training.checkpoint_every", training.checkpoint_every),
            ("training.validate_every", training.validate_every),
            ("training.keep", training.keep as u64),
            ("search.chunk", self.search.chunk as u64),
        ];
        if let Some((field, _)) = counts.into_iter().find(|&(_, count)| count == 0) {
            return Err(Error::Setting {
                field,
                reason: "must be at least 1".to_owned(),
            });
        }
        let numbers = [
            (
                "training.learning_rate",
                training.learning_rate,
                f64::MIN_POSITIVE,
            ),
            ("training.mapping_rate", training.mapping_rate, 0.0),
            ("training.decay", training.decay, f64::MIN_POSITIVE),
            ("training.perturbation", training.perturbation, 0.0),
        ];
        for (field, value, least) in numbers {
            if !(value.is_finite() && value >= least) {
                let needed = if least > 0.0 { "above 0" } else { "0 or more" };
                return Err(Error::Setting {
                    field,
                    reason: format!("must be {needed}, not {value}"),
                });
            }
        }
        Ok(())
    }

    /// The search it describes.
    pub fn search(&self) -> Search {
        Search::new(self.search.strategy.clone(), self.search.chunk)
            .with_neighbors(self.search.neighbors.clone())
    }

    /// The examples that a run of it does not train on (in a set too small to hold any out, its first),
    /// without augmentation. One that cannot be read is left out.
    ///
    /// # Errors
    /// As [`dataset`](Self::dataset); also if none can be read.
    pub fn held_out(&self) -> Result<Vec<Example>, Error> {
        let dataset = self.dataset(false)?;
        let seed = derive(self.seed, Stream::Validation, 0);
        let (mut examples, mut last) = (Vec::new(), None);
        for index in self.split(&dataset).1 {
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

    /// How many inputs are trained on, the first ones, and the examples that are held out.
    pub(crate) fn split(&self, dataset: &Dataset) -> (usize, Range<usize>) {
        let held_out = (dataset.inputs() / 10).min(self.data.held_out);
        let training = dataset.inputs() - held_out;
        // Too small a set to hold any out: the samples shown are of examples trained on.
        let shown = if held_out == 0 {
            0..dataset.len().min(1)
        } else {
            dataset.observed(training).start..dataset.len()
        };
        (training, shown)
    }

    /// Its data set: the examples to train on and those held out are views of it.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn dataset(&self, augment: bool) -> Result<Dataset, Error> {
        let source = self.data.source.resolve(self.task)?;
        let mut config = DatasetConfig::new(
            self.task,
            self.generator.levels(),
            self.data.height,
            self.data.width,
        )
        .with_augment(augment);
        config.smallest_crop = self.data.smallest_crop;
        Ok(Dataset::open(source, config)?)
    }
}

impl DataSource {
    /// The source as `chimle-data` knows it.
    ///
    /// # Errors
    /// As [`Source::detect`].
    pub fn resolve(&self, task: Task) -> Result<Source, Error> {
        Ok(match self {
            Self::Folder(folder) => Source::detect(task, folder)?,
            Self::Pairs { input, output } => Source::PairedFolders {
                input: input.clone(),
                output: output.clone(),
            },
            Self::Procedural { scenes } => Source::Procedural { scenes: *scenes },
        })
    }
}

impl DistanceConfig {
    /// The distance, its weights read from their files.
    ///
    /// # Errors
    /// Names the file of weights that is missing, damaged or another network's.
    pub fn load<B: Backend>(&self, device: &B::Device) -> Result<Distance<B>, Error> {
        Ok(match self {
            Self::L1 => Distance::L1,
            Self::L2 => Distance::L2,
            Self::LaplacianPyramid => Distance::LaplacianPyramid,
            Self::Lpips {
                backbone,
                weights,
                linear,
            } => {
                let linear = linear.as_deref();
                Distance::Lpips(Lpips::load_on(*backbone, weights, linear, device)?)
            }
        })
    }

    /// What to call it beside its numbers: those of two names are not comparable.
    pub fn name(&self) -> String {
        match self {
            Self::L1 => "L1".to_owned(),
            Self::L2 => "L2".to_owned(),
            Self::LaplacianPyramid => "Laplacian pyramid".to_owned(),
            Self::Lpips {
                backbone, linear, ..
            } => {
                let network = match backbone {
                    Backbone::Vgg16 => "VGG16",
                    Backbone::AlexNet => "AlexNet",
                    Backbone::SqueezeNet => "SqueezeNet 1.1",
                };
                match linear {
                    Some(_) => format!("LPIPS ({network})"),
                    None => format!("unweighted {network} distance"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_falls_at_the_same_shares_of_a_schedule_of_any_length() {
        let mut training = RunConfig::new(Task::Colorization, Preset::Tiny).training;
        let shares = |t: &TrainingConfig| -> Vec<f64> {
            let shares = t.milestones.iter().map(|&m| m as f64 / t.steps as f64);
            shares.collect()
        };
        let before = shares(&training);
        training.set_steps(500_000);
        assert_eq!(training.steps, 500_000);
        assert_eq!(shares(&training), before);
    }

    #[test]
    fn a_schedule_of_no_steps_does_not_forget_when_the_rate_falls() {
        let mut training = RunConfig::new(Task::Colorization, Preset::Tiny).training;
        let milestones = training.milestones.clone();
        training.set_steps(0);
        training.set_steps(100);
        assert_eq!((training.steps, training.milestones), (100, milestones));
    }
}
