//! Enlarges small pictures with your own distance, which compares edges and blurred colors.
//!
//! `cargo run --release --example own_distance -- --data photos/ --steps 2000`
//!
//! The search and the training loss use this distance. The search needs [`Distance`], and the loss
//! also needs [`TrainingDistance`]. If a run was stopped, repeat the command to continue it.
//! `own_distance.png` shows small pictures, six enlargements of each, and the originals.

use std::path::{Path, PathBuf};

use burn::backend::Autodiff;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::module::avg_pool2d;
use burn::tensor::{Tensor, s};
use burn_flex::Flex;
use chimle_core::data::Planes;
use chimle_core::imle::{Distance, TrainingDistance};
use chimle_core::nn::Generator;
use chimle_core::{
    DataSource, DistanceConfig, Error, Event, Model, Observer, Preset, RunConfig, RunFolder, Sheet,
    SuperResolution, Trainer,
};
use clap::Parser;

type Training = Autodiff<Flex>;

#[derive(Parser)]
struct Args {
    /// A folder of photographs. Without it, the model learns from procedural scenes
    #[arg(long)]
    data: Option<PathBuf>,
    /// The total number of training steps
    #[arg(long, default_value_t = 400)]
    steps: u64,
    /// The seed of all random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder to write
    #[arg(long, default_value = "runs/example-own-distance")]
    out: PathBuf,
}

/// The weight of the blurred colors, relative to the gradients.
const COLORS: f64 = 4.0;

/// The weighted sum of the mean absolute differences of vertical gradients, horizontal gradients
/// and blurred colors.
#[derive(Clone, Copy, Debug)]
struct EdgesAndColors;

impl<B: Backend> Distance<B> for EdgesAndColors {
    /// RGB images in [0, 1], `[n, 3, h, w]`.
    type Output = Tensor<B, 4>;
    /// `[n, values]`, scaled so that the distance is a sum of absolute differences.
    type Features = Tensor<B, 2>;

    fn features(&self, image: Tensor<B, 4>) -> Tensor<B, 2> {
        let rows = image.clone().slice(s![.., .., 1.., ..]);
        let rows = rows - image.clone().slice(s![.., .., ..-1, ..]);
        let columns = image.clone().slice(s![.., .., .., 1..]);
        let columns = columns - image.clone().slice(s![.., .., .., ..-1]);
        let blurred = avg_pool2d(image, [4, 4], [2, 2], [1, 1], false, false);
        let parts = [(rows, 1.0), (columns, 1.0), (blurred, COLORS)];
        let scaled = parts.map(|(part, weight)| {
            let values: Tensor<B, 2> = part.flatten(1, 3);
            let count = values.dims()[1] as f64;
            values * (weight / count)
        });
        Tensor::cat(scaled.into(), 1)
    }

    fn compare(&self, candidates: &Tensor<B, 2>, targets: &Tensor<B, 2>) -> Tensor<B, 1> {
        let ([n, values], [g, _]) = (candidates.dims(), targets.dims());
        let candidates = candidates.clone().reshape([g, n / g, values]);
        let difference = candidates - targets.clone().reshape([g, 1, values]);
        difference.abs().sum_dim(2).reshape([n])
    }
}

impl<B: AutodiffBackend> TrainingDistance<B> for EdgesAndColors {
    type Valid = Self;

    fn valid(&self) -> Self {
        *self
    }

    fn constants(features: Tensor<B::InnerBackend, 2>) -> Tensor<B, 2> {
        Tensor::from_inner(features)
    }
}

/// Returns the configuration of a run of the built-in network with this distance, on procedural
/// scenes.
fn configuration(steps: u64) -> RunConfig {
    let mut config = RunConfig::new(SuperResolution, Preset::Tiny);
    config.distance = DistanceConfig::Custom("edges and colors".to_owned());
    config.training.set_steps(steps);
    config
}

/// Trains a run in `out` to the end of its schedule. An existing run is resumed.
fn train(
    config: RunConfig,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<Trainer<Training, Generator<Training>, EdgesAndColors>, Error> {
    let (steps, device) = (config.training.steps, Default::default());
    let mut trainer = if RunFolder::at(out).holds_run() {
        Trainer::resume_with(EdgesAndColors, out, device)?
    } else {
        Trainer::create_with(config, EdgesAndColors, out, device)?
    };
    trainer.set_steps(steps.max(trainer.step()))?;
    trainer.run(observer)?;
    Ok(trainer)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut config = configuration(args.steps);
    config.seed = args.seed;
    if let Some(folder) = args.data {
        config.data.source = DataSource::Folder(folder);
    }
    let trainer = train(config, &args.out, &mut |event: &Event| {
        if let Event::Validated { step, best, .. } = event {
            println!("step {step}: best of 4 samples {best:.4}");
        }
    })?;

    // Sampling does not need the distance, so the run is loaded like any other model.
    let model = Model::<Flex>::load(&args.out, &Default::default())?;
    let mut sheet = Sheet::new().at_least(96);
    for example in trainer.held_out().iter().take(5) {
        let small = &example.conditioning[0];
        let enlarged = model.sample_planes(small, 6, args.seed)?;
        let row = [small]
            .into_iter()
            .chain(&enlarged)
            .chain([example.truth()]);
        sheet.push(row.map(Planes::to_rgb).collect());
    }
    let picture = args.out.join("own_distance.png");
    sheet.save(&picture)?;
    let path = picture.display();
    println!("small pictures, six enlargements, the originals: {path}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enlargements_come_near_the_truth_and_a_stopped_run_continues() {
        let mut config = configuration(120);
        (config.data.height, config.data.width) = (16, 16);
        config.data.source = DataSource::Procedural { scenes: 80 };
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let mut best = Vec::new();
        let mut observer = |event: &Event| {
            if let Event::Validated { best: now, .. } = event {
                best.push(*now);
            }
        };
        let stopped = train(config.clone(), &out, &mut observer).unwrap();
        assert_eq!(stopped.step(), 120);
        drop(stopped); // two trainers cannot hold one run
        config.training.set_steps(160);
        let resumed = train(config, &out, &mut observer).unwrap();

        assert!(best[best.len() - 1] < 0.85 * best[0], "{best:?}");
        assert_eq!(resumed.step(), 160);
        let begins = |event: &Event| matches!(event, Event::Started { step: 120, .. });
        assert!(
            resumed
                .folder()
                .read_log()
                .unwrap()
                .events
                .iter()
                .any(begins)
        );
    }

    /// A flat image has no edges, and its blurred color is its color.
    #[test]
    fn flat_images_differ_by_their_color_alone() {
        let flat = |value: f32| Tensor::<Flex, 4>::full([1, 3, 8, 8], value, &Default::default());
        let distance = EdgesAndColors.between(flat(0.2), flat(0.7)).into_scalar();
        assert!(
            (f64::from(distance) - 0.5 * COLORS).abs() < 1e-5,
            "{distance}"
        );
    }
}
