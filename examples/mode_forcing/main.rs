//! Tests whether diffusion models force modes (the paper's Appendix D), in one and two dimensions.
//!
//! `cargo run --release --example mode_forcing`
//!
//! Diffusion models with T steps, for several T, and generators trained by IMLE learn the same points: a mixture of
//! well separated modes, once with a tiny and once with a wide spread. The program counts the share of samples in
//! regions without data (*spurious*), and the modes that are almost without samples (*dropped*); [`toy::Counts`] has
//! the definitions. In one dimension, it computes the terms of the diffusion model's bound, which is the
//! log-likelihood minus the divergences, on a grid (`bound.rs`). It also trains one model with several weights of the
//! divergences (`tradeoff.rs`).
//!
//! Prints tables, and writes them, the figures and `numbers.json` to `--out`. The run takes nine minutes of CPU time,
//! which is five to ten minutes on two cores. All random numbers depend only on `--seed`. The results are in
//! `docs/mode-forcing.md`.

mod bound;
mod diffusion;
mod figures;
mod report;
mod tradeoff;

use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use bound::{Grid, Line, Reverse, Terms};
use clap::Parser;
use diffusion::{Diffusion, Loss};
use report::{Model, Numbers, Row, Weighted};
use toy::{Mixture, Noise};

/// The end of the grid. Beyond it, a standard normal density is below 1e-8.
const GRID_REACH: f64 = 6.0;
const GRID_POINTS: usize = 2401;

#[derive(Parser, Debug, Clone, serde::Serialize)]
struct Args {
    /// The folder to write
    #[arg(long, default_value = "runs/mode-forcing")]
    out: PathBuf,
    /// The numbers of diffusion steps T
    #[arg(long, value_delimiter = ',', default_value = "2,4,8,16,32,128")]
    diffusion_steps: Vec<usize>,
    /// The numbers of codes that IMLE draws for each data point
    #[arg(long, value_delimiter = ',', default_value = "4,16,64")]
    pools: Vec<usize>,
    /// The loss of the diffusion models
    #[arg(long, value_enum, default_value = "bound")]
    loss: Loss,
    /// The number of training steps of each model
    #[arg(long, default_value_t = 4000)]
    steps: usize,
    /// The number of samples of each model that are counted
    #[arg(long, default_value_t = 20_000)]
    samples: usize,
    /// The number of diffusion steps of the model that is trained with weighted divergences
    #[arg(long, default_value_t = 4)]
    weighted_diffusion_steps: usize,
    /// The weights λ of the divergences
    #[arg(long, value_delimiter = ',', default_value = "0,0.1,1,10")]
    weights: Vec<f64>,
    /// The number of training steps with each weight, on the grid
    #[arg(long, default_value_t = 800)]
    weighted_steps: usize,
    /// The seed of all random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// A mixture to learn.
#[derive(Debug, Clone)]
struct Setting {
    name: &'static str,
    mixture: Mixture,
}

/// A training that is independent of all others.
#[derive(Debug, Clone, Copy)]
enum Job {
    Imle(usize),
    Diffusion(usize),
    Weighted(f64),
}

fn settings() -> Vec<Setting> {
    let setting = |name, mixture| Setting { name, mixture };
    vec![
        setting("line, tiny", Mixture::line(4, 0.02)),
        setting("line, wide", Mixture::line(4, 0.1)),
        setting("plane, tiny", Mixture::grid(3, 1.0, 0.02)),
        setting("plane, wide", Mixture::grid(3, 1.0, 0.1)),
    ]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out)?;
    let settings = settings();
    let numbers = Mutex::new(Numbers::default());
    // The slowest jobs come first.
    let mut jobs: Vec<(&Setting, Job)> = Vec::new();
    for setting in &settings {
        if setting.mixture.dimension() == 1 {
            jobs.extend(args.weights.iter().map(|&w| (setting, Job::Weighted(w))));
        }
        jobs.extend(
            args.diffusion_steps
                .iter()
                .map(|&t| (setting, Job::Diffusion(t))),
        );
        jobs.extend(args.pools.iter().map(|&pool| (setting, Job::Imle(pool))));
    }
    let waiting = Mutex::new(jobs.into_iter());
    let next = || waiting.lock().expect("no thread panicked").next();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((setting, job)) = next() {
                    let done = run(&args, setting, job);
                    println!("{}: {job:?}", setting.name);
                    numbers.lock().expect("no thread panicked").add(done);
                }
            });
        }
    });
    let mut numbers = numbers.into_inner().expect("no thread panicked");
    for setting in &settings {
        let points = draw_data(&args, &setting.mixture);
        let row = Row::new(setting.name, Model::Data, &setting.mixture, points);
        numbers.add(Done::Row(row));
    }
    numbers.sort(&settings.iter().map(|s| s.name).collect::<Vec<_>>());

    let tables = report::tables(&numbers);
    println!("\n{tables}");
    std::fs::write(args.out.join("tables.md"), &tables)?;
    let json = serde_json::json!({ "settings": args, "numbers": numbers });
    let json = serde_json::to_string_pretty(&json)?;
    std::fs::write(args.out.join("numbers.json"), json)?;
    figures::draw(&numbers, &settings, &args.out)?;
    println!("figures: {}", args.out.display());
    Ok(())
}

