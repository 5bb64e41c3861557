//! CHIMLE in one crate: models that turn one image into many plausible ones.
//!
//! - [`Model`] loads a trained generator and draws samples for an image.
//! - [`Trainer`] trains one, as a [`RunConfig`] says, into a run's folder; it stops and resumes.
//! - [`evaluate`](evaluate()) measures a model on images it has not seen, [`evaluate_folders`]
//!   images made by any program; both give a [`Report`].
//!
//! Everything is generic over a Burn backend; this crate names none. The crates it is made of are
//! re-exported: [`data`], [`imle`], [`knn`], [`metrics`], [`nn`], [`perceptual`].
//!
//! ```
//! use burn_flex::Flex;
//! use chimle_core::{Model, Preset, RunConfig, Silent, Task, Trainer};
//! # let folder = tempfile::tempdir()?;
//! # let run = folder.path().join("run");
//!
//! // A few steps on the procedural set; real photographs take a folder and patience.
//! let mut config = RunConfig::new(Task::Colorization, Preset::Tiny);
//! config.training.steps = 2;
//! config.training.share = 4;
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
mod config;
mod error;
mod evaluate;
mod event;
mod log;
mod memory;
mod model;
pub mod optimizer;
mod seed;
mod share;
mod sheet;
mod trainer;
mod validation;
mod whole_file;

pub use chimle_data as data;
pub use chimle_imle as imle;
pub use chimle_knn as knn;
pub use chimle_metrics as metrics;
pub use chimle_nn as nn;
pub use chimle_perceptual as perceptual;

pub use chimle_data::{Task, read_rgb};
pub use chimle_imle::Strategy;
pub use chimle_nn::{
    Architecture, Compute, GeneratorConfig, Kernels, Precision, Preset, TrainingBackend,
};
pub use config::{
    DataConfig, DataSource, DistanceConfig, RunConfig, SearchConfig, TrainingConfig, architecture,
};
pub use error::Error;
pub use evaluate::{
    AtBandwidth, Evaluation, EvaluationConfig, Figure, Instruments, Kept, Likeness, Measured,
    Modes, NeighborhoodFigures, REPORT_FORMAT, RealImages, Report, SetConfig, Sets, Spread, digits,
    evaluate, evaluate_folders,
};
pub use event::{Event, Observer, Silent};
pub use log::read_log;
pub use memory::{bytes_per_distance, bytes_per_output, explain};
pub use model::{Model, Vary, check_precision, load_generator};
pub use sheet::Sheet;
pub use trainer::Trainer;
pub use whole_file::write_whole;
