//! Measuring a model, or any program's images: how near samples come to the truth, how much they
//! differ, and how alike all of them are to true images.
//!
//! [`evaluate`] measures a model on a data set, [`evaluate_folders`] two folders of images. Both go
//! through the images once, keep no more than they are asked to, and give a [`Report`] in which every figure has its interval
//! over images.

mod example;
mod folders;
mod kept;
mod likeness;
mod modes;
mod report;
mod sets;
mod table;
mod tally;

use burn::tensor::backend::Backend;
use chimle_data::{Dataset, MODES};
use chimle_imle::SeededPool;
use chimle_metrics::{Better, Bootstrap, FAITHFULNESS_SIGMAS, Statistics, expected_coverage};
use chimle_nn::Kernels;
use chimle_perceptual::{Distance, Extractor};

use crate::error::Error;
use crate::model::Model;
use crate::seed::{Stream, derive};
use example::{Measured as ExampleMeasures, Sampler};
use kept::Keeper;
use sets::FeatureSets;
use tally::{Column, Figures};

pub use folders::{RealImages, evaluate_folders};
pub use kept::Kept;
pub(crate) use modes::Found;
pub use report::{
    AtBandwidth, Figure, Likeness, Measured, Modes, NeighborhoodFigures, REPORT_FORMAT, Report,
    Sets, Spread,
};
pub use sets::SetConfig;
pub use table::digits;

/// Resamples for the interval of a mean over images.
pub const RESAMPLES: usize = 1000;

/// How an evaluation samples and measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationConfig {
    /// Samples for each image. (Of folders there is one.)
    pub samples: usize,
    /// Seed of the codes, of the modes drawn from procedural scenes, and of the intervals.
    pub seed: u64,
    /// The most images measured; all if `None`.
    pub limit: Option<usize>,
    /// Inputs whose samples are kept to be looked at, the first ones. (Of folders there are none.)
    pub keep: usize,
    /// Measures of sets.
    pub sets: SetConfig,
}

impl EvaluationConfig {
    /// All images, none kept, with the usual settings of the measures of sets.
    pub fn new(samples: usize, seed: u64) -> Self {
        Self {
            samples,
            seed,
            limit: None,
            keep: 0,
            sets: SetConfig::default(),
        }
    }

    fn bootstrap(&self) -> Bootstrap {
        Bootstrap {
            resamples: RESAMPLES,
            seed: self.seed,
        }
    }
}

/// What images are measured with.
#[derive(Debug)]
pub struct Instruments<'a, B: Backend> {
    /// How far an image is from another.
    pub distance: &'a Distance<B>,
    /// What the report calls it, as [`DistanceConfig::name`](crate::DistanceConfig::name) does.
    pub distance_name: &'a str,
    /// What describes images to the measures of sets, which are left out without it.
    pub extractor: Option<&'a Extractor<B>>,
}

/// What an evaluation gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The figures.
    pub report: Report,
    /// The statistics of the true images, if they were gathered: to be saved, and given again.
    pub statistics: Option<Statistics>,
    /// The inputs that were to be kept, with the samples measured.
    pub kept: Vec<Kept>,
}

/// Samples a model for the examples of a data set, and measures the samples.
///
/// The data set should not be augmented. The measures of sets compare all samples with all true
/// images, or with `reference`, the statistics of other ones. `progress` is called with the images
/// done and their number.
///
/// # Errors
/// If no example can be read, there are fewer than two samples, or the reference is another
/// extractor's.
pub fn evaluate<B: Kernels>(
    model: &Model<B>,
    dataset: &Dataset,
    instruments: &Instruments<'_, B>,
    reference: Option<&Statistics>,
    config: &EvaluationConfig,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Evaluation, Error> {
    let total = config
        .limit
        .map_or(dataset.len(), |limit| limit.min(dataset.len()));
    let sampler = Sampler {
        model,
        pool: &SeededPool::new(model.config(), derive(config.seed, Stream::Validation, 1)),
        distance: instruments.distance,
        task: dataset.config().task,
        samples: config.samples,
    };
    let mut sets = instruments
        .extractor
        .map(|extractor| FeatureSets::new(extractor, reference))
        .transpose()?;
    let mut tally = Tally::default();
    let mut keeper = Keeper::new(config.keep);
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
        let measured = sampler.measure(&example, index)?;
        if let Some(sets) = &mut sets {
            if sets.needs_real() {
                sets.push_real(example.truth().to_tensor(model.device()))?;
            }
            sets.push_generated(measured.images.clone())?;
        }
        keeper.push(&example, &measured.images);
        tally.push(&measured)?;
    }
    progress(total, total);
    if let (0, Some(error)) = (tally.images(), last) {
        return Err(error.into());
    }
    let mut notes = Vec::new();
    let figures = Figures {
        bootstrap: config.bootstrap(),
        samples: config.samples,
    };
    let of_sets = match &sets {
        Some(sets) => sets.measure(
            &config.sets,
            figures.bootstrap,
            config.samples,
            true,
            &mut notes,
        )?,
        None => {
            notes.push(NO_EXTRACTOR.to_owned());
            None
        }
    };
    let data = dataset.config();
    let report = Report {
        format: REPORT_FORMAT,
        measured: Measured::Model {
            task: data.task.to_string(),
            size: [data.height, data.width],
        },
        images: tally.images(),
        samples: config.samples,
        skipped,
        intervals: figures.bootstrap,
        distance: instruments.distance_name.to_owned(),
        likeness: tally.likeness(figures),
        diversity: Some(figures.mean(&tally.diversity, Some(Better::Higher))),
        faithfulness_weighted_variance: tally.faithfulness(figures),
        modes: tally.modes(figures),
        sets: of_sets,
        notes,
    };
    Ok(Evaluation {
        report,
        statistics: sets.and_then(FeatureSets::into_gathered),
        kept: keeper.finish(),
    })
}

