//! `chimle bench`: times a network.

use std::path::PathBuf;

use chimle_core::{
    Compute, DistanceConfig, Precision, Preset, RunConfig, Silent, TaskHandle, Trainer,
    TrainingBackend,
};
use chimle_verify::{BenchConfig, bench, count, read_network};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::device::{Command, Common};
use crate::error::Failure;
use crate::lpips::BackboneName;
use crate::{flags, lpips, output};

/// Times a forward pass, a training step and a search of a network on random data, or times a run of training.
///
/// Prints one JSON object on one line: medians in milliseconds after a warm-up, the number of parameters, and the
/// device. With --train it runs the real loop of `chimle train` (with its data, searches, validations, checkpoints
/// and log, in a temporary folder) and prints where its time went, in seconds.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Bench {
    /// The network: a JSON file with levels, residual_channels, growth_channels, rrdb_per_level, code_channels,
    /// map_code, latent, in_channels and out_channels
    #[arg(long, value_name = "FILE", required_unless_present = "train")]
    config: Option<PathBuf>,

    /// The task, which decides how the levels join: super-resolution, colorization, decompression or night-to-day (also
    /// called generic)
    #[arg(long, value_parser = task, required_unless_present = "run")]
    task: Option<TaskHandle>,

    /// The number of examples in a batch [default with --train: the preset's or the run's]
    #[arg(long, value_name = "N", value_parser = flags::count::<usize>(flags::ROWS), required_unless_present = "train")]
    batch: Option<usize>,

    /// The side of the coarsest input in pixels; each level has twice the side of the level below
    #[arg(long, value_name = "PIXELS", value_parser = flags::count::<usize>(flags::SIDE), required_unless_present = "train")]
    side: Option<usize>,

    /// Time a run of training: the preset `tiny` on procedural scenes, or the configuration in --run
    #[arg(long, conflicts_with_all = ["config", "side"])]
    train: bool,

    /// With --train: a configuration in the format of a run's config.toml
    #[arg(long, value_name = "FILE", requires = "train", conflicts_with = "task")]
    run: Option<PathBuf>,

    /// With --train: the number of training steps [default: twice the steps between two searches]
    #[arg(long, value_name = "N", requires = "train", value_parser = flags::count::<u64>(flags::MANY))]
    steps: Option<u64>,

    /// The number of candidates per level, coarse to fine; without this flag, no search is timed
    #[arg(long, value_name = "N,N,...", value_delimiter = ',',
        value_parser = flags::count::<usize>(flags::MANY))]
    pool: Vec<usize>,

    /// The distance of the training step and the search
    #[arg(long, value_enum, default_value_t = Loss::L2)]
    loss: Loss,

    /// For --loss vgg: VGG16's weights (.safetensors or .pth, or the name that `chimle weights` uses)
    #[arg(long, value_name = "FILE|NAME")]
    perceptual: Option<PathBuf>,

    /// For --loss vgg: the learned weights of LPIPS 0.1; without them, all features have the same weight
    #[arg(long, value_name = "FILE|NAME", requires = "perceptual")]
    lpips: Option<PathBuf>,

    /// The number of timed runs; their median is printed
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = flags::count::<usize>(flags::MANY))]
    repeat: usize,

    /// The maximum number of candidates evaluated in one batch
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = flags::count::<usize>(flags::ROWS))]
    chunk: usize,

    /// The number type within dense blocks: f32, bf16 or f16
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32)]
    precision: Precision,

    /// Compute the feature maps of each RRDB again in the backward pass instead of keeping them
    #[arg(long)]
    recompute: bool,

    /// Count multiply-adds and bytes instead of timing; with --loss vgg, the distance is counted too
    #[arg(long, conflicts_with = "train")]
    count: bool,
}

const EXAMPLES: &str = "\
Examples:
  chimle bench --train --task colorization
  chimle bench --config small.json --task colorization --batch 4 --side 8 --pool 20,20,10,5 --loss l2";

