//! Samples of the held-out examples as training goes: their distances, and strips to look at.

use std::fs;
use std::path::Path;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_data::{Batch, Example, Planes, planes_from_tensor};
use chimle_imle::SeededPool;
use chimle_nn::Kernels;
use chimle_perceptual::Distance;

use crate::config::RunConfig;
use crate::error::Error;
use crate::evaluate::Found;
use crate::event::Event;
use crate::model::{Model, draw};
use crate::seed::{Stream, derive};
use crate::sheet::Sheet;

/// Samples for each held-out example.
const SAMPLES: usize = 4;
/// Examples in the strip.
const SHOWN: usize = 6;

/// The held-out examples with their fixed codes.
#[derive(Debug)]
pub(crate) struct Validation<B: Backend> {
    examples: Vec<Example>,
    pool: SeededPool,
    distance: Distance<B>,
    device: B::Device,
}

impl<B: Kernels> Validation<B> {
    /// Reads the examples.
    pub(crate) fn new(
        config: &RunConfig,
        distance: Distance<B>,
        device: &B::Device,
    ) -> Result<Self, Error> {
        let examples = config.held_out()?;
        let seed = derive(config.seed, Stream::Validation, 0);
        Ok(Self {
            examples,
            pool: SeededPool::new(&config.generator, seed),
            distance,
            device: device.clone(),
        })
    }

    pub(crate) fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// Samples every example with its fixed codes: how near they come.
    pub(crate) fn run(&self, model: &Model<B>, step: u64) -> Result<Event, Error> {
        let (mut best, mut mean, mut diversity, mut modes) = (0.0, 0.0, 0.0, None);
        for (index, example) in self.examples.iter().enumerate() {
            let rgb = self.samples(model, index);
            let truth = self
                .distance
                .features(example.truth().to_tensor(&self.device));
            let distances = self.distance.distance(rgb.clone(), &truth);
            let distances: Vec<f64> = distances.into_data().iter::<f64>().collect();
            best += distances.iter().copied().fold(f64::INFINITY, f64::min);
            mean += distances.iter().sum::<f64>() / SAMPLES as f64;
            diversity += chimle_metrics::diversity(&self.distance, rgb.clone())?;
            if !example.modes.is_empty() {
                let found = Found::of(&planes_from_tensor(rgb), &example.modes)?;
                *modes.get_or_insert(0.0) += found.nearest as f64;
            }
        }
        let count = self.examples.len() as f64;
        Ok(Event::Validated {
            step,
            samples: SAMPLES,
            best: best / count,
            mean: mean / count,
            diversity: diversity / count,
            modes: modes.map(|modes| modes / count),
        })
    }

    /// Writes a row for each of the first few examples into the run's `samples/`: the input, its
    /// samples and the truth.
    pub(crate) fn save_strip(&self, model: &Model<B>, step: u64, run: &Path) -> Result<(), Error> {
        let mut sheet = Sheet::new();
        for (index, example) in self.examples.iter().enumerate().take(SHOWN) {
            let samples = planes_from_tensor(self.samples(model, index));
            let input = example.input_picture();
            let row = [&input]
                .into_iter()
                .chain(&samples)
                .chain([example.truth()]);
            sheet.push(row.map(Planes::to_rgb).collect());
        }
        let folder = run.join("samples");
        fs::create_dir_all(&folder).map_err(Error::file("make", &folder))?;
        sheet.save(&folder.join(format!("step-{step:08}.png")))
    }

    /// `[SAMPLES, 3, h, w]` of one example.
    fn samples(&self, model: &Model<B>, index: usize) -> Tensor<B, 4> {
        let batch = Batch::<B>::collate(&[&self.examples[index]], &self.device);
        draw(model.generator(), &batch.conditioning, |level, size| {
            let codes = (0..SAMPLES).map(|sample| (index, sample));
            self.pool.codes(level, codes, size, &self.device)
        })
    }
}

/// Strips in a factor of ten of the step.
const STRIPS: f64 = 8.0;

/// Whether a strip is kept of this step: evenly spaced in its logarithm, as much changes early. There
/// are at most 8 for each digit.
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
