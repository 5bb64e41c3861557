//! Fills a hole in a picture in several plausible ways. This is an example of your own task.
//!
//! `cargo run --release --example inpainting -- --data photos/ --steps 2000`
//!
//! The example implements [`Task`] and registers it under a name. The built-in network, the search,
//! the trainer and the sampler then work with this task as with the paper's four tasks. If a run
//! was stopped, repeat the command to continue it. `inpainting.png` shows pictures with a hole, six
//! fillings of each, and the originals.

use std::path::{Path, PathBuf};

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_core::data::{DataError, Planes, Sizes};
use chimle_core::{
    DataSource, Error, Event, Observer, Preset, RunConfig, RunFolder, Sheet, Task, Trainer,
    register,
};
use clap::Parser;
use image::{Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Training = Autodiff<Flex>;

/// The color of a hole.
const HOLE: Rgb<u8> = Rgb([128; 3]);

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
    #[arg(long, default_value = "runs/example-inpainting")]
    out: PathBuf,
}

/// The task of inpainting. The input is a picture with a rectangular hole, and a mask that is 1
/// where the picture is known and 0 elsewhere.
///
/// The output is the whole picture. The default [`Task::picture_of_input`] shows the first three of
/// the four channels, in which the hole is gray.
#[derive(Debug)]
struct Inpainting;

/// Combines the picture and its mask, `[4, h, w]`.
fn with_mask(picture: &RgbImage, is_known: impl Fn(u32, u32) -> bool) -> Planes {
    let shown = RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let known = is_known(x, y);
        if known {
            *picture.get_pixel(x, y)
        } else {
            HOLE
        }
    });
    let mut input = Planes::from_rgb(&shown);
    let mask = Planes::from_fn(1, input.height, input.width, |_, y, x| {
        f32::from(is_known(x as u32, y as u32))
    });
    input.channels += mask.channels;
    input.data.extend(mask.data);
    input
}

impl Task for Inpainting {
    fn name(&self) -> &str {
        "inpainting"
    }

    fn conditioning_channels(&self) -> usize {
        4
    }

    /// Cuts a hole of half the height and half the width. Its place is drawn from the seed.
    fn degrade(&self, picture: &RgbImage, _: &Sizes, seed: u64) -> Result<Planes, DataError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let [columns, rows] = [picture.width(), picture.height()].map(|side| {
            let start = rng.random_range(0..=side - side / 2);
            start..start + side / 2
        });
        let is_known = |x, y| !(columns.contains(&x) && rows.contains(&y));
        Ok(with_mask(picture, is_known))
    }

    /// Converts a picture in which a user has painted the hole with the color `HOLE`.
    fn input_of_picture(&self, picture: &RgbImage) -> Result<Planes, DataError> {
        let is_known = |x, y| *picture.get_pixel(x, y) != HOLE;
        Ok(with_mask(picture, is_known))
    }

    /// Pastes the known pixels over the output.
    fn show(&self, conditioning: &[Planes], output: Planes) -> Planes {
        let given = &conditioning[conditioning.len() - 1];
        Planes::from_fn(3, output.height, output.width, |channel, y, x| {
            let is_known = given.get(3, y, x) > 0.5;
            let source = if is_known { given } else { &output };
            source.get(channel, y, x).clamp(0.0, 1.0)
        })
    }
}

/// Trains a run in `out` to the end of its schedule. An existing run is resumed.
fn train(
    config: RunConfig,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<Trainer<Training>, Error> {
    let (steps, device) = (config.training.steps, Default::default());
    let mut trainer = if RunFolder::at(out).holds_run() {
        Trainer::resume(out, device)?
    } else {
        Trainer::create(config, out, device)?
    };
    trainer.set_steps(steps.max(trainer.step()))?;
    trainer.run(observer)?;
    Ok(trainer)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut config = RunConfig::new(register(Inpainting)?, Preset::Tiny);
    config.seed = args.seed;
    config.training.set_steps(args.steps);
    if let Some(folder) = args.data {
        config.data.source = DataSource::Folder(folder);
    }
    let trainer = train(config, &args.out, &mut |event: &Event| {
        if let Event::Validated { step, best, .. } = event {
            println!("step {step}: best of 4 samples {best:.4}");
        }
    })?;

    let model = trainer.model();
    let mut sheet = Sheet::new().at_least(96);
    for example in trainer.held_out().iter().take(5) {
        let shown = model.task().picture_of_input(&example.conditioning);
        let input = &example.conditioning[example.conditioning.len() - 1];
        let filled = model.sample_planes(input, 6, args.seed)?;
        let row = [&shown].into_iter().chain(&filled).chain([example.truth()]);
        sheet.push(row.map(Planes::to_rgb).collect());
    }
    let picture = args.out.join("inpainting.png");
    sheet.save(&picture)?;
    println!(
        "pictures with holes, six fillings, the originals: {}",
        picture.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fillings_come_near_the_truth_and_a_stopped_run_continues() {
        let mut config = RunConfig::new(register(Inpainting).unwrap(), Preset::Tiny);
        (config.data.height, config.data.width) = (16, 16);
        config.training.set_steps(60);
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
        assert_eq!(stopped.step(), 60);
        drop(stopped); // two trainers cannot hold one run
        config.training.set_steps(80);
        let resumed = train(config, &out, &mut observer).unwrap();

        assert!(best[best.len() - 1] < 0.6 * best[0], "{best:?}");
        assert_eq!(resumed.step(), 80);
        let begins = |event: &Event| matches!(event, Event::Started { step: 60, .. });
        assert!(
            resumed
                .folder()
                .read_log()
                .unwrap()
                .events
                .iter()
                .any(begins)
        );
        for example in resumed.held_out() {
            let input = &example.conditioning[2];
            for filled in resumed.model().sample_planes(input, 2, 0).unwrap() {
                let outside = (0..256).filter(|&pixel| input.plane(3)[pixel] == 1.0);
                let pixels: Vec<usize> = outside.collect();
                assert_eq!(pixels.len(), 192);
                for pixel in pixels {
                    assert_eq!(filled.plane(0)[pixel], example.truth().plane(0)[pixel]);
                }
            }
        }
    }
}
