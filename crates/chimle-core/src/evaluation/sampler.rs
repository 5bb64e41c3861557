//! The samples for one input, and their measures.

use burn::tensor::{Tensor, backend::Backend};
use chimle_data::{
    Batch, Example, Planes, Sizes, TaskHandle, downsample_planes, planes_from_tensor, stack,
};
use chimle_imle::{Candidate, CodePool, Distance, ExampleId, Rows, SeededPool};
use chimle_metrics::{
    FAITHFULNESS_SIGMAS, diversity_of_features, faithfulness_weighted_variance, psnr,
};
use rayon::prelude::*;

use super::modes::ModesFound;
use super::similarity::ImageSimilarity;
use crate::error::Error;
use crate::generator::ImageGenerator;
use crate::model::{Model, draw};

/// Draws and measures the samples of one input after another.
pub(super) struct Sampler<'a, B: Backend, G, D> {
    pub(super) model: &'a Model<B, G>,
    pub(super) pool: &'a SeededPool,
    pub(super) distance: &'a D,
    pub(super) sizes: Sizes,
    pub(super) samples: usize,
}

/// The samples of one input.
pub(super) struct Samples<B: Backend, F> {
    /// The samples as they are shown.
    pub(super) pictures: Vec<Planes>,
    /// The same, `[samples, 3, h, w]`.
    pub(super) images: Tensor<B, 4>,
    features: F,
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

impl<B, G, D> Sampler<'_, B, G, D>
where
    B: Backend,
    G: ImageGenerator<B>,
    D: Distance<B, Output = Tensor<B, 4>>,
{
    /// Draws the samples of an example's input, as many at once as memory holds.
    pub(super) fn draw(&self, example: &Example) -> Result<Samples<B, D::Features>, Error> {
        let device = self.model.device();
        let task = self.model.task();
        let batch = Batch::<B>::collate(&[example], device);
        let (height, width) = self.sizes.output();
        let (mut pictures, mut features) = (Vec::new(), Vec::new());
        while pictures.len() < self.samples {
            let done = pictures.len();
            let (shown, of_shown) = self.model.at_once(height, width, |rows| {
                let part = done..(done + rows).min(self.samples);
                let candidates: Vec<Candidate> = part
                    .map(|index| Candidate {
                        example: ExampleId(example.input.0),
                        index,
                    })
                    .collect();
                let output = draw(self.model.generator(), &batch.conditioning, |level, len| {
                    self.pool.draw(level, &candidates, len, device)
                });
                let shown: Vec<Planes> = planes_from_tensor(output)
                    .into_iter()
                    .map(|output| task.show(&example.conditioning, output))
                    .collect();
                let features = self.distance.features(stacked(&shown, device));
                // A failure of the device comes out here.
                B::sync(device).map_err(Error::device)?;
                Ok((shown, features))
            })?;
            pictures.extend(shown);
            features.push(of_shown);
        }
        Ok(Samples {
            images: stacked(&pictures, device),
            pictures,
            features: Rows::concat(features),
        })
    }

    /// Measures the samples of an example.
    pub(super) fn measure(
        &self,
        example: &Example,
        samples: &Samples<B, D::Features>,
    ) -> Result<SampleMeasures, Error> {
        let device = self.model.device();
        let truth = example.truth();
        let truth_features = self.distance.features(truth.to_tensor(device));
        let numbers = |tensor: Tensor<B, 1>| tensor.into_data().iter::<f64>().collect::<Vec<_>>();

        let mean = self.distance.features(samples.images.clone().mean_dim(0));
        let to_mean = numbers(self.distance.compare(&samples.features, &mean));
        let mut distances = numbers(self.distance.compare(&samples.features, &truth_features));
        let mut faithfulness = [0.0; FAITHFULNESS_SIGMAS.len()];
        for (found, sigma) in faithfulness.iter_mut().zip(FAITHFULNESS_SIGMAS) {
            *found = faithfulness_weighted_variance(&distances, &to_mean, sigma)?;
        }
        let diversity = diversity_of_features(self.distance, &samples.features)?;
        let modes = if example.modes.is_empty() {
            None
        } else {
            Some(ModesFound::of(&samples.pictures, &example.modes)?)
        };

        let (task, sizes) = (self.model.task(), &self.sizes);
        let input = task.picture_of_input(&example.conditioning);
        let baseline = downsample_planes(&input, truth.height, truth.width)?;
        let of_baseline = self
            .distance
            .distance(baseline.to_tensor(device), &truth_features);
        distances.extend(numbers(of_baseline));
        let pictures: Vec<&Planes> = samples.pictures.iter().chain([&baseline]).collect();
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

fn stacked<B: Backend>(images: &[Planes], device: &B::Device) -> Tensor<B, 4> {
    stack(&images.iter().collect::<Vec<_>>(), device)
}
