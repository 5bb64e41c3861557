//! Measuring a model on images: how near its best sample comes to the truth, how near its samples
//! come on average, and how much they differ.

use std::fmt;

use burn::tensor::backend::Backend;
use chimle_data::{
    Batch, DataError, Dataset, Example, MODES, Planes, Task, downsample, planes_from_tensor,
};
use chimle_imle::SeededPool;
use chimle_metrics::{Better, ImageView, MetricsError, Summary, expected_coverage, psnr, ssim};
use chimle_nn::Kernels;
use chimle_perceptual::Distance;
use serde::Serialize;

use crate::error::Error;
use crate::model::{Model, draw};
use crate::seed::{Stream, derive};
use crate::validation::covered;

/// How an evaluation samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationConfig {
    /// Samples for each image.
    pub samples: usize,
    /// Seed of the codes, and of the modes drawn from procedural scenes.
    pub seed: u64,
    /// The most images measured; all if `None`.
    pub limit: Option<usize>,
}

/// The mean over images of one measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Of the best of each image's samples.
    pub best: f64,
    /// Of each image's samples on average.
    pub mean: f64,
    /// Of the baseline: the input itself, as a picture of the output's size.
    pub baseline: f64,
}

/// What [`evaluate`] found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Images measured.
    pub images: usize,
    /// Images that could not be read, with the reason.
    pub skipped: Vec<String>,
    /// Samples for each image.
    pub samples: usize,
    /// The name of the distance.
    pub distance_name: String,
    /// The distance to the truth; lower is better.
    pub distance: Measured,
    /// PSNR in dB; higher is better.
    pub psnr: Measured,
    /// SSIM; higher is better. `None` if the images are smaller than its 11 pixel window.
    pub ssim: Option<Measured>,
    /// Mean distance between two samples of one image.
    pub diversity: f64,
    /// Procedural scenes: of the known outputs of a scene, those that are some sample's nearest.
    pub modes: Option<Modes>,
}

/// How many of the known outputs of procedural scenes are found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Modes {
    /// Mean over scenes.
    pub covered: f64,
    /// Scenes with all but at most one found, as a share.
    pub mostly_covered: f64,
    /// Known outputs of a scene.
    pub of: usize,
    /// What a perfect sampler would find on average.
    pub expected: f64,
}

/// The measures of one sample or baseline.
struct Measures {
    distance: f64,
    psnr: f64,
    ssim: Option<f64>,
}

