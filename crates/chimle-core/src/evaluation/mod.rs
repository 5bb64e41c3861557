//! Measuring a model, or the images of any program: how near samples come to the true images, how much
//! samples differ from each other, and how similar the set of all samples is to the set of true images.
//!
//! - [`evaluate`] measures a model on a data set.
//! - [`evaluate_samples`] measures samples that any program made for a data set.
//! - [`evaluate_folders`] compares two folders of images.
//!
//! Each function returns an [`Evaluation`] with a [`Report`]. Every figure of a report has a bootstrap
//! interval over images.

mod folders;
mod measured;
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
use chimle_data::{Dataset, Example, Planes};
use chimle_imle::{Distance, SeededPool};
use chimle_metrics::{Bootstrap, Statistics};
use chimle_nn::Kernels;
use chimle_perceptual::{Extractor, ImageDistance};

use crate::error::Error;
use crate::generator::ImageGenerator;
use crate::model::Model;
use crate::seed::{Stream, derive};
use measured::{Measurer, stacked};
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

/// The number of bootstrap resamples for the interval of a mean over images.
pub const RESAMPLES: usize = 1000;

/// The settings of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationConfig {
    /// The number of samples for each image. [`evaluate_folders`] does not use it.
    pub samples: usize,
    /// The seed of the codes, of the modes drawn from procedural scenes, and of the intervals.
    pub seed: u64,
    /// The largest number of images to measure. With `None`, all images are measured.
    pub limit: Option<usize>,
    /// The number of inputs whose samples are returned in [`Evaluation::kept`]. The first inputs are kept.
    /// [`evaluate_folders`] does not use it.
    pub keep: usize,
    /// The settings of the measures of sets.
    pub sets: SetMeasuresConfig,
}

impl EvaluationConfig {
    /// Creates settings that measure all images, keep no samples, and use the default settings for measures
    /// of sets.
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

/// The distance and the feature extractor of an evaluation. `D` is the distance.
#[derive(Debug)]
pub struct Instruments<'a, B: Backend, D = ImageDistance<B>> {
    /// The distance between two images.
    pub distance: &'a D,
    /// The distance's name in the report; see [`DistanceConfig::name`](crate::DistanceConfig::name).
    pub distance_name: &'a str,
    /// The network whose features the measures of sets compare. Without it, measures of sets are left out.
    pub extractor: Option<&'a Extractor<B>>,
}

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The figures.
    pub report: Report,
    /// The statistics of the true images, if this evaluation computed them. They can be saved and used as
    /// the reference of another evaluation.
    pub statistics: Option<Statistics>,
    /// The first [`EvaluationConfig::keep`] inputs, with their samples.
    pub kept: Vec<SampledInput>,
}

/// Samples a model for the examples of a data set and measures the samples.
///
/// The data set should not be augmented. The measures of sets compare all samples with all true images of the
/// data set. With `reference`, they compare all samples with the statistics of other images. `progress` is
/// called with the number of images measured so far and the number of all images.
///
/// # Errors
///
/// If no example can be read, if there are fewer than two samples per image, or if the reference was made with
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
    let sampler = Sampler {
        model,
        pool: &SeededPool::new(derive(config.seed, Stream::Validation, 1)),
        sizes: dataset.config().sizes()?,
        samples: config.samples,
    };
    evaluate_samples(
        &mut |example| sampler.draw(example),
        &Measured::first(dataset, config.limit),
        instruments,
        reference,
        config,
        model.device(),
        progress,
    )
}

/// The examples of a data set that are measured.
#[derive(Clone, Debug)]
pub struct Measured<'a> {
    /// The data set. It should not be augmented.
    pub dataset: &'a Dataset,
    /// The indices of the examples, in the order in which they are measured.
    pub indices: Vec<usize>,
}

impl<'a> Measured<'a> {
    /// Selects the first `limit` examples of a data set. Without a limit, selects all examples.
    pub fn first(dataset: &'a Dataset, limit: Option<usize>) -> Self {
        let count = limit.map_or(dataset.len(), |limit| limit.min(dataset.len()));
        Self {
            dataset,
            indices: (0..count).collect(),
        }
    }

