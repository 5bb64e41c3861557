//! `chimle evaluate`: how near a model's samples come to the truth, and how much they differ.

use std::path::{Path, PathBuf};

use chimle_core::data::{Dataset, DatasetConfig};
use chimle_core::perceptual::Distance;
use chimle_core::{
    DataSource, DistanceConfig, EvaluationConfig, Kernels, Model, Task, TrainingBackend, evaluate,
};
use clap::Args;

use crate::device::{Command, Common};
use crate::error::Failure;
use crate::located::Located;
use crate::progress::Counter;
use crate::{flags, output};

/// Made-up scenes are numbered from here, where no run's training set reaches.
pub const FIRST_UNSEEN_SCENE: u64 = 1 << 32;

/// Measures a model: PSNR, SSIM and a perceptual distance of the best and the mean of its samples.
///
/// Every image of the folder is brought down (its largest central square) to the output's size, degraded as the task
/// has it, and sampled. Prints a table; the column `baseline` is the input itself, taken as the output.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Evaluate {
    /// The folder of a run (its newest checkpoint is taken), or a model file
    #[arg(long, value_name = "RUN|FILE")]
    model: PathBuf,

    /// A folder of photographs that the model has not seen (for a paired task: of pairs), or `procedural`
    #[arg(long, value_name = "DIR|procedural")]
    data: PathBuf,

    /// What a model file was trained for, where it does not say (decompression or night-to-day)
    #[arg(long, value_parser = flags::task)]
    task: Option<Task>,

    /// Side of the square output in pixels [default: the run's; a model file needs it]
    #[arg(long, value_name = "PIXELS", value_parser = flags::at_least_one::<usize>)]
    size: Option<usize>,

    /// Samples for each image; at least 2
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = flags::at_least_one::<usize>)]
    samples: usize,

    /// Measure the first N images alone
    #[arg(long, value_name = "N", value_parser = flags::at_least_one::<usize>)]
    limit: Option<usize>,

    /// Measure LPIPS on VGG16, whose weights are in this file [default: the run's distance if its weights are found,
    /// else the Laplacian pyramid]
    #[arg(long, value_name = "FILE")]
    perceptual: Option<PathBuf>,

    /// The learned weights of LPIPS 0.1 for VGG16; without them every feature counts the same
    #[arg(long, value_name = "FILE", requires = "perceptual")]
    lpips: Option<PathBuf>,

    /// Write the numbers into this file too, as JSON
    #[arg(long, value_name = "FILE.json")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  chimle evaluate --model runs/color --data other-photos/ --samples 8
  chimle evaluate --model runs/color --data other-photos/ --perceptual vgg16.safetensors --lpips vgg.pth \\
    --limit 100 --out color.json";

impl Command for Evaluate {
    fn run<B: TrainingBackend>(self, device: B::Device, common: Common) -> Result<(), Failure> {
        if self.samples < 2 {
            let reason = "must be at least 2, or there is nothing to compare".to_owned();
            return Err(Failure::Flag {
                flag: "--samples",
                reason,
            });
        }
        let located = Located::find(&self.model)?;
        let model = Model::<B::InnerBackend>::load(&self.model, &device)?;
        let dataset = self.dataset(&located, &model)?;
        let distance = self.distance(&located, &device)?;
        if let Some(folder) = self
            .out
            .as_deref()
            .and_then(Path::parent)
            .filter(|folder| *folder != Path::new(""))
        {
            output::prepare_folder(folder)?;
        }

        let config = EvaluationConfig {
            samples: self.samples,
            seed: common.seed.unwrap_or(0),
            limit: self.limit,
        };
        let mut counter = Counter::new("images");
        let found = evaluate(&model, &dataset, &distance, &config, &mut |done, of| {
            counter.at(done, of)
        });
        counter.clear();
        let found = found?;
        for reason in dataset
            .skipped()
            .iter()
            .map(|skipped| skipped.reason.to_string())
            .chain(found.skipped.clone())
        {
            output::complain("warning", format_args!("skipped: {reason}"));
        }
        if let Some(path) = &self.out {
            let json = serde_json::to_string_pretty(&found).expect("numbers are plain data");
            output::save(json.as_bytes(), path)?;
        }
        output::say(found)
    }
}

impl Evaluate {
    fn dataset<B: Kernels>(&self, located: &Located, model: &Model<B>) -> Result<Dataset, Failure> {
        let task = located.task(self.task, model.config().architecture)?;
        let run = located
            .run
            .as_ref()
            .map(|run| (run.data.height, run.data.width));
        let Some((height, width)) = self.size.map(|side| (side, side)).or(run) else {
            let reason = format!("is needed, as {} does not say", self.model.display());
            return Err(Failure::Flag {
                flag: "--size",
                reason,
            });
        };
        let mut config = DatasetConfig::new(task, model.config().levels(), height, width);
        config.first_scene = FIRST_UNSEEN_SCENE;
        let source = flags::data(&self.data)?;
        if located
            .run
            .as_ref()
            .is_some_and(|run| run.data.source == source && matches!(source, DataSource::Folder(_)))
        {
            output::complain(
                "warning",
                "the model was trained on these images: the numbers say nothing of others",
            );
        }
        Ok(Dataset::open(source.resolve(task)?, config)?)
    }

    /// The distance asked for, else the run's if its weights are found, else one that needs none.
    fn distance<B: Kernels>(
        &self,
        located: &Located,
        device: &B::Device,
    ) -> Result<Distance<B>, Failure> {
        if let Some(asked) = flags::lpips(self.perceptual.as_deref(), self.lpips.as_deref())? {
            return Ok(asked.load(device)?);
        }
        let run = located
            .run
            .as_ref()
            .map_or(DistanceConfig::LaplacianPyramid, |run| run.distance.clone());
        Ok(run.load(device).unwrap_or_else(|error| {
            output::complain(
                "warning",
                format_args!("{error}; measuring with the Laplacian pyramid instead"),
            );
            Distance::LaplacianPyramid
        }))
    }
}
