//! Samples of the held-out examples as training goes: their distances, and a strip to look at.

use std::fs;
use std::path::Path;

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

    /// Samples every example with its fixed codes, and writes the strip of the first few.
    pub(crate) fn run(&self, model: &Model<B>, step: u64, run: &Path) -> Result<Event, Error> {
        let (mut best, mut mean, mut diversity, mut modes) = (0.0, 0.0, 0.0, None);
        let mut sheet = Sheet::new();
        for (index, example) in self.examples.iter().enumerate() {
            let batch = Batch::<B>::collate(&[example], &self.device);
            let rgb = draw(model.generator(), &batch.conditioning, |level, size| {
                self.pool.codes(
                    level,
                    (0..SAMPLES).map(|sample| (index, sample)),
                    size,
                    &self.device,
                )
            });
            let truth = self
                .distance
                .features(example.truth().to_tensor(&self.device));
            let distances = self.distance.distance(rgb.clone(), &truth);
            let distances: Vec<f64> = distances.into_data().iter::<f64>().collect();
            best += distances.iter().copied().fold(f64::INFINITY, f64::min);
            mean += distances.iter().sum::<f64>() / SAMPLES as f64;
            diversity += chimle_metrics::diversity(&self.distance, rgb.clone())?;

            let samples = planes_from_tensor(rgb);
            if !example.modes.is_empty() {
                *modes.get_or_insert(0.0) += Found::of(&samples, &example.modes)?.nearest as f64;
            }
            if index < SHOWN {
                let input = example.input_picture();
                let row = [&input]
                    .into_iter()
                    .chain(&samples)
                    .chain([example.truth()]);
                sheet.push(row.map(Planes::to_rgb).collect());
            }
        }
        let folder = run.join("samples");
        fs::create_dir_all(&folder).map_err(Error::file("make", &folder))?;
        let strip = folder.join(format!("step-{step:08}.png"));
        sheet.save(&strip)?;
        let count = self.examples.len() as f64;
        Ok(Event::Validated {
            step,
            samples: SAMPLES,
            best: best / count,
            mean: mean / count,
            diversity: diversity / count,
            modes: modes.map(|modes| modes / count),
            strip,
        })
    }
}