/// A distance between images.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Loss {
    /// Mean squared difference
    L2,
    /// LPIPS on VGG16
    Vgg,
}

/// Parses a task. `generic` is the reference implementation's name for image to image.
fn task(name: &str) -> Result<TaskHandle, String> {
    if name == "generic" {
        Ok(chimle_core::NightToDay.into())
    } else {
        flags::task(name)
    }
}

impl Command for Bench {
    fn run<B: TrainingBackend>(self, device: B::Device, common: Common) -> Result<(), Failure> {
        if self.train {
            return self.time_training::<B>(device, common);
        }
        let missing = |flag| Failure::Flag {
            flag,
            reason: "is needed".to_owned(),
        };
        let config = self.config.ok_or_else(|| missing("--config"))?;
        let task = self.task.ok_or_else(|| missing("--task"))?;
        let perceptual = lpips::distance(
            BackboneName::Vgg16,
            self.perceptual.as_deref(),
            self.lpips.as_deref(),
        )?;
        let config = BenchConfig {
            network: read_network(&config, chimle_core::architecture(&*task))?,
            batch: self.batch.ok_or_else(|| missing("--batch"))?,
            side: self.side.ok_or_else(|| missing("--side"))?,
            pools: self.pool,
            loss: match self.loss {
                Loss::Vgg if self.count => DistanceConfig::L2,
                Loss::Vgg => perceptual.ok_or_else(|| missing("--perceptual"))?,
                Loss::L2 => DistanceConfig::L2,
            },
            repeat: self.repeat,
            chunk: self.chunk,
            compute: Compute {
                precision: self.precision,
                recompute: self.recompute,
            },
        };
        if self.count {
            let work = count(&config, matches!(self.loss, Loss::Vgg));
            return output::say(serde_json::to_string(&work).expect("numbers are plain data"));
        }
        let timing = bench::<B>(&config, &device)?;
        output::say(serde_json::to_string(&timing).expect("numbers are plain data"))
    }
}

/// Where the time of a run went, in seconds.
#[derive(Serialize)]
struct TrainingTimes {
    steps: u64,
    total: f64,
    search: f64,
    gradients: f64,
    optimizer: f64,
    codes: f64,
    data: f64,
    validation: f64,
    saving: f64,
    rest: f64,
    /// The fraction of the time in the generator and the distance.
    generator_and_distance: f64,
}

impl Bench {
    fn time_training<B: TrainingBackend>(
        self,
        device: B::Device,
        common: Common,
    ) -> Result<(), Failure> {
        let mut config = match (&self.run, self.task) {
            (Some(path), _) => RunConfig::read(path)?,
            (None, Some(task)) => RunConfig::new(task, Preset::Tiny),
            (None, None) => {
                return Err(Failure::Flag {
                    flag: "--task",
                    reason: "is needed".to_owned(),
                });
            }
        };
        let training = &mut config.training;
        training.batch = self.batch.unwrap_or(training.batch);
        let steps = self.steps.unwrap_or(2 * training.steps_per_search);
        training.set_steps(steps);
        let folder = tempfile::tempdir().map_err(|source| Failure::File {
            action: "make",
            path: std::env::temp_dir(),
            source,
        })?;
        let mut trainer = Trainer::<B>::create(config, folder.path().join("run"), device)?;
        trainer.set_memory(common.memory);
        trainer.run(&mut Silent)?;
        let times = trainer.times();
        let times = TrainingTimes {
            steps,
            total: times.total.as_secs_f64(),
            search: times.search.as_secs_f64(),
            gradients: times.gradients.as_secs_f64(),
            optimizer: times.optimizer.as_secs_f64(),
            codes: times.codes.as_secs_f64(),
            data: times.data.as_secs_f64(),
            validation: times.validation.as_secs_f64(),
            saving: times.saving.as_secs_f64(),
            rest: times.rest().as_secs_f64(),
            generator_and_distance: times.of_generator_and_distance(),
        };
        output::say(serde_json::to_string(&times).expect("numbers are plain data"))
    }
}
