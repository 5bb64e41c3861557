//! The flags that describe a new run, and the configuration that they make.

use std::path::PathBuf;

use chimle_core::data::Sizes;
use chimle_core::{
    DistanceConfig, Precision, Preset, RunConfig, Strategy, TaskHandle, WeightedDistance,
};
use clap::{Args, ValueEnum};

use crate::error::Failure;
use crate::lpips::BackboneName;
use crate::{flags, lpips};

/// Flags for everything in a run's `config.toml` that is usually changed.
#[derive(Args)]
#[group(id = "settings")]
pub struct Settings {
    /// What to learn: super-resolution, colorization, decompression or night-to-day
    ///
    /// night-to-day (also: paired) stands for any task given by pairs of images. British spellings do too.
    #[arg(long, value_parser = flags::task, required_unless_present_any = ["resume", "config"])]
    task: Option<TaskHandle>,

    /// A folder of photographs, or `procedural` for made-up scenes
    ///
    /// Subfolders are searched too. For a paired task, a folder with subfolders `input` and `output` (or `A` and
    /// `B`, or `night` and `day`), or one of images whose left half is the input and whose right half the output.
    #[arg(long, value_name = "DIR|procedural", required_unless_present_any = ["resume", "config", "pairs"])]
    data: Option<PathBuf>,

    /// For a paired task: the folder of inputs and the folder of outputs, matched by file name
    #[arg(long, num_args = 2, value_names = ["INPUT", "OUTPUT"], conflicts_with = "data")]
    pairs: Option<Vec<PathBuf>>,

    /// Size of the network, and a schedule that suits it
    #[arg(long, value_enum, default_value_t = PresetName::Tiny)]
    preset: PresetName,

    /// Side of the square output in pixels [default: the preset's, 32 for tiny, 64 for small, 256 for paper;
    /// for super-resolution twice that]
    #[arg(long, value_name = "PIXELS", value_parser = flags::count::<usize>(flags::SIDE))]
    size: Option<usize>,

    /// Train with a perceptual distance on the network whose weights are in this file (.safetensors or .pth), or are
    /// those of this name that `chimle weights` has fetched
    #[arg(long, value_name = "FILE|NAME")]
    perceptual: Option<PathBuf>,

    /// That network
    #[arg(long, value_enum, default_value_t = BackboneName::Vgg16, requires = "perceptual")]
    backbone: BackboneName,

    /// The learned weights of LPIPS 0.1 for it; without them every feature counts the same
    #[arg(long, value_name = "FILE|NAME", requires = "perceptual")]
    lpips: Option<PathBuf>,

    /// A distance that needs no weights [default: laplacian; with --preset paper, LPIPS on VGG16]
    ///
    /// With --perceptual, the distance is the sum of both.
    #[arg(long, value_enum)]
    distance: Option<DistanceName>,

    /// Examples in a training step [default: the preset's]
    #[arg(long, value_name = "N", value_parser = flags::count::<usize>(flags::ROWS))]
    batch: Option<usize>,

    /// Evaluate a step's examples in this many parts, one after the other, to save memory; the result is the same
    #[arg(long, value_name = "K", value_parser = flags::count::<usize>(flags::ROWS))]
    accumulate: Option<usize>,

    /// Sample a moving average of the weights with this decay, such as 0.999 [default: the newest weights]
    #[arg(long, value_name = "DECAY")]
    average: Option<f64>,

    /// Validate on the photographs of this folder instead of holding some of --data out
    #[arg(long, value_name = "DIR|procedural", requires = "data")]
    validation: Option<PathBuf>,

    /// Inputs in a round, which are drawn and searched together [default: the preset's]
    #[arg(long, alias = "share", value_name = "N", value_parser = flags::count::<usize>(flags::MANY))]
    round: Option<usize>,

    /// Training steps between two searches [default: the preset's]
    #[arg(long, value_name = "N", value_parser = flags::count::<u64>(flags::MANY))]
    steps_per_search: Option<u64>,

    /// Adam's learning rate [default: the preset's]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,

    /// Candidates of the search at each level, coarse to fine, as in 16,2,1 [default: the preset's]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    pool: Option<Vec<usize>>,

