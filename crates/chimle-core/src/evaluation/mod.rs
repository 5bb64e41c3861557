//! Measures of a model, or of any program's images: how near samples come to the truth, how much they
//! differ, and how similar all of them are to true images.
//!
//! [`evaluate`] measures a model on a data set. [`evaluate_folders`] compares two folders of images.
//! Both give a [`Report`] in which every figure has its interval over images.

mod folders;
mod modes;
mod report;
mod sampled_input;
mod sampler;
mod sets;
mod similarity;
mod table;
mod tally;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_data::Dataset;
use chimle_imle::{Distance, SeededPool};
use chimle_metrics::{Bootstrap, Statistics};
use chimle_nn::Kernels;
use chimle_perceptual::{Extractor, ImageDistance};

use crate::error::Error;
use crate::generator::ImageGenerator;
use crate::model::Model;
use crate::seed::{Stream, derive};
use sampled_input::Keeper;
use sampler::Sampler;
use sets::FeatureSets;
use tally::{Figures, Tally};

pub use folders::{RealImages, evaluate_folders};
pub(crate) use modes::ModesFound;
pub use report::{
    FaithfulnessAtSigma, Figure, ModeCoverage, NeighborhoodFigures, REPORT_FORMAT, Report,
    SampleStatistics, SetMeasures, Similarity, Subject,
};
pub use sampled_input::SampledInput;
pub use sets::SetMeasuresConfig;
pub use table::format_figure;

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
    pub sets: SetMeasuresConfig,
}

impl EvaluationConfig {
    /// All images, none kept, with the usual settings of the measures of sets.
    pub fn new(samples: usize, seed: u64) -> Self {
        Self {
            samples,
            seed,
            limit: None,
            keep: 0,
            sets: SetMeasuresConfig::default(),
        }
    }

    fn bootstrap(&self) -> Bootstrap {
        Bootstrap {
            resamples: RESAMPLES,
            seed: self.seed,
        }
    }
}

/// What images are measured with. `D` is the distance.
#[derive(Debug)]
pub struct Instruments<'a, B: Backend, D = ImageDistance<B>> {
    /// The distance of an image from another.
    pub distance: &'a D,
    /// The distance's name in the report; see [`DistanceConfig::name`](crate::DistanceConfig::name).
    pub distance_name: &'a str,
    /// What describes images to the measures of sets. Without it these are left out.
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
    pub kept: Vec<SampledInput>,
}

/// Samples a model for the examples of a data set, and measures the samples.
///
/// The data set should not be augmented. The measures of sets compare all samples with all true
/// images, or with `reference`, the statistics of other ones. `progress` is called with the number
/// of images done and the number of all.
///
/// # Errors
///
/// If no example can be read, there are fewer than two samples, or the reference was made with
/// another extractor.
pub fn evaluate<B, G, D>(
    model: &Model<B, G>,
    dataset: &Dataset,
    instruments: &Instruments<'_, B, D>,
    reference: Option<&Statistics>,
    config: &EvaluationConfig,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Evaluation, Error>
where
    B: Kernels,
    G: ImageGenerator<B>,
    D: Distance<B, Output = Tensor<B, 4>>,
{
    let total = config
        .limit
        .map_or(dataset.len(), |limit| limit.min(dataset.len()));
    let data = dataset.config();
    let sampler = Sampler {
        model,
        pool: &SeededPool::new(derive(config.seed, Stream::Validation, 1)),
        distance: instruments.distance,
        sizes: data.sizes()?,
        samples: config.samples,
    };
    let mut sets = instruments
        .extractor
        .map(|extractor| FeatureSets::new(extractor, reference))
        .transpose()?;
    let mut tally = Tally::default();
    let mut keeper = Keeper::new(config.keep, data.task.clone());
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
        let samples = sampler.draw(&example)?;
        if let Some(sets) = &mut sets {
            if sets.needs_real() {
                sets.push_real(example.truth().to_tensor(model.device()))?;
            }
            sets.push_generated(samples.images.clone())?;
        }
        keeper.push(&example, &samples.pictures);
        tally.push(sampler.measure(&example, &samples)?)?;
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
    let report = Report {
        format: REPORT_FORMAT,
        measured: Subject::Model {
            task: data.task.to_string(),
            size: [data.height, data.width],
        },
        images: tally.images(),
        samples: config.samples,
        skipped,
        intervals: figures.bootstrap,
        distance: instruments.distance_name.to_owned(),
        similarity: tally.similarity(figures),
        diversity: Some(tally.diversity(figures)),
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