    /// Selects `count` examples at equal intervals over the whole data set, so that every folder of
    /// photographs is represented.
    pub fn spread(dataset: &'a Dataset, count: usize) -> Self {
        let count = count.min(dataset.len());
        Self {
            dataset,
            indices: (0..count).map(|k| k * dataset.len() / count).collect(),
        }
    }
}

/// Measures samples that any program made for examples of a data set; otherwise as [`evaluate`].
///
/// `samples` is called once for each example that can be read, in order. It must return
/// [`EvaluationConfig::samples`] pictures of the size of the example's true image, RGB in [0, 1],
/// `[3, height, width]`. [`EvaluationConfig::limit`] is not used.
///
/// # Errors
///
/// As [`evaluate`]; [`Error::Setting`] if `samples` returns a wrong number of pictures, or pictures of a wrong
/// size; and the errors that `samples` returns.
pub fn evaluate_samples<B, D>(
    samples: &mut dyn FnMut(&Example) -> Result<Vec<Planes>, Error>,
    measured: &Measured<'_>,
    instruments: &Instruments<'_, B, D>,
    reference: Option<&Statistics>,
    config: &EvaluationConfig,
    device: &B::Device,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Evaluation, Error>
where
    B: Kernels,
    D: Distance<B, Output = Tensor<B, 4>>,
{
    let total = measured.indices.len();
    let data = measured.dataset.config();
    let measurer = Measurer::new(&data.task, data.sizes()?, instruments.distance, device);
    let mut sets = instruments
        .extractor
        .map(|extractor| FeatureSets::new(extractor, reference))
        .transpose()?;
    let mut tally = Tally::default();
    let mut keeper = Keeper::new(config.keep, data.task.clone());
    let mut skipped = Vec::new();
    let mut last = None;
    for (place, &index) in measured.indices.iter().enumerate() {
        progress(place, total);
        let example = match measured.dataset.example(index, config.seed) {
            Ok(example) => example,
            Err(error) => {
                skipped.push(error.to_string());
                last = Some(error);
                continue;
            }
        };
        let pictures = samples(&example)?;
        check_samples(&example, &pictures, config.samples)?;
        let images = stacked::<B>(&pictures, device);
        if let Some(sets) = &mut sets {
            if sets.needs_real() {
                sets.push_real(example.truth().to_tensor(device))?;
            }
            sets.push_generated(images.clone())?;
        }
        keeper.push(&example, &pictures);
        tally.push(measurer.measure(&example, &pictures, &images)?)?;
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
    let of_sets = measure_sets(sets.as_ref(), config, figures, true, &mut notes)?;
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

/// Computes the measures of sets, or notes why they are absent. For `paired`, see [`FeatureSets::measure`].
fn measure_sets<B: Kernels>(
    sets: Option<&FeatureSets<'_, B>>,
    config: &EvaluationConfig,
    figures: Figures,
    paired: bool,
    notes: &mut Vec<String>,
) -> Result<Option<SetMeasures>, Error> {
    let Some(sets) = sets else {
        notes.push(NO_EXTRACTOR.to_owned());
        return Ok(None);
    };
    let Figures { bootstrap, samples } = figures;
    sets.measure(&config.sets, bootstrap, samples, paired, notes)
}

/// Checks the number and the size of the pictures for an example.
fn check_samples(example: &Example, pictures: &[Planes], samples: usize) -> Result<(), Error> {
    let shape = |planes: &Planes| [planes.channels, planes.height, planes.width];
    let truth = shape(example.truth());
    let reason = if pictures.len() != samples {
        format!(
            "for {}: {} pictures were returned, but {samples} are needed",
            example.name,
            pictures.len()
        )
    } else if let Some(other) = pictures.iter().map(shape).find(|other| *other != truth) {
        let [_, height, width] = other;
        format!(
            "for {} have {width}x{height} pixels, but {}x{} are needed",
            example.name, truth[2], truth[1]
        )
    } else {
        return Ok(());
    };
    Err(Error::Setting {
        field: "samples",
        reason,
    })
}

/// The note that explains why there are no measures of sets.
const NO_EXTRACTOR: &str = "Measures of sets (Frechet distance, kernel distance, precision and others) are absent: \
     they need the weights of a network that computes features.";
