//! Compares CHIMLE with rival methods: all are trained on the same images for the same CPU time, and measured in the same
//! way.
//!
//! Use this crate to compare your own method with CHIMLE and its rivals on your own images. The methods are scaled down to
//! minutes of CPU time, so the results must not be compared with those of the papers.
//!
//! - [`Method`] is the trait of everything that takes part. The methods of this crate are in [`Methods::built_in`].
//!   Each is one file, which follows the method's paper and says how the method was scaled down and what is not
//!   verified. Your own method implements [`Method`] and is added by [`Methods::with`]. It can use the parts of the
//!   built-in methods, such as [`Context`], [`Feed`], [`Space`], [`Trained`] and the networks.
//! - An [`ArenaConfig`] names the task, the images, the methods and the CPU time. It is a TOML file. Ready-made configurations
//!   are in the folder `configs` of this crate.
//! - An [`Arena`] is a configuration in a folder. [`Arena::run`] runs each job in its own process, because CPU time is
//!   measured per process. A run that was killed continues from its newest checkpoints.
//! - [`report`] writes `results.json` and a page: measures with their intervals, samples side by side, quality over CPU time.
//!
//! Samples of any other program can take part too, as a folder with `INPUT-NAME/0.png`, `INPUT-NAME/1.png` and so on. The
//! inputs and their names are in the folder `inputs` of an arena.
//!
//! # Examples
//!
//! ```no_run
//! use burn::backend::Autodiff;
//! use burn_flex::Flex;
//! use chimle_arena::{Arena, ArenaConfig, Job, Methods, report};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! type B = Autodiff<Flex>;
//! let methods = Methods::<B>::built_in(); // .with("my-method", ...)
//! let config = ArenaConfig::read("crates/chimle-arena/configs/scenes-colorization-64.toml".as_ref())?;
//! let arena = Arena::create(config, "runs/arena")?;
//! arena.prepare(&methods, &Default::default())?;
//!
//! // Runs one job in this process. `Arena::run` runs all jobs, each in its own process.
//! let job = Job::Train { method: "chimle".to_owned(), seed: 0 };
//! job.run(&arena.config, &arena.folder, &methods, &Default::default(), &|| false)?;
//! println!("{}", report(&arena, methods.names())?.display());
//! # Ok(())
//! # }
//! ```

mod arena;
mod backbone;
mod clock;
mod config;
mod context;
mod error;
mod feed;
mod folder;
mod job;
mod measure;
mod method;
mod methods;
mod networks;
mod random;
mod report;
mod results;
mod samples;
mod saved;
mod schedule;
mod space;
mod tasks;
mod trained;

pub use arena::{Arena, Notice, stop_with_parent};
pub use backbone::{
    CODE_VALUES, backbone, generate, repeat_outputs, sample_rows, sample_with_code,
};
pub use clock::CpuClock;
pub use config::{ArenaConfig, ArenaData, MeasureConfig, MethodConfig, WeightsConfig};
pub use context::{BackboneConfig, Context};
pub use error::Error;
pub use feed::Feed;
pub use folder::ArenaFolder;
pub use job::{Entry, Job};
pub use measure::{Evaluator, MeasuredFigure, Measures};
pub use method::{Costs, Method};
pub use methods::{
    BicycleGan, BicycleGanSettings, ChimleSettings, CimleSettings, Ddrm, DdrmSettings, Divco,
    DivcoSettings, Dncnn, DncnnSettings, Imle, InstColorization, InstColorizationSettings, Maker,
    Mean, MeanSettings, Methods, Monce, MonceSettings, Msgan, MsganSettings, Ndm, NdmSettings,
    RfbEsrgan, RfbEsrganSettings, Schedule, read_settings,
};
pub use networks::{
    Conv3x3, Discriminator, DiscriminatorConfig, Encoder, EncoderConfig, Normal,
    PatchDiscriminator, Pointwise, Unet, UnetConfig, enlarge, instance_norm, shuffle_pixels,
    stack_pixels,
};
pub use random::Random;
pub use report::report;
pub use results::{FrechetComparison, Results, Summary, SummaryFigure};
pub use samples::{input_name, read_samples, write_samples};
pub use saved::{load_module, load_optimizer, save_module, save_optimizer};
pub use space::{Space, signed_inputs};
pub use tasks::{OneMode, SimulatedNightToDay, Tiles, register_tasks};
pub use trained::Trained;