/// Why there are no measures of sets.
const NO_EXTRACTOR: &str = "Measures of sets (Frechet and kernel distance, precision and the like) are absent: \
     no weights of a network that gives their features were named.";

/// Values by image.
#[derive(Default)]
struct Tally {
    distance: Column,
    psnr: Column,
    ssim: Column,
    ms_ssim: Column,
    consistency: Column,
    diversity: Vec<f64>,
    faithfulness: [Vec<f64>; FAITHFULNESS_SIGMAS.len()],
    modes: Vec<Found>,
}

impl Tally {
    fn push<B: Backend>(&mut self, image: &ExampleMeasures<B>) -> Result<(), Error> {
        /// Values of the samples, the baseline's last; `None` where the images are too small.
        fn add(
            column: &mut Column,
            values: impl Iterator<Item = Option<f64>>,
            better: Better,
        ) -> Result<(), Error> {
            let Some(values) = values.collect::<Option<Vec<f64>>>() else {
                return Ok(());
            };
            let (baseline, samples) = values.split_last().expect("there is a baseline");
            column.push(samples, Some(*baseline), better)
        }
        let distances = image.distances.iter().copied().map(Some);
        let likeness = || image.likeness.iter();
        add(&mut self.distance, distances, Better::Lower)?;
        add(
            &mut self.psnr,
            likeness().map(|l| Some(l.psnr)),
            Better::Higher,
        )?;
        add(&mut self.ssim, likeness().map(|l| l.ssim), Better::Higher)?;
        add(
            &mut self.ms_ssim,
            likeness().map(|l| l.ms_ssim),
            Better::Higher,
        )?;
        let consistency = image.consistency.iter().copied();
        add(&mut self.consistency, consistency, Better::Higher)?;
        self.diversity.push(image.diversity);
        for (values, value) in self.faithfulness.iter_mut().zip(image.faithfulness) {
            values.push(value);
        }
        self.modes.extend(image.modes);
        Ok(())
    }

    fn images(&self) -> usize {
        self.diversity.len()
    }

    fn likeness(&self, figures: Figures) -> Option<Likeness> {
        Some(Likeness {
            distance: self.distance.spread(figures, Better::Lower)?,
            psnr: self.psnr.spread(figures, Better::Higher)?,
            ssim: self.ssim.spread(figures, Better::Higher),
            ms_ssim: self.ms_ssim.spread(figures, Better::Higher),
            consistency: self.consistency.spread(figures, Better::Higher),
        })
    }

    fn faithfulness(&self, figures: Figures) -> Vec<AtBandwidth> {
        let values = FAITHFULNESS_SIGMAS.into_iter().zip(&self.faithfulness);
        values
            .map(|(sigma, values)| AtBandwidth {
                sigma,
                figure: figures.mean(values, Some(Better::Higher)),
            })
            .collect()
    }

    fn modes(&self, figures: Figures) -> Option<Modes> {
        let mean = |of: fn(&Found) -> f64| {
            let values: Vec<f64> = self.modes.iter().map(of).collect();
            figures.mean(&values, Some(Better::Higher))
        };
        (!self.modes.is_empty()).then(|| Modes {
            covered: mean(|found| found.covered as f64),
            nearest: mean(|found| found.nearest as f64),
            mostly_nearest: mean(|found| f64::from(u8::from(found.mostly()))),
            of: MODES,
            expected: expected_coverage(MODES, figures.samples),
        })
    }
}
