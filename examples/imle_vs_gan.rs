//! Trains IMLE and a GAN on the same points. IMLE keeps every mode; the GAN loses modes.
//!
//! `cargo run --release --example imle_vs_gan`
//!
//! One small generator is trained twice on a ring of eight modes: by IMLE, and against a discriminator (the
//! non-saturating loss of Goodfellow et al. 2014). Both trainings see the same number of points in the same number of
//! steps, and the GAN's discriminator is as large as its generator. The program counts over time how many of 512
//! unseen points are *covered*: a point is covered if one of 512 samples lies within two spreads (standard deviations
//! of a mode). It also counts where the samples lie ([`toy::Counts`]).
//!
//! Writes a film of both (`imle-vs-gan.gif`), its last frame (`last.png`), a plot of the counts (`covered.png`) and
//! `numbers.json` to `--out`. It takes about half a minute. All random numbers depend only on `--seed`.

use std::path::PathBuf;

use burn::module::AutodiffModule;
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::activation::softplus;
use chimle_core::knn::{KdTree, NearestNeighbors, Points};
use chimle_show::{Frame, Plot, Series, film};
use clap::Parser;
use image::RgbImage;
use toy::{Counts, Flex, Mixture, Noise, Perceptron, Scatter, Training, adam, imle};

/// The standard deviation of a mode. The ring's radius is 1.
const SPREAD: f32 = 0.03;
/// The number of points that are tested, and of samples that can cover them.
const COUNTED: usize = 512;
/// The number of samples shown in the film.
const SHOWN: usize = 600;
/// The duration of a frame of the film, and of the last frame.
const MILLISECONDS: [u32; 2] = [200, 2500];

#[derive(Parser)]
struct Args {
    /// The number of training steps of each generator
    #[arg(long, default_value_t = 4000)]
    steps: usize,
    /// The number of frames of the film
    #[arg(long, default_value_t = 25)]
    frames: usize,
    /// The GAN's learning rate
    #[arg(long, default_value_t = 5e-4)]
    gan_rate: f64,
    /// The seed of all random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder to write
    #[arg(long, default_value = "runs/imle-vs-gan")]
    out: PathBuf,
}

/// The state of a generator at one step.
#[derive(serde::Serialize)]
struct Moment {
    step: usize,
    covered: usize,
    counts: Counts,
    #[serde(skip)]
    samples: Vec<f32>,
}

/// A recorder of a generator's progress.
struct Watch<'a> {
    mixture: &'a Mixture,
    points: Vec<f32>,
    codes: Tensor<Flex, 2>,
    every: usize,
    last: usize,
    moments: Vec<Moment>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out)?;
    let mixture = Mixture::ring(8, SPREAD);
    let config = imle::Config {
        code: 4,
        hidden: 64,
        batch: 256,
        pool: 16,
        hold: 5,
        steps: args.steps,
        rate: 2e-3,
    };
    // IMLE reports its generator only between rounds, so both generators are recorded at these steps.
    let every = (args.steps / args.frames.max(1))
        .next_multiple_of(config.hold)
        .max(1);
    let watch = || {
        let mut noise = Noise::new(args.seed, 9);
        let points = mixture
            .draw::<Flex>(COUNTED, &mut noise)
            .into_data()
            .to_vec();
        Watch {
            mixture: &mixture,
            points: points.expect("f32"),
            codes: noise.normals(SHOWN, config.code),
            every,
            last: args.steps,
            moments: Vec::new(),
        }
    };
    let (mut of_imle, mut of_gan) = (watch(), watch());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            imle::train(
                &config,
                &mixture,
                Noise::new(args.seed, 1),
                |step, generator| {
                    of_imle.see(step, generator);
                },
            );
        });
        scope.spawn(|| {
            let noise = Noise::new(args.seed, 1);
            train_gan(
                &config,
                args.gan_rate,
                &mixture,
                noise,
                |step, generator| {
                    of_gan.see(step, generator);
                },
            );
        });
    });

    println!("| step | | covered of {COUNTED} | spurious | dropped of 8 |");
    println!("|---|---|---|---|---|");
    let moments = of_imle.moments.iter().zip(&of_gan.moments);
    for (imle, gan) in moments.step_by((args.frames / 5).max(1)) {
        for (name, moment) in [("IMLE", imle), ("GAN", gan)] {
            let (step, covered, counts) = (moment.step, moment.covered, moment.counts);
            let spurious = 100.0 * counts.spurious;
            println!(
                "| {step} | {name} | {covered} | {spurious:.1} % | {} |",
                counts.dropped
            );
        }
    }

    let line = |name: &str, watch: &Watch| {
        let points = watch
            .moments
            .iter()
            .map(|moment| (moment.step as f64, moment.covered as f64));
        Series::new(name, points)
    };
    let plot = Plot {
        title: "Points with a sample near them".into(),
        x_label: "training step".into(),
        y_label: format!("of {COUNTED} points not trained on"),
        y_range: Some((0.0, COUNTED as f64)),
        series: vec![line("IMLE", &of_imle), line("GAN", &of_gan)],
        width: 340,
        height: 240,
        ..Plot::default()
    };
    plot.save(args.out.join("covered.png"))?;
    let count = of_imle.moments.len();
    let frames = (0..count).map(|k| {
        let (imle, gan) = (of_imle.picture(k)?, of_gan.picture(k)?);
        let step = of_imle.moments[k].step;
        let curve = plot.until(step as f64).image(1.0)?;
        let caption = format!(
            "Left: IMLE. Middle: GAN. Orange: samples. Circles: where the data is. Step {step}"
        );
        Ok(Frame {
            image: film::beside(&[&imle, &gan, &curve], &caption)?,
            milliseconds: MILLISECONDS[usize::from(k + 1 == count)],
        })
    });
    let frames = frames.collect::<Result<Vec<_>, Box<dyn std::error::Error>>>()?;
    film::save(&frames, args.out.join("imle-vs-gan.gif"))?;
    let last = frames.last().ok_or("no frames")?;
    last.image.save(args.out.join("last.png"))?;
    let numbers = serde_json::json!({ "imle": of_imle.moments, "gan": of_gan.moments });
    let json = serde_json::to_string_pretty(&numbers)?;
    std::fs::write(args.out.join("numbers.json"), json)?;
    println!("the film: {}", args.out.join("imle-vs-gan.gif").display());
    Ok(())
}

