//! Measuring the samples for one input, from a model or from another program.

use burn::tensor::{Tensor, backend::Backend};
use chimle_data::{Example, Planes, Sizes, TaskHandle, downsample_planes, stack};
use chimle_imle::{Distance, Rows};
use chimle_metrics::{
    FAITHFULNESS_SIGMAS, diversity_of_features, faithfulness_weighted_variance, psnr,
};
use rayon::prelude::*;

use super::modes::ModesFound;
use super::similarity::ImageSimilarity;
use crate::error::Error;
use crate::memory::{Rows as AtOnce, USUAL_BYTES, USUAL_ROWS};

/// The number of bytes per pixel that the largest built-in distance, LPIPS on VGG16, takes at its peak.
const LARGEST_PER_PIXEL: usize = 1000;

/// The distance and the settings for measuring the samples of one input after another.
pub(super) struct Measurer<'a, B: Backend, D> {
    pub(super) task: &'a TaskHandle,
    pub(super) distance: &'a D,
    pub(super) sizes: Sizes,
    pub(super) device: &'a B::Device,
    at_once: AtOnce,
}

/// The measures of the samples of one input.
pub(super) struct SampleMeasures {
    /// The distance to the true image: of each sample, and as the last value of the baseline.
    pub(super) distances: Vec<f64>,
    /// The similarity to the true image: of each sample, and as the last value of the baseline.
    pub(super) similarity: Vec<ImageSimilarity>,
    /// The PSNR in dB between the input and the degraded sample: of each sample, and as the last value of
    /// the baseline. `None` for tasks that do not check outputs in this way.
    pub(super) consistency: Vec<Option<f64>>,
    pub(super) diversity: f64,
    /// The faithfulness-weighted variance at each of [`FAITHFULNESS_SIGMAS`].
    pub(super) faithfulness: [f64; FAITHFULNESS_SIGMAS.len()],
    pub(super) modes: Option<ModesFound>,
}

impl<'a, B, D> Measurer<'a, B, D>
where
    B: Backend,
    D: Distance<B, Output = Tensor<B, 4>>,
{
    /// Creates a measurer with a distance, for outputs of the given sizes.
    pub(super) fn new(
        task: &'a TaskHandle,
        sizes: Sizes,
        distance: &'a D,
        device: &'a B::Device,
    ) -> Self {
        Self {
            task,
            distance,
            sizes,
            device,
            at_once: usually_at_once(),
        }
    }

    /// Measures the samples of an example.
    pub(super) fn measure(
        &self,
        example: &Example,
        pictures: &[Planes],
        images: &Tensor<B, 4>,
    ) -> Result<SampleMeasures, Error> {
        let device = self.device;
        let truth = example.truth();
        let truth_features = self.distance.features(truth.to_tensor(device));
        let features = features(self.distance, pictures, &self.at_once, device)?;
        let Distances {
            to_truth: mut distances,
            faithfulness,
            diversity,
        } = Distances::of(self.distance, &features, &truth_features, images)?;
        let modes = if example.modes.is_empty() {
            None
        } else {
            Some(ModesFound::of(pictures, &example.modes)?)
        };

        let (task, sizes) = (self.task, &self.sizes);
        let input = task.picture_of_input(&example.conditioning);
        let baseline = downsample_planes(&input, truth.height, truth.width)?;
        let of_baseline = self
            .distance
            .distance(baseline.to_tensor(device), &truth_features);
        distances.extend(numbers(of_baseline));
        let pictures: Vec<&Planes> = pictures.iter().chain([&baseline]).collect();
        let measures: Vec<(ImageSimilarity, Option<f64>)> = pictures
            .par_iter()
            .map(|picture| {
                let consistency = consistency(task, sizes, &input, picture)?;
                Ok((ImageSimilarity::of(picture, truth)?, consistency))
            })
            .collect::<Result<_, Error>>()?;
        let (similarity, consistency) = measures.into_iter().unzip();
        Ok(SampleMeasures {
            distances,
            similarity,
            consistency,
            diversity,
            faithfulness,
            modes,
        })
    }
}

/// Returns the default limits for the number of images that are measured at once.
pub(super) fn usually_at_once() -> AtOnce {
    AtOnce::new(USUAL_ROWS, USUAL_BYTES)
}

/// Computes the distance's features of images of one size, as many at once as fit into memory.
pub(super) fn features<B: Backend, D: Distance<B, Output = Tensor<B, 4>>>(
    distance: &D,
    pictures: &[Planes],
    at_once: &AtOnce,
    device: &B::Device,
) -> Result<D::Features, Error> {
    let pixels = pictures[0].height * pictures[0].width;
    let bytes = (LARGEST_PER_PIXEL * pixels) as u64;
    let mut features = Vec::new();
    let mut done = 0;
    while done < pictures.len() {
        let (count, found) = at_once.attempt::<B, _>(device, bytes, |rows| {
            let part = &pictures[done..(done + rows).min(pictures.len())];
            let found = distance.features(stacked(part, device));
            // Waits for the device, so that its failure is reported here.
            B::sync(device).map_err(Error::device)?;
            Ok((part.len(), found))
        })?;
        done += count;
        features.push(found);
    }
    Ok(Rows::concat(features))
}

/// The distances of the samples of one input from the true image and from each other.
pub(super) struct Distances {
    /// The distance of each sample from the true image.
    pub(super) to_truth: Vec<f64>,
    /// The faithfulness-weighted variance at each of [`FAITHFULNESS_SIGMAS`].
    pub(super) faithfulness: [f64; FAITHFULNESS_SIGMAS.len()],
    /// The mean distance between two samples.
    pub(super) diversity: f64,
}

impl Distances {
    /// Compares at least two samples, `images`, `[samples, 3, height, width]`. `features` are the features of
    /// the samples, and `truth` those of the true image.
    pub(super) fn of<B: Backend, D: Distance<B, Output = Tensor<B, 4>>>(
        distance: &D,
        features: &D::Features,
        truth: &D::Features,
        images: &Tensor<B, 4>,
    ) -> Result<Self, Error> {
        let mean = distance.features(images.clone().mean_dim(0));
        let to_mean = numbers(distance.compare(features, &mean));
        let to_truth = numbers(distance.compare(features, truth));
        let mut faithfulness = [0.0; FAITHFULNESS_SIGMAS.len()];
        for (found, sigma) in faithfulness.iter_mut().zip(FAITHFULNESS_SIGMAS) {
            *found = faithfulness_weighted_variance(&to_truth, &to_mean, sigma)?;
        }
        Ok(Self {
            to_truth,
            faithfulness,
            diversity: diversity_of_features(distance, features)?,
        })
    }
}

fn numbers<B: Backend>(tensor: Tensor<B, 1>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Degrades an output in the way its input was degraded, and returns the PSNR in dB between the result and the
/// input. Returns `None` if the task does not check outputs in this way.
fn consistency(
    task: &TaskHandle,
    sizes: &Sizes,
    input: &Planes,
    output: &Planes,
) -> Result<Option<f64>, Error> {
    let degraded = task.degrade_again(&output.to_rgb(), sizes)?;
    let found = degraded.map(|degraded| psnr(&degraded.data, &input.data));
    Ok(found.transpose()?)
}

/// Stacks images of one size to a tensor `[images, 3, height, width]`.
pub(super) fn stacked<B: Backend>(images: &[Planes], device: &B::Device) -> Tensor<B, 4> {
    stack(&images.iter().collect::<Vec<_>>(), device)
}
