//! Measures the effect of the local and of the global codes (the paper's Figure 9).
//!
//! `cargo run --release --example streams -- --model runs/color --input photo.jpg`
//!
//! For one input, draws samples that differ only in their local codes, and samples that differ only in their global
//! codes, as rows of `streams.png`. Each sample is split into its *tone*, in which every pixel is the mean of its
//! cell of a coarse grid, and its *texture*, which is the rest. The two parts are orthogonal, so the variance
//! between samples is the sum of the variances of tone and texture. The shares of the two show whether a stream
//! changes the tone or the texture more. They are printed, and written to `streams.json`.
//!
//! Without `--model`, the program first trains a small network on procedural scenes for `--minutes` (2). Without
//! `--input`, it uses held-out scenes. Sampling takes seconds.

use std::path::PathBuf;
use std::time::Duration;

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_core::data::Example;
use chimle_core::{Colorization, Event, Model, Preset, RunConfig, Sheet, Trainer, Vary, read_rgb};
use chimle_show::film;
use clap::Parser;
use image::{RgbImage, imageops};

/// The smallest width of a sample in the picture, in pixels.
const SHOWN: u32 = 96;

#[derive(Parser)]
struct Args {
    /// A run's folder or a file of weights. Without it, a small model is trained first
    #[arg(long)]
    model: Option<PathBuf>,
    /// An input image for the model's task. Can be repeated
    #[arg(long)]
    input: Vec<PathBuf>,
    /// The number of samples for each input and stream
    #[arg(long, default_value_t = 8)]
    samples: usize,
    /// The number of grid cells along each side. The tone is the mean of each cell
    #[arg(long, default_value_t = 4)]
    cells: u32,
    /// The seed of the codes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Minutes to train, if no model is given
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// The folder to write
    #[arg(long, default_value = "runs/example-streams")]
    out: PathBuf,
}

/// The variance between samples, averaged over pixels and channels, for image values in [0, 1].
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
struct Spread {
    tone: f64,
    texture: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let (model, held_out) = match &args.model {
        Some(path) => (Model::<Flex>::load(path, &Default::default())?, vec![]),
        None => train(&args)?,
    };
    let mut inputs = held_out;
    if !args.input.is_empty() {
        inputs = args.input.iter().map(read_rgb).collect::<Result<_, _>>()?;
    }
    if inputs.is_empty() || args.samples < 2 || args.cells == 0 {
        return Err(
            "--model needs an --input, --samples must be at least 2, and --cells at least 1".into(),
        );
    }

    let mut sheet = Sheet::new().at_least(SHOWN);
    let streams = [("local", Vary::Local), ("global", Vary::Global)];
    let mut spreads = [Spread::default(); 2];
    for input in &inputs {
        for ((_, vary), spread) in streams.iter().zip(&mut spreads) {
            let samples = model.vary(input, args.samples, args.seed, *vary)?;
            let this = between(&samples, args.cells);
            spread.tone += this.tone / inputs.len() as f64;
            spread.texture += this.texture / inputs.len() as f64;
            sheet.push([input.clone()].into_iter().chain(samples).collect());
        }
    }

    std::fs::create_dir_all(&args.out)?;
    let caption = "Left: the input. Upper row of each pair: only local codes vary. Lower row: only global codes vary.";
    film::beside(&[&sheet.picture()], caption)?.save(args.out.join("streams.png"))?;

    println!("| codes that vary | standard deviation | of the variance: tone | texture |");
    println!("|---|---|---|---|");
    let mut numbers = serde_json::Map::new();
    for ((name, _), spread) in streams.iter().zip(spreads) {
        let whole = spread.tone + spread.texture;
        let share = |part: f64| if whole > 0.0 { part / whole } else { f64::NAN };
        let (tone, texture) = (share(spread.tone), share(spread.texture));
        println!(
            "| {name} | {:.4} | {:.1} % | {:.1} % |",
            whole.sqrt(),
            100.0 * tone,
            100.0 * texture
        );
        let row = serde_json::json!({
            "variance": spread, "tone_share": tone, "texture_share": texture,
        });
        numbers.insert(name.to_string(), row);
    }
    numbers.insert("cells".into(), args.cells.into());
    numbers.insert("inputs".into(), inputs.len().into());
    numbers.insert("samples".into(), args.samples.into());
    let json = serde_json::to_string_pretty(&numbers)?;
    std::fs::write(args.out.join("streams.json"), json)?;
    println!("the samples: {}", args.out.join("streams.png").display());
    Ok(())
}