    /// The number of candidates at each level, coarse to fine, that share the global part of their codes, as in 4,2,1:
    /// the search then chooses among local codes, too [default: 1 at each level, as in the paper]
    #[arg(
        long,
        value_name = "N,N,...",
        value_delimiter = ',',
        conflicts_with = "flat"
    )]
    locals: Option<Vec<usize>>,

    /// Search whole codes, this many of them, instead of level by level (cIMLE instead of CHIMLE)
    #[arg(long, value_name = "N", value_parser = flags::count::<usize>(flags::MANY), conflicts_with = "pool")]
    flat: Option<usize>,

    /// The most candidates evaluated in one batch [default: 64, or fewer as memory has it]
    #[arg(long, value_name = "N", value_parser = flags::count::<usize>(flags::ROWS))]
    chunk: Option<usize>,

    /// The type within dense blocks: f32 or bf16 [default: f32]
    #[arg(long, value_name = "TYPE")]
    precision: Option<Precision>,

    /// Keep little for the backward pass, and work it out again: slower by a forward pass at most, for images or
    /// networks that do not fit otherwise
    #[arg(long)]
    recompute: bool,

    /// Compare only the last level's image in the loss, not every level's [default with --flat]
    #[arg(long)]
    no_intermediate_supervision: bool,

    /// Compare every level's image in the loss [default without --flat]
    #[arg(long, conflicts_with = "no_intermediate_supervision")]
    intermediate_supervision: bool,
}

/// See [`Preset`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PresetName {
    /// Three levels; trains in minutes on a CPU
    Tiny,
    /// Four levels; trains in an hour or so on a CPU at 64 pixels
    Small,
    /// The paper's four levels, 210 million parameters; needs a large GPU
    Paper,
}

/// The distances that need no weights.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DistanceName {
    /// Mean absolute difference
    L1,
    /// Mean squared difference
    L2,
    /// Mean absolute difference of the bands of a Laplacian pyramid
    Laplacian,
}

impl Settings {
    /// The configuration that the flags describe.
    ///
    /// # Errors
    /// Names the flag that is missing or cannot work. What only the data can tell is found when the run is made.
    pub fn config(&self) -> Result<RunConfig, Failure> {
        let preset = match self.preset {
            PresetName::Tiny => Preset::Tiny,
            PresetName::Small => Preset::Small,
            PresetName::Paper => Preset::Paper,
        };
        let task = self.task.clone().ok_or_else(|| Failure::Flag {
            flag: "--task",
            reason: "is needed".to_owned(),
        })?;
        let mut config = RunConfig::new(task, preset);
        config.data.source = flags::data(self.data.as_deref(), self.pairs.as_deref())?;
        if let Some(validation) = &self.validation {
            config.data.validation = Some(flags::data(Some(validation), None)?);
        }
        if let Some(side) = self.size {
            (config.data.height, config.data.width) = (side, side);
            Sizes::new(&*config.task, config.generator.levels(), side, side).map_err(|e| {
                Failure::Flag {
                    flag: "--size",
                    reason: e.to_string(),
                }
            })?;
        }
        let distance = self.distance.map(|name| match name {
            DistanceName::L1 => DistanceConfig::L1,
            DistanceName::L2 => DistanceConfig::L2,
            DistanceName::Laplacian => DistanceConfig::LaplacianPyramid,
        });
        let perceptual = lpips::distance(
            self.backbone,
            self.perceptual.as_deref(),
            self.lpips.as_deref(),
        )?;
        let chosen = match (perceptual, distance, preset) {
            (Some(perceptual), Some(distance), _) => {
                let terms = [perceptual, distance].map(|distance| WeightedDistance {
                    weight: 1.0,
                    distance,
                });
                Some(DistanceConfig::Sum(terms.to_vec()))
            }
            (None, None, Preset::Paper) => Some(lpips::of_the_paper()?),
            (perceptual, distance, _) => perceptual.or(distance),
        };
        replace(&mut config.distance, chosen);
        let pools = self
            .pool
            .clone()
            .map(|pools| Strategy::Hierarchical { pools });
        let flat = self.flat.map(|candidates| Strategy::Flat { candidates });
        replace(&mut config.search.strategy, pools.or(flat));

        replace(&mut config.search.locals, self.locals.clone());
        replace(&mut config.search.chunk, self.chunk);

        let training = &mut config.training;
        replace(&mut training.precision, self.precision);
        training.recompute = self.recompute;
        replace(&mut training.batch, self.batch);
        replace(&mut training.round, self.round);
        replace(&mut training.accumulate, self.accumulate);
        training.average = self.average;
        replace(&mut training.steps_per_search, self.steps_per_search);
        replace(&mut training.learning_rate, self.learning_rate);
        // The codes of a flat search were chosen by the last level.
        let is_last_alone = self.no_intermediate_supervision
            || (self.flat.is_some() && !self.intermediate_supervision);
        training.objective.intermediate_supervision = !is_last_alone;
        Ok(config)
    }
}

fn replace<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
    }
}
