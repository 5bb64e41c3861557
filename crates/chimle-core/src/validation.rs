//! Sampling the held-out examples during training, to measure the samples and to draw strips of them.

use std::fs;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_data::{Batch, Example, Planes, TaskHandle, planes_from_tensor, stack};
use chimle_imle::{Candidate, CodePool, Distance, ExampleId, SeededPool};
use chimle_metrics::{Statistics, frechet_distance, kid, neighborhoods};
use chimle_nn::Kernels;
use chimle_perceptual::{Extractor, Vgg16};

use crate::config::RunConfig;
use crate::error::Error;
use crate::evaluation::ModesFound;
use crate::event::{Event, SetValues};
use crate::generator::{ImageGenerator, NetworkConfig};
use crate::model::{Model, draw};
use crate::run_folder::RunFolder;
use crate::seed::{Stream, derive};
use crate::sheet::Sheet;

/// The number of samples for each held-out example.
const SAMPLES: usize = 4;
/// The number of examples in a strip.
const SHOWN: usize = 6;

/// The smallest number of held-out examples with which measures of sets are computed.
const FEWEST_FOR_SETS: usize = 50;
/// The number k of neighbors for precision and recall.
const NEIGHBORS: usize = 5;

/// The held-out examples with their fixed codes.
#[derive(Debug)]
pub(crate) struct Validation<B: Backend, D> {
    task: TaskHandle,
    examples: Vec<Example>,
    pool: SeededPool,
    distance: D,
    /// The network whose features the measures of sets compare.
    extractor: Option<Extractor<B>>,
    /// The features of the true images, once they are computed.
    real: Option<Statistics>,
    device: B::Device,
}

impl<B: Kernels, D: Distance<B, Output = Tensor<B, 4>>> Validation<B, D> {
    /// Loads the examples.
    pub(crate) fn new<C: NetworkConfig>(
        config: &RunConfig<C>,
        distance: D,
        device: &B::Device,
    ) -> Result<Self, Error> {
        let examples = config.held_out()?;
        let weights = config.distance.vgg16_weights();
        let weights = weights.filter(|_| examples.len() >= FEWEST_FOR_SETS);
        let extractor = weights.map(|path| Vgg16::load(path, device));
        Ok(Self {
            task: config.task.clone(),
            extractor: extractor.transpose()?.map(Extractor::Vgg16),
            real: None,
            examples,
            pool: SeededPool::new(derive(config.seed, Stream::Validation, 0)),
            distance,
            device: device.clone(),
        })
    }

    pub(crate) fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// Samples every example with its fixed codes and measures the samples.
    pub(crate) fn run<G: ImageGenerator<B>>(
        &mut self,
        model: &Model<B, G>,
        step: u64,
    ) -> Result<Event, Error> {
        let (mut best, mut mean, mut diversity, mut modes) = (0.0, 0.0, 0.0, None);
        let features = |images: Tensor<B, 4>| self.extractor.as_ref().map(|e| e.extract(images));
        let (mut real, mut generated) = (Vec::new(), Vec::new());
        for example in &self.examples {
            let samples = self.samples(model, example);
            let images = stack(&samples.iter().collect::<Vec<_>>(), &self.device);
            let truth = example.truth().to_tensor(&self.device);
            if self.real.is_none() {
                real.extend(features(truth.clone()));
            }
            generated.extend(features(images.clone()));
            let truth = self.distance.features(truth);
            let distances = self.distance.distance(images.clone(), &truth);
            let distances: Vec<f64> = distances.into_data().iter::<f64>().collect();
            best += distances.iter().copied().fold(f64::INFINITY, f64::min);
            mean += distances.iter().sum::<f64>() / SAMPLES as f64;
            diversity += chimle_metrics::diversity(&self.distance, images)?;
            if !example.modes.is_empty() {
                let found = ModesFound::of(&samples, &example.modes)?;
                *modes.get_or_insert(0.0) += found.nearest as f64;
            }
        }
        let count = self.examples.len() as f64;
        let sets = match &self.extractor {
            None => None,
            Some(extractor) => {
                let gather = |features: Vec<Tensor<B, 2>>| -> Result<Statistics, Error> {
                    let mut all = Statistics::new(extractor.name(), extractor.dimension());
                    for features in features {
                        all.push(&features.into_data().iter::<f32>().collect::<Vec<_>>())?;
                    }
                    Ok(all)
                };
                let real = match self.real.take() {
                    Some(real) => real,
                    None => gather(real)?,
                };
                let sets = compare_sets(&real, &gather(generated)?)?;
                self.real = Some(real);
                Some(sets)
            }
        };
        Ok(Event::Validated {
            step,
            samples: SAMPLES,
            best: best / count,
            mean: mean / count,
            diversity: diversity / count,
            modes: modes.map(|modes| modes / count),
            sets,
        })
    }

