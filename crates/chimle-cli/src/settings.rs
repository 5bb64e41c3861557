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

/// Flags for the settings of a run's `config.toml` that are changed most often.
#[derive(Args)]
#[group(id = "settings")]
pub struct Settings {
    /// The task to learn: super-resolution, colorization, decompression or night-to-day
    ///
    /// night-to-day (also called paired) stands for any task given by pairs of images. British spellings are accepted.
    #[arg(long, value_parser = flags::task, required_unless_present_any = ["resume", "config"])]
    task: Option<TaskHandle>,

    /// A folder of photographs, or `procedural` for procedural scenes, which need no files
    ///
    /// Subfolders are searched too. For a paired task, the folder has the subfolders `input` and `output` (or `A` and
    /// `B`, or `night` and `day`), or its images have the input in the left half and the output in the right half.
    #[arg(long, value_name = "DIR|procedural", required_unless_present_any = ["resume", "config", "pairs"])]
    data: Option<PathBuf>,

    /// For a paired task: the folder of inputs and the folder of outputs, matched by file name
    #[arg(long, num_args = 2, value_names = ["INPUT", "OUTPUT"], conflicts_with = "data")]
    pairs: Option<Vec<PathBuf>>,

    /// The size of the network, with a matching training schedule
    #[arg(long, value_enum, default_value_t = PresetName::Tiny)]
    preset: PresetName,

    /// The side of the square output in pixels [default: 32 for the preset tiny, 64 for small, 256 for paper; twice that
    /// for super-resolution]
    #[arg(long, value_name = "PIXELS", value_parser = flags::count::<usize>(flags::SIDE))]
    size: Option<usize>,

    /// Train with a perceptual distance. The value is a file with the weights of its network (.safetensors or .pth), or
    /// a name of weights that `chimle weights` has downloaded
    #[arg(long, value_name = "FILE|NAME")]
    perceptual: Option<PathBuf>,

    /// The network of --perceptual
    #[arg(long, value_enum, default_value_t = BackboneName::Vgg16, requires = "perceptual")]
    backbone: BackboneName,

    /// The learned weights of LPIPS 0.1 for the network of --perceptual; without them, all features have the same weight
    #[arg(long, value_name = "FILE|NAME", requires = "perceptual")]
    lpips: Option<PathBuf>,

    /// A distance that needs no weights [default: laplacian; with --preset paper, LPIPS on VGG16]
    ///
    /// If --perceptual is given too, the distance is the sum of both.
    #[arg(long, value_enum)]
    distance: Option<DistanceName>,

    /// Compare candidates with this distance in the search [default: the distance that trains the network]
    ///
    /// A search by LPIPS takes several times as long as a search by the Laplacian pyramid.
    #[arg(long, value_enum)]
    search_distance: Option<DistanceName>,

    /// The number of examples in a training step [default: the preset's]
    #[arg(long, value_name = "N", value_parser = flags::count::<usize>(flags::ROWS))]
    batch: Option<usize>,

    /// Evaluate the examples of a step in this many parts, one after another, to save memory; the result is the same
    #[arg(long, value_name = "K", value_parser = flags::count::<usize>(flags::ROWS))]
    accumulate: Option<usize>,

    /// Use a moving average of the weights with this decay, such as 0.999, for sampling [default: the newest weights]
    #[arg(long, value_name = "DECAY")]
    average: Option<f64>,

    /// Validate on the photographs of this folder instead of on a held-out part of --data
    #[arg(long, value_name = "DIR|procedural", requires = "data")]
    validation: Option<PathBuf>,

    /// The number of inputs in a round; they are drawn and searched together [default: the preset's]
    #[arg(long, alias = "share", value_name = "N", value_parser = flags::count::<usize>(flags::MANY))]
    round: Option<usize>,

    /// The number of training steps between two searches [default: the preset's]
    #[arg(long, value_name = "N", value_parser = flags::count::<u64>(flags::MANY))]
    steps_per_search: Option<u64>,

    /// Adam's learning rate [default: the preset's]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,

    /// The number of candidates per level, coarse to fine, as in 16,2,1 [default: the preset's]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    pool: Option<Vec<usize>>,

    /// The number of candidates per level that share a global code, coarse to fine, as in 4,2,1; the search then also
    /// chooses among local codes [default: 1 per level, as in the paper]
    #[arg(
        long,
        value_name = "N,N,...",
        value_delimiter = ',',
        conflicts_with = "flat"
    )]
    locals: Option<Vec<usize>>,

    /// Search among this many whole codes instead of level by level (cIMLE instead of CHIMLE)
    #[arg(long, value_name = "N", value_parser = flags::count::<usize>(flags::MANY), conflicts_with = "pool")]
    flat: Option<usize>,

    /// The maximum number of candidates evaluated in one batch [default: 64, or fewer if memory is short]
    #[arg(long, value_name = "N", value_parser = flags::count::<usize>(flags::ROWS))]
    chunk: Option<usize>,

    /// The number type within dense blocks: f32 or bf16 [default: f32]
    #[arg(long, value_name = "TYPE")]
    precision: Option<Precision>,

    /// Save memory by computing feature maps again in the backward pass instead of keeping them
    ///
    /// A step becomes slower by at most one forward pass. Use this flag for images or networks that do not fit
    /// otherwise.
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

impl DistanceName {
    fn config(self) -> DistanceConfig {
        match self {
            Self::L1 => DistanceConfig::L1,
            Self::L2 => DistanceConfig::L2,
            Self::Laplacian => DistanceConfig::LaplacianPyramid,
        }
    }
}

impl Settings {
    /// Returns the configuration that the flags describe.
    ///
    /// # Errors
    /// If a flag is missing or its value cannot be used. Errors that depend on the data appear when the run is created.
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
        let distance = self.distance.map(DistanceName::config);
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
        if let Some(search) = self.search_distance {
            config.distance = DistanceConfig::Separate {
                loss: Box::new(config.distance),
                search: Box::new(search.config()),
            };
        }
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
        // A flat search chooses codes by the last level alone.
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
