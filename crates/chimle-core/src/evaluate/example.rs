//! The samples for one input, measured.

use burn::tensor::{Tensor, backend::Backend};
use chimle_data::{Batch, Example, Planes, Task, planes_from_tensor};
use chimle_imle::SeededPool;
use chimle_metrics::{FAITHFULNESS_SIGMAS, diversity_of_features, faithfulness_weighted_variance};
use chimle_nn::Kernels;
use chimle_perceptual::{Distance, Features};
use rayon::prelude::*;

use super::likeness::{Likeness, baseline, consistency};
use super::modes::Found;
use crate::error::Error;
use crate::model::{Model, draw};

/// What the samples for one input are measured by.
pub(super) struct Sampler<'a, B: Backend> {
    pub(super) model: &'a Model<B>,
    pub(super) pool: &'a SeededPool,
    pub(super) distance: &'a Distance<B>,
    pub(super) task: Task,
    pub(super) samples: usize,
}

/// What one image adds.
pub(super) struct Measured<B: Backend> {
    /// `[samples, 3, h, w]`, RGB in [0, 1].
    pub(super) images: Tensor<B, 4>,
    /// Of each sample, and last of the baseline: the distance to the truth.
    pub(super) distances: Vec<f64>,
    pub(super) likeness: Vec<Likeness>,
    pub(super) consistency: Vec<Option<f64>>,
    pub(super) diversity: f64,
    /// At [`FAITHFULNESS_SIGMAS`].
    pub(super) faithfulness: [f64; FAITHFULNESS_SIGMAS.len()],
    pub(super) modes: Option<Found>,
}

impl<B: Kernels> Sampler<'_, B> {
    /// Samples the input of example `index` and measures the samples.
    pub(super) fn measure(&self, example: &Example, index: usize) -> Result<Measured<B>, Error> {
        let device = self.model.device();
        let (images, features) = self.draw(example, index)?;
        let truth = example.truth();
        let truth_features = self.distance.features(truth.to_tensor(device));
        let numbers = |tensor: Tensor<B, 1>| tensor.into_data().iter::<f64>().collect::<Vec<_>>();

        let mean = images.clone().mean_dim(0);
        let to_mean = self
            .distance
            .compare(&features, &self.distance.features(mean));
        let to_mean = numbers(to_mean);
        let mut distances = numbers(self.distance.compare(&features, &truth_features));
        let mut faithfulness = [0.0; FAITHFULNESS_SIGMAS.len()];
        for (found, sigma) in faithfulness.iter_mut().zip(FAITHFULNESS_SIGMAS) {
            *found = faithfulness_weighted_variance(&distances, &to_mean, sigma)?;
        }
        let diversity = diversity_of_features(self.distance, &features)?;

        let mut pictures = planes_from_tensor(images.clone());
        let modes = if example.modes.is_empty() {
            None
        } else {
            Some(Found::of(&pictures, &example.modes)?)
        };
        let baseline = baseline(self.task, example)?;
        distances.extend(numbers(
            self.distance
                .distance(baseline.to_tensor(device), &truth_features),
        ));
        pictures.push(baseline);
        let measures: Vec<(Likeness, Option<f64>)> = pictures
            .par_iter()
            .map(|picture| {
                let consistency = consistency(self.task, example, picture)?;
                Ok((Likeness::of(picture, truth)?, consistency))
            })
            .collect::<Result<_, Error>>()?;
        let (likeness, consistency) = measures.into_iter().unzip();
        Ok(Measured {
            images,
            distances,
            likeness,
            consistency,
            diversity,
            faithfulness,
            modes,
        })
    }

    /// The samples and their features, as many together as memory holds.
    fn draw(&self, example: &Example, index: usize) -> Result<(Tensor<B, 4>, Features<B>), Error> {
        let device = self.model.device();
        let batch = Batch::<B>::collate(&[example], device);
        let Planes { height, width, .. } = *example.truth();
        let (mut images, mut features) = (Vec::new(), Vec::new());
        let mut done = 0;
        while done < self.samples {
            let (rgb, of_rgb) = self.model.at_once(height, width, |rows| {
                let part = done..(done + rows).min(self.samples);
                let code = |level, size| {
                    let samples = part.clone().map(|sample| (index, sample));
                    self.pool.codes(level, samples, size, device)
                };
                let rgb = draw(self.model.generator(), &batch.conditioning, code).clamp(0.0, 1.0);
                let features = self.distance.features(rgb.clone());
                // What the device could not do comes out here.
                B::sync(device).map_err(Error::device)?;
                Ok((rgb, features))
            })?;
            done += rgb.dims()[0];
            images.push(rgb);
            features.push(of_rgb);
        }
        Ok((Tensor::cat(images, 0), joined(features)))
    }
}

/// The features of several batches as those of one.
fn joined<B: Backend>(batches: Vec<Features<B>>) -> Features<B> {
    let parts = batches.first().map_or(0, |batch| batch.0.len());
    let part = |k: usize| {
        let of_batches = batches.iter().map(|batch| batch.0[k].clone()).collect();
        Tensor::cat(of_batches, 0)
    };
    Features((0..parts).map(part).collect())
}
