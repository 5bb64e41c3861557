//! Pictures whose local detail is open: do the local codes decide it?
//!
//! `cargo run --release --example local_detail -- --steps 1500`
//!
//! Each picture shows nine gray spots. In the output every spot is red or blue, independently of the others, so one
//! input has 2^9 equally likely outputs. The example trains a network on such pictures. Then it draws samples in which
//! the whole code varies, the local codes alone, and the global codes alone, and counts local modes:
//!
//! - *spots in both colors*: the number of spots, of nine, that are red in some sample and blue in another one;
//! - *patterns*: the number of different patterns of red and blue among the samples;
//! - *undecided*: the fraction of spots that are neither red nor blue.
//!
//! Each number stands next to that of a perfect sampler, which draws every spot by a fair coin. The samples are in
//! `local_detail.png`.

use std::path::PathBuf;

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_core::data::procedural::Scene;
use chimle_core::data::{DataError, Planes, Sizes};
use chimle_core::{
    Event, Preset, RunConfig, RunFolder, Sheet, Strategy, Task, Trainer, Vary, register,
};
use clap::Parser;
use image::{Rgb, RgbImage};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The number of spots along each side of a picture.
const GRID: usize = 3;
const SPOTS: usize = GRID * GRID;
const BACKGROUND: Rgb<u8> = Rgb([230; 3]);
const GRAY: Rgb<u8> = Rgb([120; 3]);
const COLORS: [Rgb<u8>; 2] = [Rgb([210, 60, 60]), Rgb([60, 60, 210])];

#[derive(Parser)]
struct Args {
    /// The number of training steps in all
    #[arg(long, default_value_t = 1500)]
    steps: u64,
    /// Candidates of each level, coarse to fine
    #[arg(long, value_delimiter = ',')]
    pools: Option<Vec<usize>>,
    /// Samples of each input
    #[arg(long, default_value_t = 8)]
    samples: usize,
    /// The seed of all random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder to write
    #[arg(long, default_value = "runs/example-local-detail")]
    out: PathBuf,
}

/// Gray spots to spots that are each red or blue.
#[derive(Debug)]
struct Spots;

impl Task for Spots {
    fn name(&self) -> &str {
        "spots"
    }

    /// Makes every color gray. Scenes have inputs of their own.
    fn degrade(&self, picture: &RgbImage, _: &Sizes, _: u64) -> Result<Planes, DataError> {
        let gray = |pixel: &Rgb<u8>| if COLORS.contains(pixel) { GRAY } else { *pixel };
        let (width, height) = picture.dimensions();
        let image = RgbImage::from_fn(width, height, |x, y| gray(picture.get_pixel(x, y)));
        Ok(Planes::from_rgb(&image))
    }

    fn scene(&self, sizes: &Sizes, number: u64) -> Result<Scene, DataError> {
        let mut rng = ChaCha8Rng::seed_from_u64(number);
        let (height, width) = sizes.output();
        let spots = places(&mut rng, height, width);
        let pattern: [usize; SPOTS] = std::array::from_fn(|_| rng.random_range(0..2));
        Ok(Scene {
            input: Some(draw(&spots, height, width, |_| GRAY)),
            outputs: vec![draw(&spots, height, width, |spot| COLORS[pattern[spot]])],
        })
    }
}

/// A spot: the row and the column of its center, and its radius, in pixels.
type Spot = (f32, f32, f32);

/// Draws the places of the spots, one in each cell of the grid.
fn places(rng: &mut impl Rng, height: usize, width: usize) -> Vec<Spot> {
    let [cell_height, cell_width] = [height, width].map(|side| side as f32 / GRID as f32);
    let cells = (0..SPOTS).map(|spot| {
        let mut at = |cell: usize, size: f32| (cell as f32 + rng.random_range(0.4..0.6)) * size;
        let row = at(spot / GRID, cell_height);
        let column = at(spot % GRID, cell_width);
        (row, column, 0.36 * cell_height.min(cell_width))
    });
    cells.collect()
}

fn draw(spots: &[Spot], height: usize, width: usize, color: impl Fn(usize) -> Rgb<u8>) -> RgbImage {
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let (row, column) = (y as f32 + 0.5, x as f32 + 0.5);
        let inside = |&(r, c, radius): &Spot| (row - r).hypot(column - c) <= radius;
        spots.iter().position(inside).map_or(BACKGROUND, &color)
    })
}

/// Returns the index of the color of each spot, or `None` for a spot that is nearer to gray than to a color.
fn pattern(sample: &RgbImage, input: &RgbImage) -> Vec<Option<usize>> {
    let (width, height) = sample.dimensions();
    let cells = (0..SPOTS).map(|spot| {
        let (row, column) = ((spot / GRID) as u32, (spot % GRID) as u32);
        let mut sums = [0.0; 3];
        for y in row * height / GRID as u32..(row + 1) * height / GRID as u32 {
            for x in column * width / GRID as u32..(column + 1) * width / GRID as u32 {
                if input.get_pixel(x, y).0[0] < 175 {
                    let pixel = sample.get_pixel(x, y).0;
                    sums.iter_mut()
                        .zip(pixel)
                        .for_each(|(sum, value)| *sum += f64::from(value));
                }
            }
        }
        // Red minus blue, relative to that of a red spot.
        let balance = (sums[0] - sums[2]) / (sums[0] + sums[2]).max(1.0) / (150.0 / 270.0);
        match balance {
            b if b > 0.5 => Some(0),
            b if b < -0.5 => Some(1),
            _ => None,
        }
    });
    cells.collect()
}