impl Watch<'_> {
    fn see(&mut self, step: usize, generator: &Perceptron<Flex>) {
        if !step.is_multiple_of(self.every) && step != self.last {
            return;
        }
        let samples = generator.forward(self.codes.clone()).into_data();
        let samples = samples.to_vec::<f32>().expect("f32");
        self.moments.push(Moment {
            step,
            covered: covered(&self.points, &samples[..2 * COUNTED], 2.0 * SPREAD),
            counts: self.mixture.count(&samples),
            samples,
        });
    }

    fn picture(&self, moment: usize) -> Result<RgbImage, Box<dyn std::error::Error>> {
        let scatter = Scatter::new(240, 1.4)
            .circles(self.mixture.centers(), toy::REACH * SPREAD, [150, 150, 160])
            .dots(&self.moments[moment].samples, 1.3, [0xd5, 0x5e, 0x00], 0.6);
        Ok(scatter.picture())
    }
}

/// Returns the number of `points` that have a sample within `radius`. Points and samples are pairs of coordinates.
fn covered(points: &[f32], samples: &[f32], radius: f32) -> usize {
    let rows = |values| Points::new(values, 2).expect("whole rows");
    let found = KdTree::new(rows(samples)).and_then(|tree| tree.query_many(rows(points), 1));
    let found = found.expect("the generators' outputs are finite");
    let near = found
        .iter()
        .filter(|found| found[0].distance <= radius * radius);
    near.count()
}

/// Trains a generator against a discriminator, in alternating steps.
fn train_gan(
    config: &imle::Config,
    rate: f64,
    mixture: &Mixture,
    mut noise: Noise,
    mut watch: impl FnMut(usize, &Perceptron<Flex>),
) {
    let mut generator = imle::generator(config, mixture.dimension(), &mut noise);
    let hidden = config.hidden;
    let widths = [mixture.dimension(), hidden, hidden, hidden, 1];
    let mut discriminator = Perceptron::<Training>::new(&widths, &mut noise);
    let mut of_generator = adam::<Training, Perceptron<Training>>(0.5);
    let mut of_discriminator = adam::<Training, Perceptron<Training>>(0.5);
    for step in 0..config.steps {
        if step.is_multiple_of(config.hold) {
            watch(step, &generator.valid());
        }
        let data = mixture.draw::<Training>(config.batch, &mut noise);
        let samples = generator.forward(noise.normals(config.batch, config.code));

        // The discriminator's loss is -log D(data) - log(1 - D(sample)), where D is the sigmoid of the network's
        // output.
        let real = softplus(-discriminator.forward(data), 1.0).mean();
        let made = softplus(discriminator.forward(samples.clone().detach()), 1.0).mean();
        let gradients = GradientsParams::from_grads((real + made).backward(), &discriminator);
        discriminator = of_discriminator.step(rate, discriminator, gradients);

        // The generator's loss is -log D(sample). The saturating loss would be log(1 - D(sample)).
        let loss = softplus(-discriminator.forward(samples), 1.0).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &generator);
        generator = of_generator.step(rate, generator, gradients);
    }
    watch(config.steps, &generator.valid());
}
