//! The measures of the samples for one input, whatever made them.

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

/// The bytes that the largest built-in distance, LPIPS on VGG16, takes for one pixel at its peak.
const LARGEST_PER_PIXEL: usize = 1000;

/// Measures the samples of one input after another.
pub(super) struct Measurer<'a, B: Backend, D> {
    pub(super) task: &'a TaskHandle,
    pub(super) distance: &'a D,
    pub(super) sizes: Sizes,
    pub(super) device: &'a B::Device,
    at_once: AtOnce,
}

/// The measures of the samples of one input.
pub(super) struct SampleMeasures {
    /// The distance to the truth of each sample, and last of the baseline.
    pub(super) distances: Vec<f64>,
    /// The similarity to the truth of each sample, and last of the baseline.
    pub(super) similarity: Vec<ImageSimilarity>,
    /// PSNR in dB of each sample, degraded once more, to the input, and last of the baseline. `None`
    /// for tasks that do not check outputs in this way.
    pub(super) consistency: Vec<Option<f64>>,
    pub(super) diversity: f64,
    /// At [`FAITHFULNESS_SIGMAS`].
    pub(super) faithfulness: [f64; FAITHFULNESS_SIGMAS.len()],
    pub(super) modes: Option<ModesFound>,
}

impl<'a, B, D> Measurer<'a, B, D>
where
    B: Backend,
    D: Distance<B, Output = Tensor<B, 4>>,
{
    /// Measures with a distance, for outputs of these sizes.
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

/// Returns how many images of the usual size are measured at once.
pub(super) fn usually_at_once() -> AtOnce {
    AtOnce::new(USUAL_ROWS, USUAL_BYTES)
}

/// Computes the distance's features of images of one size, as many at once as memory holds.
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
            // A failure of the device comes out here.
            B::sync(device).map_err(Error::device)?;
            Ok((part.len(), found))
        })?;
        done += count;
        features.push(found);
    }
    Ok(Rows::concat(features))
}

/// How far samples of one input are from its truth and from each other.
pub(super) struct Distances {
    pub(super) to_truth: Vec<f64>,
    /// The faithfulness-weighted variance at [`FAITHFULNESS_SIGMAS`].
    pub(super) faithfulness: [f64; FAITHFULNESS_SIGMAS.len()],
    /// The mean distance between two samples.
    pub(super) diversity: f64,
}

impl Distances {
    /// Compares samples `images`, `[n, 3, h, w]` with n of at least 2, of which there are the features.
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

/// Returns how near an output, degraded as its input was, comes to the input: PSNR in dB. `None` if
/// the task does not check outputs in this way.
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

/// Stacks images of one size, `[n, 3, h, w]`.
pub(super) fn stacked<B: Backend>(images: &[Planes], device: &B::Device) -> Tensor<B, 4> {
    stack(&images.iter().collect::<Vec<_>>(), device)
}