/// The result of a job.
enum Done {
    Row(Row),
    Weighted(Weighted),
}

fn run(args: &Args, setting: &Setting, job: Job) -> Done {
    let mixture = &setting.mixture;
    // Each model is trained with its own stream of random numbers. A separate stream draws its samples.
    let noise = |stream: u64| Noise::new(args.seed, stream);
    match job {
        Job::Imle(pool) => {
            let config = imle_config(args, pool);
            let generator =
                toy::imle::train(&config, mixture, noise(1000 + pool as u64), |_, _| {});
            let codes = noise(2).normals(args.samples, config.code);
            let samples = generator.forward(codes).into_data().to_vec().expect("f32");
            Done::Row(Row::new(setting.name, Model::Imle(pool), mixture, samples))
        }
        Job::Diffusion(steps) => {
            let stream = 10 + steps as u64;
            let model = diffusion::train(&diffusion_config(args), mixture, steps, noise(stream));
            let samples = model.sample(args.samples, mixture.dimension(), &mut noise(3));
            let mut row = Row::new(setting.name, Model::Diffusion(steps), mixture, samples);
            row.terms = line_of(mixture).map(|line| on_grid(&model, &line).1);
            Done::Row(row)
        }
        Job::Weighted(weight) => {
            let line = line_of(mixture).expect("weights are used only in one dimension");
            let steps = args.weighted_diffusion_steps;
            let stream = 10 + steps as u64;
            let start = diffusion::train(&diffusion_config(args), mixture, steps, noise(stream));
            let model = tradeoff::train(&start, &line, weight, args.weighted_steps, 3e-4);
            let samples = model.sample(args.samples, 1, &mut noise(3));
            let (reverse, terms) = on_grid(&model, &line);
            let x_0 = line.centers[1];
            let first = bound::first_step(&grid(), &model.schedule, &reverse, &terms, x_0);
            Done::Weighted(Weighted::new(
                setting.name,
                weight,
                mixture,
                &samples,
                terms,
                first,
            ))
        }
    }
}

fn draw_data(args: &Args, mixture: &Mixture) -> Vec<f32> {
    let points = mixture.draw::<toy::Flex>(args.samples, &mut Noise::new(args.seed, 4));
    points.into_data().to_vec().expect("f32")
}

/// Returns the training settings of diffusion. The width, the batch, the steps and the rate are the same as for IMLE.
fn diffusion_config(args: &Args) -> diffusion::Config {
    diffusion::Config {
        loss: args.loss,
        hidden: 64,
        batch: 256,
        steps: args.steps,
        rate: 2e-3,
    }
}

fn imle_config(args: &Args, pool: usize) -> toy::imle::Config {
    toy::imle::Config {
        code: 4,
        hidden: 64,
        batch: 256,
        pool,
        hold: 5,
        steps: args.steps,
        rate: 2e-3,
    }
}

fn grid() -> Grid {
    Grid::new(GRID_REACH, GRID_POINTS)
}

/// Returns the mixture as densities on the line, if it has one dimension.
fn line_of(mixture: &Mixture) -> Option<Line> {
    (mixture.dimension() == 1).then(|| Line {
        centers: mixture
            .centers()
            .map(|center| f64::from(center[0]))
            .collect(),
        variance: f64::from(mixture.spread()).powi(2),
    })
}

fn on_grid(model: &Diffusion, line: &Line) -> (Reverse, Terms) {
    let grid = grid();
    let steps = 1..=model.schedule.steps();
    let reverse = Reverse {
        means: steps.map(|t| model.mean_at(t, &grid.points)).collect(),
        sigma: model.sigma(),
    };
    let terms = bound::terms(&grid, line, &model.schedule, &reverse);
    (reverse, terms)
}
