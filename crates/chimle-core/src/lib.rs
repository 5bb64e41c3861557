//! CHIMLE in one crate: models that turn one image into many plausible ones.
//!
//! Use this crate to train, sample or measure such models from your own program. To search latent codes
//! for other kinds of generators, or for outputs that are not images, use [`imle`] by itself.
//!
//! - [`Trainer`] trains a generator from a [`RunConfig`] and writes it to a [`RunFolder`]. A run can be
//!   stopped and resumed.
//! - [`Model`] loads a trained generator and draws samples for an image.
//! - [`Draft`] is a picture that a person makes level by level by choosing candidates. A [`Recipe`] records
//!   these choices, so the same picture can be made again.
//! - [`evaluation`] measures a model on images that were not used in training, or measures images that
//!   another program made.
//!
//! You can replace the generator, the distance and the task with your own: see [`ImageGenerator`],
//! [`imle::Distance`] and [`data::Task`].
//!
//! All types are generic over the Burn backend. The crates of the workspace that this crate builds on are
//! re-exported: [`data`], [`imle`], [`knn`], [`metrics`], [`nn`], [`perceptual`].
//!
//! ```
//! use burn_flex::Flex;
//! use chimle_core::{Colorization, Model, Preset, RunConfig, Silent, Trainer};
//! # let folder = tempfile::tempdir()?;
//! # let run = folder.path().join("run");
//!
//! // Two steps on procedural scenes. A useful model needs a folder of photographs and many more steps.
//! let mut config = RunConfig::new(Colorization, Preset::Tiny);
//! config.training.steps = 2;
//! config.training.round = 4;
//! config.training.batch = 2;
//! let mut trainer = Trainer::<burn::backend::Autodiff<Flex>>::create(config, &run, Default::default())?;
//! trainer.run(&mut Silent)?;
//!
//! let model = Model::<Flex>::load(&run, &Default::default())?;
//! let gray = image::RgbImage::from_pixel(40, 24, image::Rgb([128; 3]));
//! let colorings = model.sample(&gray, 8, 0)?;
//! assert_eq!(colorings.len(), 8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checkpoint;
mod checksums;
mod config;
mod draft;
mod error;
pub mod evaluation;
mod event;
mod generator;
mod log;
mod memory;
mod model;
mod model_file;
mod not_finite;
pub mod optimizer;
pub mod parameters;
mod path_text;
mod position;
mod round;
mod run_folder;
mod scale;
mod seed;
mod sheet;
mod times;
mod trainer;
mod validation;
mod workers;

pub use chimle_data as data;
pub use chimle_imle as imle;
pub use chimle_knn as knn;
pub use chimle_metrics as metrics;
#[cfg(feature = "pretrained")]
pub use chimle_models as models;
pub use chimle_nn as nn;
pub use chimle_perceptual as perceptual;

pub use checkpoint::Checkpoint;
pub use chimle_data::{
    Colorization, Decompression, NightToDay, SuperResolution, Task, TaskHandle, read_rgb, register,
};
pub use chimle_imle::Strategy;
pub use chimle_nn::{
    Architecture, Compute, GeneratorConfig, Kernels, Precision, Preset, TrainingBackend,
};
pub use config::{
    BatchOrder, DataConfig, DataSource, DistanceConfig, Measure, RunConfig, SearchConfig,
    TrainingConfig, WeightedDistance,
};
pub use draft::{Code, Draft, DraftConfig, Layer, Mask, Nearest, Recipe, RecipeInput, Region};
pub use error::Error;
pub use event::{Event, Observer, SetValues, Silent};
pub use generator::{
    ImageGenerator, NetworkConfig, TrainableDistance, TrainableGenerator, architecture,
};
pub use log::{RunLog, SkippedLine};
pub use memory::explain;
pub use model::{Model, Vary, check_precision, load_generator, load_weights};
pub use model_file::{TrainedFor, save_generator};
pub use run_folder::RunFolder;
pub use scale::Scale;
pub use sheet::Sheet;
pub use times::Times;
pub use trainer::Trainer;
#[cfg(feature = "collective")]
pub use workers::{NodesConfig, Orchestrator};