/// Samples a model for the examples of a data set, and measures the samples.
///
/// The data set should not be augmented. `progress` is called with the images done and their
/// number.
///
/// # Errors
/// If no example can be read, or there are fewer than two samples.
pub fn evaluate<B: Kernels>(
    model: &Model<B>,
    dataset: &Dataset,
    distance: &Distance<B>,
    config: &EvaluationConfig,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Evaluation, Error> {
    let total = config
        .limit
        .map_or(dataset.len(), |limit| limit.min(dataset.len()));
    let pool = SeededPool::new(model.config(), derive(config.seed, Stream::Validation, 1));
    let mut sums = Sums::default();
    let mut skipped = Vec::new();
    let mut last = None;
    for index in 0..total {
        progress(index, total);
        let example = match dataset.example(index, config.seed) {
            Ok(example) => example,
            Err(error) => {
                skipped.push(error.to_string());
                last = Some(error);
                continue;
            }
        };
        sums.add(measure_example(
            model,
            &pool,
            distance,
            dataset.config().task,
            &example,
            index,
            config.samples,
        )?);
    }
    progress(total, total);
    if let (0, Some(error)) = (sums.images, last) {
        return Err(error.into());
    }
    Ok(sums.evaluation(skipped, config.samples, name(distance).to_owned()))
}

/// What one image adds.
struct ExampleMeasures {
    samples: Vec<Measures>,
    baseline: Measures,
    diversity: f64,
    covered: Option<usize>,
}

fn measure_example<B: Kernels>(
    model: &Model<B>,
    pool: &SeededPool,
    distance: &Distance<B>,
    task: Task,
    example: &Example,
    index: usize,
    samples: usize,
) -> Result<ExampleMeasures, Error> {
    let device = model.device();
    let batch = Batch::<B>::collate(&[example], device);
    let rgb = draw(model.generator(), &batch.conditioning, |level, size| {
        pool.codes(
            level,
            (0..samples).map(|sample| (index, sample)),
            size,
            device,
        )
    });
    let rgb = rgb.clamp(0.0, 1.0);
    let truth = distance.features(example.truth().to_tensor(device));
    let distances: Vec<f64> = distance
        .distance(rgb.clone(), &truth)
        .into_data()
        .iter::<f64>()
        .collect();
    let diversity = chimle_metrics::diversity(distance, rgb.clone())?;
    let images = planes_from_tensor(rgb);

    let baseline = baseline(task, example)?;
    let baseline_distance = distance
        .distance(baseline.to_tensor(device), &truth)
        .into_data()
        .iter::<f64>()
        .sum();
    let measures = images
        .iter()
        .zip(distances)
        .map(|(image, distance)| measure(image, example.truth(), distance));
    Ok(ExampleMeasures {
        samples: measures.collect::<Result<_, _>>()?,
        baseline: measure(&baseline, example.truth(), baseline_distance)?,
        diversity,
        covered: if example.modes.is_empty() {
            None
        } else {
            Some(covered(&images, &example.modes)?)
        },
    })
}

fn measure(image: &Planes, truth: &Planes, distance: f64) -> Result<Measures, Error> {
    let view = |planes: &'_ Planes| [planes.channels, planes.height, planes.width];
    let ssim = match ssim(
        ImageView::new(&image.data, view(image))?,
        ImageView::new(&truth.data, view(truth))?,
    ) {
        Ok(ssim) => Some(ssim),
        Err(MetricsError::SmallerThanWindow { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Measures {
        distance,
        psnr: psnr(&image.data, &truth.data)?,
        ssim,
    })
}

/// The output that takes no model: the gray image, the input enlarged (bicubic), or the input.
fn baseline(task: Task, example: &Example) -> Result<Planes, DataError> {
    let input = example.input_picture();
    if task != Task::SuperResolution {
        return Ok(input);
    }
    let truth = example.truth();
    Ok(Planes::from_rgb(&downsample(
        &input.to_rgb(),
        truth.width as u32,
        truth.height as u32,
    )?))
}

fn name<B: Backend>(distance: &Distance<B>) -> &'static str {
    match distance {
        Distance::L1 => "L1",
        Distance::L2 => "L2",
        Distance::LaplacianPyramid => "Laplacian pyramid",
        Distance::Lpips(_) => "LPIPS (VGG16)",
    }
}

/// Sums over images.
#[derive(Default)]
struct Sums {
    images: usize,
    distance: [f64; 3],
    psnr: [f64; 3],
    ssim: Option<[f64; 3]>,
    diversity: f64,
    covered: Option<[f64; 2]>,
}

impl Sums {
    fn add(&mut self, example: ExampleMeasures) {
        fn of(
            example: &ExampleMeasures,
            better: Better,
            value: impl Fn(&Measures) -> f64,
        ) -> [f64; 3] {
            let values: Vec<f64> = example.samples.iter().map(&value).collect();
            let summary = Summary::of(&values, better).expect("an image has samples");
            [summary.best, summary.mean, value(&example.baseline)]
        }
        fn accumulate<const N: usize>(sum: &mut [f64; N], values: [f64; N]) {
            sum.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += value);
        }
        self.images += 1;
        accumulate(
            &mut self.distance,
            of(&example, Better::Lower, |m| m.distance),
        );
        accumulate(&mut self.psnr, of(&example, Better::Higher, |m| m.psnr));
        if example.baseline.ssim.is_some() {
            let values = of(&example, Better::Higher, |m| m.ssim.unwrap_or_default());
            accumulate(self.ssim.get_or_insert_default(), values);
        }
        self.diversity += example.diversity;
        if let Some(covered) = example.covered {
            let most = f64::from(u8::from(covered + 1 >= MODES));
            accumulate(self.covered.get_or_insert_default(), [covered as f64, most]);
        }
    }

    fn evaluation(self, skipped: Vec<String>, samples: usize, distance_name: String) -> Evaluation {
        let count = self.images as f64;
        let mean = |[best, mean, baseline]: [f64; 3]| Measured {
            best: best / count,
            mean: mean / count,
            baseline: baseline / count,
        };
        Evaluation {
            images: self.images,
            skipped,
            samples,
            distance_name,
            distance: mean(self.distance),
            psnr: mean(self.psnr),
            ssim: self.ssim.map(mean),
            diversity: self.diversity / count,
            modes: self.covered.map(|[covered, most]| Modes {
                covered: covered / count,
                mostly_covered: most / count,
                of: MODES,
                expected: expected_coverage(MODES, samples),
            }),
        }
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} images, {} samples each", self.images, self.samples)?;
        writeln!(
            f,
            "{:<20} {:>10} {:>10} {:>10}",
            "", "best", "mean", "baseline"
        )?;
        let mut row = |name: &str, m: &Measured| {
            writeln!(
                f,
                "{name:<20} {:>10.4} {:>10.4} {:>10.4}",
                m.best, m.mean, m.baseline
            )
        };
        row(&self.distance_name, &self.distance)?;
        row("PSNR (dB)", &self.psnr)?;
        if let Some(ssim) = &self.ssim {
            row("SSIM", ssim)?;
        }
        write!(f, "{:<20} {:>10} {:>10.4}", "diversity", "", self.diversity)?;
        if let Some(modes) = &self.modes {
            write!(
                f,
                "\n{:<20} {:>10} {:>10.2} of {} (a perfect sampler: {:.2})",
                "modes covered", "", modes.covered, modes.of, modes.expected
            )?;
        }
        Ok(())
    }
}