/// What samples of one input show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    in_both_colors: f64,
    patterns: f64,
    undecided: f64,
}

fn count(samples: &[RgbImage], input: &RgbImage) -> Count {
    let patterns: Vec<_> = samples
        .iter()
        .map(|sample| pattern(sample, input))
        .collect();
    let has = |spot: usize, color| patterns.iter().any(|pattern| pattern[spot] == Some(color));
    let mut different = patterns.clone();
    different.sort_unstable();
    different.dedup();
    let all = patterns.iter().flatten();
    Count {
        in_both_colors: (0..SPOTS)
            .filter(|&spot| has(spot, 0) && has(spot, 1))
            .count() as f64,
        patterns: different.len() as f64,
        undecided: all.clone().filter(|color| color.is_none()).count() as f64 / all.count() as f64,
    }
}

/// What a sampler that draws every spot by a fair coin shows in the mean.
fn perfect(samples: usize) -> Count {
    let patterns = 2f64.powi(SPOTS as i32);
    Count {
        in_both_colors: SPOTS as f64 * (1.0 - 0.5f64.powi(samples as i32 - 1)),
        patterns: patterns * (1.0 - (1.0 - 1.0 / patterns).powi(samples as i32)),
        undecided: 0.0,
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut config = RunConfig::new(register(Spots)?, Preset::Tiny);
    config.seed = args.seed;
    config.training.set_steps(args.steps);
    if let Some(pools) = args.pools {
        config.search.strategy = Strategy::Hierarchical { pools };
    }
    let mut trainer = if RunFolder::at(&args.out).holds_run() {
        Trainer::<Autodiff<Flex>>::resume(&args.out, Default::default())?
    } else {
        Trainer::create(config, &args.out, Default::default())?
    };
    trainer.set_steps(args.steps.max(trainer.step()))?;
    trainer.run(&mut |event: &Event| {
        if let Event::Validated { step, best, .. } = event {
            println!("step {step}: best of 4 samples {best:.4}");
        }
    })?;

    let model = trainer.model();
    let inputs: Vec<RgbImage> = trainer
        .held_out()
        .iter()
        .map(|example| {
            model
                .task()
                .picture_of_input(&example.conditioning)
                .to_rgb()
        })
        .collect();
    println!(
        "| codes that vary | spots in both colors | patterns | undecided |\n|---|---|---|---|"
    );
    let row = |name: &str, count: Count| {
        println!(
            "| {name} | {:.2} | {:.2} | {:.0} % |",
            count.in_both_colors,
            count.patterns,
            100.0 * count.undecided
        );
    };
    let mut sheet = Sheet::new().at_least(96);
    for (name, vary) in [
        ("all", Vary::Everything),
        ("local", Vary::Local),
        ("global", Vary::Global),
    ] {
        let mut mean = Count::default();
        for (index, input) in inputs.iter().enumerate() {
            let samples = model.vary(input, args.samples, args.seed, vary)?;
            let this = count(&samples, input);
            mean.in_both_colors += this.in_both_colors / inputs.len() as f64;
            mean.patterns += this.patterns / inputs.len() as f64;
            mean.undecided += this.undecided / inputs.len() as f64;
            if index < 2 {
                sheet.push([input.clone()].into_iter().chain(samples).collect());
            }
        }
        row(name, mean);
    }
    row("a perfect sampler", perfect(args.samples));
    let picture = args.out.join("local_detail.png");
    sheet.save(&picture)?;
    println!(
        "two rows each of all, local and global codes: {}",
        picture.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spots() -> Vec<Spot> {
        places(&mut ChaCha8Rng::seed_from_u64(5), 32, 32)
    }

    #[test]
    fn colors_of_spots_are_recognized() {
        let input = draw(&spots(), 32, 32, |_| GRAY);
        let sample = draw(&spots(), 32, 32, |spot| match spot % 3 {
            2 => GRAY,
            color => COLORS[color],
        });
        let expected: Vec<_> = (0..SPOTS)
            .map(|spot| Some(spot % 3).filter(|&c| c < 2))
            .collect();
        assert_eq!(pattern(&sample, &input), expected);
        let counted = count(&[sample], &input);
        assert_eq!((counted.in_both_colors, counted.patterns), (0.0, 1.0));
        assert!((counted.undecided - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_perfect_sampler_is_counted_as_computed() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let input = draw(&spots(), 32, 32, |_| GRAY);
        let (rounds, samples) = (200, 4);
        let mut mean = Count::default();
        for _ in 0..rounds {
            let drawn: Vec<RgbImage> = (0..samples)
                .map(|_| {
                    let flips: [usize; SPOTS] = std::array::from_fn(|_| rng.random_range(0..2));
                    draw(&spots(), 32, 32, |spot| COLORS[flips[spot]])
                })
                .collect();
            let this = count(&drawn, &input);
            mean.in_both_colors += this.in_both_colors / f64::from(rounds);
            mean.patterns += this.patterns / f64::from(rounds);
        }
        let expected = perfect(samples);
        assert!((mean.in_both_colors - expected.in_both_colors).abs() < 0.3);
        assert!((mean.patterns - expected.patterns).abs() < 0.1);
    }
}
