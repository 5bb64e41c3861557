//! The measures of a folder of samples, which are the same for all methods.

use std::path::Path;

use chimle_core::data::{Dataset, Example};
use chimle_core::evaluation::{
    EvaluationConfig, Figure, Instruments, Measured, Report, SampleStatistics, evaluate_samples,
};
use chimle_core::metrics::{Better, Statistics};
use chimle_core::perceptual::{Extractor, ImageDistance, Vgg16};
use chimle_kernels::Kernels;
use serde::{Deserialize, Serialize};

use crate::config::ArenaConfig;
use crate::error::Error;
use crate::samples::read_samples;

/// The seed of all random numbers of the measures: the modes of procedural scenes, random
/// degradations, and the bootstrap. It is the same for all methods and seeds.
pub(crate) const TEST_SEED: u64 = 0;

/// One measured value of a method's samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasuredFigure {
    /// The name of the measure, such as "PSNR (dB), best of 8".
    pub name: String,
    /// The value. `None` if it is infinite or undefined.
    pub value: Option<f64>,
    /// The 95% bootstrap interval over inputs.
    pub interval: [Option<f64>; 2],
    /// Whether higher or lower values are better, if either is.
    pub better: Option<Better>,
}

/// The measures for one number of samples per input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// The number of samples for each input.
    pub samples: usize,
    /// The number of inputs.
    pub inputs: usize,
    /// The measures.
    pub figures: Vec<MeasuredFigure>,
    /// Remarks for the reader of the measures.
    pub notes: Vec<String>,
}

/// The test set and the measuring networks of an arena.
pub struct Evaluator<B: Kernels> {
    dataset: Dataset,
    indices: Vec<usize>,
    distance: ImageDistance<B>,
    distance_name: String,
    extractor: Option<Extractor<B>>,
    counts: Vec<usize>,
    device: B::Device,
}

impl<B: Kernels> Evaluator<B> {
    /// Opens the test set and loads the weights.
    ///
    /// # Errors
    ///
    /// If the images or the weights cannot be read.
    pub fn new(config: &ArenaConfig, device: &B::Device) -> Result<Self, Error> {
        let dataset = config.test_set()?;
        let distance = config.measured_distance();
        let vgg16 = config.weights.vgg16.as_ref();
        let extractor = vgg16.map(|path| Vgg16::load(path, device)).transpose()?;
        Ok(Self {
            indices: Measured::spread(&dataset, config.measure.inputs).indices,
            dataset,
            distance_name: distance.name(),
            distance: distance.load(device)?,
            extractor: extractor.map(Extractor::Vgg16),
            counts: config.measure.samples.clone(),
            device: device.clone(),
        })
    }

    /// Reads the measured examples. An example that cannot be read is left out.
    pub fn examples(&self) -> Vec<Example> {
        let examples = self.indices.iter();
        examples
            .filter_map(|&index| self.dataset.example(index, TEST_SEED).ok())
            .collect()
    }

    /// Measures a folder of samples, for each number of samples of the configuration.
    ///
    /// # Errors
    ///
    /// If samples are missing, or differ in size from the outputs.
    pub fn measure(&self, folder: &Path) -> Result<Vec<Measures>, Error> {
        let mut reference: Option<Statistics> = None;
        let mut all = Vec::new();
        for &count in &self.counts {
            let instruments = Instruments {
                distance: &self.distance,
                distance_name: &self.distance_name,
                extractor: self.extractor.as_ref(),
            };
            let measured = Measured {
                dataset: &self.dataset,
                indices: self.indices.clone(),
            };
            let mut failed = None;
            let mut read = |example: &Example| {
                read_samples(folder, example, count).map_err(|error| match error {
                    Error::Core(error) => error,
                    other => {
                        // Any error ends the evaluation. `failed` holds the real one.
                        failed = Some(other);
                        chimle_core::Error::Setting {
                            field: "samples",
                            reason: "are missing".to_owned(),
                        }
                    }
                })
            };
            let found = evaluate_samples(
                &mut read,
                &measured,
                &instruments,
                reference.as_ref(),
                &EvaluationConfig::new(count, TEST_SEED),
                &self.device,
                &mut |_, _| {},
            );
            let found = match (found, failed) {
                (_, Some(error)) => return Err(error),
                (found, None) => found?,
            };
            reference = reference.or(found.statistics);
            all.push(measures_of(&found.report, count));
        }
        Ok(all)
    }
}

/// Returns the measures of a report, including those of the input itself as a baseline.
fn measures_of(report: &Report, samples: usize) -> Measures {
    let mut figures = report.figures();
    if let Some(similarity) = &report.similarity {
        let of_input = |name: &str, found: &SampleStatistics| {
            found
                .baseline
                .map(|figure| (format!("{name}, of the input"), figure))
        };
        figures.extend(of_input(&report.distance, &similarity.distance));
        figures.extend(of_input("PSNR (dB)", &similarity.psnr));
        let ssim = similarity.ssim.as_ref();
        figures.extend(ssim.and_then(|ssim| of_input("SSIM", ssim)));
    }
    let finite = |value: f64| value.is_finite().then_some(value);
    let figure = |(name, figure): (String, Figure)| MeasuredFigure {
        name,
        value: finite(figure.value),
        interval: figure.interval.map(finite),
        better: figure.better,
    };
    Measures {
        samples,
        inputs: report.images,
        figures: figures.into_iter().map(figure).collect(),
        notes: report.notes.clone(),
    }
}