/// Trains a small model on procedural scenes, and returns it with gray pictures of unseen scenes.
fn train(args: &Args) -> Result<(Model<Flex>, Vec<RgbImage>), Box<dyn std::error::Error>> {
    let config = RunConfig::new(Colorization, Preset::Tiny);
    let mut trainer = Trainer::<Autodiff<Flex>>::create(config, &args.out, Default::default())?;
    let limit = Duration::from_secs_f64(60.0 * args.minutes);
    trainer.run_for(limit, &mut |event: &Event| {
        if let Event::Validated { step, best, .. } = event {
            println!("step {step}: best of 4 samples {best:.4}");
        }
    })?;
    let model = trainer.model();
    let picture = |example: &Example| {
        model
            .task()
            .picture_of_input(&example.conditioning)
            .to_rgb()
    };
    let inputs = trainer.held_out().iter().take(4).map(picture).collect();
    Ok((model, inputs))
}

/// Computes the variance between samples of one input, in tone and in texture.
fn between(samples: &[RgbImage], cells: u32) -> Spread {
    let tones: Vec<_> = samples.iter().map(|sample| tone(sample, cells)).collect();
    let textures: Vec<Vec<f64>> = samples
        .iter()
        .zip(&tones)
        .map(|(sample, tone)| {
            let values = sample.iter().map(|&value| f64::from(value) / 255.0);
            values.zip(tone).map(|(value, tone)| value - tone).collect()
        })
        .collect();
    Spread {
        tone: variance(&tones),
        texture: variance(&textures),
    }
}

/// Replaces every value by the mean of its channel over its cell.
fn tone(sample: &RgbImage, cells: u32) -> Vec<f64> {
    let (width, height) = sample.dimensions();
    let edge = |k: u32, side: u32| k * side / cells.min(side);
    let mut tone = vec![0.0; sample.len()];
    for row in 0..cells.min(height) {
        for column in 0..cells.min(width) {
            let (left, top) = (edge(column, width), edge(row, height));
            let (right, bottom) = (edge(column + 1, width), edge(row + 1, height));
            let cell = imageops::crop_imm(sample, left, top, right - left, bottom - top).to_image();
            let pixels = f64::from(cell.width() * cell.height());
            for channel in 0..3 {
                let values = cell.pixels().map(|pixel| f64::from(pixel[channel]) / 255.0);
                let mean = values.sum::<f64>() / pixels;
                for (y, x) in (top..bottom).flat_map(|y| (left..right).map(move |x| (y, x))) {
                    tone[3 * (y * width + x) as usize + channel] = mean;
                }
            }
        }
    }
    tone
}

/// Returns the unbiased variance between rows, averaged over their values.
fn variance(rows: &[Vec<f64>]) -> f64 {
    let (count, length) = (rows.len() as f64, rows[0].len());
    let one = |k: usize| {
        let mean = rows.iter().map(|row| row[k]).sum::<f64>() / count;
        let squares = rows.iter().map(|row| (row[k] - mean).powi(2));
        squares.sum::<f64>() / (count - 1.0)
    };
    (0..length).map(one).sum::<f64>() / length as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn brightness_is_tone_a_checkerboard_is_texture_and_they_add_up() {
        let flat = |value| RgbImage::from_pixel(9, 7, Rgb([value; 3]));
        let tone_alone = between(&[flat(10), flat(200)], 3);
        assert!(tone_alone.tone > 0.1 && tone_alone.texture < 1e-20);

        let checkers = |odd| {
            RgbImage::from_fn(8, 8, |x, y| {
                Rgb([if (x + y) % 2 == odd { 255 } else { 0 }; 3])
            })
        };
        let texture_alone = between(&[checkers(0), checkers(1)], 2);
        assert!(texture_alone.texture > 0.4 && texture_alone.tone < 1e-20);

        let any = |a: u32| RgbImage::from_fn(11, 13, |x, y| Rgb([(a * x * x + y * y) as u8; 3]));
        let samples = [any(1), any(3), any(7)];
        let raw: Vec<Vec<f64>> = samples
            .iter()
            .map(|image| image.iter().map(|&v| f64::from(v) / 255.0).collect())
            .collect();
        let split = between(&samples, 4);
        assert!((split.tone + split.texture - variance(&raw)).abs() < 1e-12);
    }
}
