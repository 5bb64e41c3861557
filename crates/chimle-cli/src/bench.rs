//! `chimle bench`: how long a network takes.

use std::path::PathBuf;

use chimle_core::{Compute, DistanceConfig, Precision, TaskHandle, TrainingBackend};
use chimle_verify::{BenchConfig, bench, read_network};
use clap::{Args, ValueEnum};

use crate::device::{Command, Common};
use crate::error::Failure;
use crate::lpips::BackboneName;
use crate::{flags, lpips, output};

/// Times a forward pass, a training step and a search of a network, on random data.
///
/// Prints one JSON object on one line: medians in milliseconds after a warm-up, the number of parameters, and the device.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Bench {
    /// The network: a JSON file with levels, residual_channels, growth_channels, rrdb_per_level, code_channels,
    /// map_code, latent, in_channels and out_channels
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// How its levels join: super-resolution, colorization, decompression or night-to-day (the same: generic)
    #[arg(long, value_parser = task)]
    task: TaskHandle,

    /// Examples in a batch
    #[arg(long, value_name = "N", value_parser = flags::count::<usize>(flags::ROWS))]
    batch: usize,

    /// Side of the coarsest input in pixels; each level above has twice the side of the one below
    #[arg(long, value_name = "PIXELS", value_parser = flags::count::<usize>(flags::SIDE))]
    side: usize,

    /// Candidates of the search at each level, coarse to fine; without it no search is timed
    #[arg(long, value_name = "N,N,...", value_delimiter = ',',
        value_parser = flags::count::<usize>(flags::MANY))]
    pool: Vec<usize>,

    /// The distance of the training step and the search
    #[arg(long, value_enum, default_value_t = Loss::L2)]
    loss: Loss,

    /// For --loss vgg: VGG16's weights (.safetensors or .pth)
    #[arg(long, value_name = "FILE|NAME", required_if_eq("loss", "vgg"))]
    perceptual: Option<PathBuf>,

    /// For --loss vgg: the learned weights of LPIPS 0.1; without them every feature counts the same
    #[arg(long, value_name = "FILE|NAME", requires = "perceptual")]
    lpips: Option<PathBuf>,

    /// Timed runs, of which the median is taken
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = flags::count::<usize>(flags::MANY))]
    repeat: usize,

    /// The most candidates evaluated in one batch
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = flags::count::<usize>(flags::ROWS))]
    chunk: usize,

    /// The type within dense blocks: f32, bf16 or f16
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32)]
    precision: Precision,

    /// Work the maps of each RRDB out again in the backward pass
    #[arg(long)]
    recompute: bool,
}

const EXAMPLES: &str = "\
Example:
  chimle bench --config small.json --task colorization --batch 4 --side 8 --pool 20,20,10,5 --loss l2";

/// A distance of images.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Loss {
    /// Mean squared difference
    L2,
    /// LPIPS on VGG16
    Vgg,
}

/// A task, or `generic`, as the reference implementation calls image to image.
fn task(name: &str) -> Result<TaskHandle, String> {
    if name == "generic" {
        Ok(chimle_core::NightToDay.into())
    } else {
        flags::task(name)
    }
}

impl Command for Bench {
    fn run<B: TrainingBackend>(self, device: B::Device, _: Common) -> Result<(), Failure> {
        let perceptual = lpips::distance(
            BackboneName::Vgg16,
            self.perceptual.as_deref(),
            self.lpips.as_deref(),
        )?;
        let config = BenchConfig {
            network: read_network(&self.config, chimle_core::architecture(&*self.task))?,
            batch: self.batch,
            side: self.side,
            pools: self.pool,
            loss: match self.loss {
                Loss::Vgg => perceptual.unwrap_or(DistanceConfig::L2),
                Loss::L2 => DistanceConfig::L2,
            },
            repeat: self.repeat,
            chunk: self.chunk,
            compute: Compute {
                precision: self.precision,
                recompute: self.recompute,
            },
        };
        let timing = bench::<B>(&config, &device)?;
        output::say(serde_json::to_string(&timing).expect("numbers are plain data"))
    }
}