    /// Writes the strip of a step into the run folder. The strip has a row for each of the first few examples,
    /// with the input, its samples and the true image.
    pub(crate) fn save_strip<G: ImageGenerator<B>>(
        &self,
        model: &Model<B, G>,
        step: u64,
        run: &RunFolder,
    ) -> Result<(), Error> {
        let mut sheet = Sheet::new();
        for example in self.examples.iter().take(SHOWN) {
            let samples = self.samples(model, example);
            let input = self.task.picture_of_input(&example.conditioning);
            let row = [&input]
                .into_iter()
                .chain(&samples)
                .chain([example.truth()]);
            sheet.push(row.map(Planes::to_rgb).collect());
        }
        let path = run.strip_path(step);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
        }
        sheet.save(&path)
    }

    /// Draws the samples of one example as pictures.
    fn samples<G: ImageGenerator<B>>(&self, model: &Model<B, G>, example: &Example) -> Vec<Planes> {
        let batch = Batch::<B>::collate(&[example], &self.device);
        let candidates: Vec<Candidate> = (0..SAMPLES)
            .map(|index| Candidate {
                example: ExampleId(example.input.0),
                index,
            })
            .collect();
        let output = draw(model.generator(), &batch.conditioning, |level, len| {
            self.pool.draw(level, &candidates, len, &self.device)
        });
        let shown = planes_from_tensor(output).into_iter();
        let shown = shown.map(|output| self.task.show(&example.conditioning, output));
        shown.collect()
    }
}

fn compare_sets(real: &Statistics, generated: &Statistics) -> Result<SetValues, Error> {
    let near = neighborhoods(real.rows(), generated.rows(), NEIGHBORS)?;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    Ok(SetValues {
        frechet: frechet_distance(real.moments(), generated.moments())?,
        kernel: kid(real.rows(), generated.rows(), None)?,
        precision: mean(&near.precision),
        recall: mean(&near.recall),
    })
}

/// The number of strips per factor of ten in the step.
const STRIPS: f64 = 8.0;

/// Returns whether a strip is written at this step. Strips are spaced evenly in the logarithm of the step,
/// because most changes happen early. There are at most 8 strips per factor of ten.
pub(crate) fn has_strip(step: u64) -> bool {
    let place = ((step.max(1) as f64).log10() * STRIPS).round();
    step == 0 || 10f64.powf(place / STRIPS).round() == step as f64
}

#[cfg(test)]
mod tests {
    use super::has_strip;

    #[test]
    fn strips_are_dense_early_and_few_in_all() {
        let steps: Vec<u64> = (0..=1_000_000).filter(|&step| has_strip(step)).collect();
        assert_eq!(steps[..9], [0, 1, 2, 3, 4, 6, 7, 10, 13]);
        assert_eq!(steps.last(), Some(&1_000_000));
        assert!(steps.len() <= 8 * 6 + 1, "{}", steps.len());
        let late = &steps[8..];
        for pair in late.windows(2) {
            let ratio = pair[1] as f64 / pair[0] as f64;
            assert!((1.2..1.5).contains(&ratio), "{pair:?}");
        }
    }
}
