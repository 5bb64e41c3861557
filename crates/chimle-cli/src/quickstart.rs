//! `chimle quickstart`: trains, samples and measures a small model, without files or flags.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chimle_core::data::{Dataset, DatasetConfig, Source};
use chimle_core::evaluation::{EvaluationConfig, Instruments, Report, SampledInput, evaluate};
use chimle_core::{
    Colorization, DataSource, Preset, RunConfig, RunFolder, Sheet, Trainer, TrainingBackend,
};
use clap::Args;
use image::{Rgb, RgbImage};
use serde::Serialize;

use crate::device::{Command, Common};
use crate::error::Failure;
use crate::evaluate::FIRST_UNSEEN_SCENE;
use crate::progress::{Counter, Progress};
use crate::{flags, output, page};

/// The number of training steps if the time allows. The learning rate falls near their end.
const STEPS: u64 = 360;
/// The number of outputs per input.
const SAMPLES: usize = 8;
/// The number of scenes that are measured. None of them is trained on.
const MEASURED: usize = 64;
/// The number of measured scenes in the picture.
const SHOWN: usize = 12;
const NUMBERS: &str = "numbers.json";
const PICTURE: &str = "samples.png";

/// Trains a small model on procedural scenes and samples it. No files are needed, and it takes about a minute.
///
/// The model learns to color gray pictures of shapes. Each picture has four equally likely colorings with the
/// same gray, so quickstart can count how many of them the samples show.
#[derive(Args)]
pub struct Quickstart {
    /// The folder to write: a run with its model, the picture `samples.png`, and `numbers.json`
    #[arg(long, value_name = "DIR", default_value = "runs/quickstart")]
    out: PathBuf,

    /// The maximum time of training, in minutes
    #[arg(long, value_name = "M", default_value = "2", value_parser = flags::minutes)]
    minutes: Duration,

    /// Replace an earlier quickstart's folder
    #[arg(long)]
    force: bool,
}

/// The content of `numbers.json`.
#[derive(Serialize)]
struct Numbers {
    /// The number of training steps.
    steps: u64,
    /// Seconds that training took.
    training_seconds: f64,
    /// Seconds in total.
    seconds: f64,
    #[serde(flatten)]
    report: Report,
}

impl Command for Quickstart {
    fn run<B: TrainingBackend>(self, device: B::Device, common: Common) -> Result<(), Failure> {
        let begun = Instant::now();
        self.clear_folder()?;
        let mut config = RunConfig::new(Colorization, Preset::Tiny);
        config.seed = common.seed.unwrap_or(0);
        config.training.set_steps(STEPS);

        let mut trainer = Trainer::<B>::create(config, &self.out, device)?;
        trainer.run_for(self.minutes, &mut Progress::new())?;
        let training_seconds = begun.elapsed().as_secs_f64();

        let model = trainer.model();
        let unseen = unseen_scenes(trainer.config())?;
        let mut measured = EvaluationConfig::new(SAMPLES, trainer.config().seed);
        measured.keep = SHOWN;
        let distance = &trainer.config().distance;
        let instruments = Instruments {
            distance: &distance.load(model.device())?,
            distance_name: &distance.name(),
            extractor: None,
        };
        let mut counter = Counter::new("scenes measured");
        let show = &mut |done, of| counter.at(done, of);
        let evaluation = evaluate(&model, &unseen, &instruments, None, &measured, show);
        counter.clear();
        let evaluation = evaluation?;
        let picture = draw_picture(&evaluation.kept);
        output::save_png(&picture, &self.out.join(PICTURE))?;

        let seconds = begun.elapsed().as_secs_f64();
        let numbers = Numbers {
            steps: trainer.step(),
            training_seconds,
            seconds,
            report: Report {
                // Notes list figures that are missing without weights. Quickstart leaves those figures out on purpose.
                notes: Vec::new(),
                ..evaluation.report
            },
        };
        let json = serde_json::to_string_pretty(&numbers).expect("numbers are plain data");
        output::save(json.as_bytes(), &self.out.join(NUMBERS))?;
        let inputs = evaluation.kept.iter().map(page::shown).collect();
        page::of_run(
            trainer.folder(),
            trainer.config(),
            inputs,
            Some(&numbers.report),
            None,
        )?;
        self.report(&numbers)
    }
}

impl Quickstart {
    /// Makes sure that the folder is empty. Removes only the files of an earlier quickstart.
    fn clear_folder(&self) -> Result<(), Failure> {
        let is_empty = fs::read_dir(&self.out).is_ok_and(|mut entries| entries.next().is_none());
        if !self.out.exists() || is_empty {
            return Ok(());
        }
        let refused = |remedy| {
            Err(Failure::Exists {
                path: self.out.clone(),
                remedy,
            })
        };
        if !self.force {
            return refused("choose another folder with --out, or replace it with --force");
        }
        if !is_quickstart(&self.out) {
            return refused("it is not the folder of a quickstart, so --force does not replace it");
        }
        fs::remove_dir_all(&self.out).map_err(Failure::file("remove", &self.out))
    }

    fn report(&self, numbers: &Numbers) -> Result<(), Failure> {
        let out = self.out.display();
        output::say(format_args!("\n{}", numbers.report))?;
        output::say(format_args!(
            "\n{} steps, {:.0} seconds in total. The results:",
            numbers.steps, numbers.seconds
        ))?;
        output::say(format_args!(
            "  {out}/{PICTURE}  each row: the input, {SAMPLES} samples, the true colorings"
        ))?;
        output::say(format_args!(
            "  {out}/page.html  the same as a page; open it in a browser"
        ))?;
        output::say(format_args!("  {out}/{NUMBERS}  the numbers above"))?;
        output::say("To color a picture of your own (this model knows shapes, not photographs):")?;
        output::say(format_args!(
            "  chimle sample --model {out} --input IMAGE --out DIR"
        ))
    }
}

/// Returns whether a folder contains an earlier quickstart's files and nothing else.
fn is_quickstart(folder: &Path) -> bool {
    let is_ours = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        RunFolder::is_part_of_run(name) || [PICTURE, NUMBERS].contains(&name)
    };
    let only_ours = fs::read_dir(folder).is_ok_and(|entries| entries.flatten().all(is_ours));
    only_ours
        && RunFolder::at(folder)
            .read_config()
            .is_ok_and(|run: RunConfig| {
                run.generator == RunConfig::new(Colorization, Preset::Tiny).generator
                    && matches!(run.data.source, DataSource::Procedural { .. })
            })
}

fn unseen_scenes(run: &RunConfig) -> Result<Dataset, Failure> {
    let mut config = DatasetConfig::new(
        run.task.clone(),
        run.generator.levels(),
        run.data.height,
        run.data.width,
    );
    config.first_scene = FIRST_UNSEEN_SCENE;
    Ok(Dataset::open(
        Source::Procedural { scenes: MEASURED },
        config,
    )?)
}

/// Draws a row for each scene: the gray input, the samples and, after a gap, the true colorings.
fn draw_picture(scenes: &[SampledInput]) -> RgbImage {
    let space = RgbImage::from_pixel(1, 1, Rgb([255; 3]));
    let mut sheet = Sheet::new().at_least(64);
    for scene in scenes {
        let columns = [
            std::slice::from_ref(&scene.input),
            &scene.samples,
            std::slice::from_ref(&space),
            &scene.truths,
        ];
        sheet.push(columns.concat());
    }
    sheet.picture()
}
