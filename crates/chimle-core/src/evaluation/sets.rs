//! Measures of sets of images, computed on the features of one extractor.

use burn::tensor::Tensor;
use chimle_metrics::{
    Better, Bootstrap, MetricsError, Rows, Statistics, Subsets, frechet_estimate, kid_estimate,
    neighborhoods,
};
use chimle_nn::Kernels;
use chimle_perceptual::Extractor;

use super::report::{Figure, NeighborhoodFigures, SetMeasures};
use super::tally::Figures;
use crate::error::Error;

/// The settings of the measures of sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMeasuresConfig {
    /// The number k of neighbors for precision, recall, density and coverage. The neighborhood of an image
    /// reaches to its k-th nearest neighbor.
    pub neighbors: usize,
    /// The random subsets on which the kernel distance (KID) is computed. With `None`, the whole sets are
    /// used.
    pub subsets: Option<Subsets>,
    /// The number of resamples for the intervals of the Frechet distance and the kernel distance. Each
    /// resample costs as much as the distance itself. With 2048 features and at least as many images, this
    /// is about two seconds on two cores.
    pub resamples: usize,
}

impl Default for SetMeasuresConfig {
    /// Returns settings with 5 neighbors, the whole sets and 200 resamples.
    fn default() -> Self {
        Self {
            neighbors: 5,
            subsets: None,
            resamples: 200,
        }
    }
}

/// The features of both sets, collected batch by batch. Features are kept in memory (4 bytes per number), but
/// images are not.
pub(super) struct FeatureSets<'a, B: Kernels> {
    extractor: &'a Extractor<B>,
    real: Real<'a>,
    generated: Statistics,
}

/// The features of the true images: given in advance, or collected from images.
enum Real<'a> {
    Given(&'a Statistics),
    Gathered(Statistics),
}

impl<'a, B: Kernels> FeatureSets<'a, B> {
    /// Creates empty sets. `given` are the statistics of the true images, if they are already known.
    ///
    /// # Errors
    ///
    /// If the given statistics were computed with another extractor.
    pub(super) fn new(
        extractor: &'a Extractor<B>,
        given: Option<&'a Statistics>,
    ) -> Result<Self, Error> {
        let empty = || Statistics::new(extractor.name(), extractor.dimension());
        let real = match given {
            Some(statistics) if statistics.extractor() != extractor.name() => {
                return Err(Error::Setting {
                    field: "reference statistics",
                    reason: format!(
                        "were computed from features of {}, but the extractor is {}",
                        statistics.extractor(),
                        extractor.name()
                    ),
                });
            }
            Some(statistics) => Real::Given(statistics),
            None => Real::Gathered(empty()),
        };
        Ok(Self {
            extractor,
            real,
            generated: empty(),
        })
    }

    /// Returns whether true images must be passed to [`push_real`](Self::push_real).
    pub(super) fn needs_real(&self) -> bool {
        matches!(self.real, Real::Gathered(_))
    }

    /// Adds true images, `[images, 3, height, width]`, RGB in [0, 1]. Does nothing if the statistics of the
    /// true images were given.
    pub(super) fn push_real(&mut self, images: Tensor<B, 4>) -> Result<(), Error> {
        if let Real::Gathered(statistics) = &mut self.real {
            statistics.push(&features(self.extractor, images))?;
        }
        Ok(())
    }

    /// Adds generated images, in the same form as in [`push_real`](Self::push_real).
    pub(super) fn push_generated(&mut self, images: Tensor<B, 4>) -> Result<(), Error> {
        let features = features(self.extractor, images);
        Ok(self.generated.push(&features)?)
    }

    /// Returns the statistics of the true images, if they were collected from images.
    pub(super) fn into_gathered(self) -> Option<Statistics> {
        match self.real {
            Real::Gathered(statistics) => Some(statistics),
            Real::Given(_) => None,
        }
    }

    /// Computes the measures of sets. Returns `None` if there are too few images. Remarks for the reader of
    /// the report are added to `notes`.
    ///
    /// `samples` is the number of generated images for each input. If `paired` is set and the true images
    /// were collected, the k-th true image belongs to the k-th group of samples, and the bootstrap draws
    /// both together.
    pub(super) fn measure(
        &self,
        config: &SetMeasuresConfig,
        bootstrap: Bootstrap,
        samples: usize,
        paired: bool,
        notes: &mut Vec<String>,
    ) -> Result<Option<SetMeasures>, Error> {
        let real = match &self.real {
            Real::Given(statistics) => statistics,
            Real::Gathered(statistics) => statistics,
        };
        let (rows, generated) = (real.rows(), self.generated.rows());
        let fewest = rows.count().min(generated.count());
        if fewest < 2 {
            notes.push(
                "Measures of sets are absent: they need at least two true and two generated images."
                    .to_owned(),
            );
            return Ok(None);
        }
        let dimension = self.extractor.dimension();
        if fewest <= dimension {
            notes.push(format!(
                "The smaller set has {fewest} images, which is not more than the number of features, \
                 {dimension}. The Frechet distance is therefore far larger than it would be with more images. \
                 Compare it only with Frechet distances of the same number of images."
            ));
        }
        let costly = Bootstrap {
            resamples: config.resamples,
            ..bootstrap
        };
        let images = generated.count() / samples;
        let draws = costly.draws(images).with_rows_per_image(samples);
        let real_draws = if paired && self.needs_real() {
            costly.draws(rows.count())
        } else {
            let seed = costly.seed.wrapping_add(1);
            Bootstrap { seed, ..costly }.draws(rows.count())
        };
        let figure = |estimate: chimle_metrics::Estimate| Figure {
            value: estimate.value,
            interval: estimate.interval,
            images,
            samples,
            better: Some(Better::Lower),
        };
        let frechet = frechet_estimate(real.moments(), generated, &draws)?;
        let subsets = config.subsets.as_ref();
        let kernel = kid_estimate(rows, generated, subsets, &real_draws, &draws)?;
        let figures = Figures { bootstrap, samples };
        Ok(Some(SetMeasures {
            extractor: self.extractor.name().to_owned(),
            dimension,
            is_inception: matches!(self.extractor, Extractor::InceptionV3(_)),
            real_images: rows.count(),
            generated_images: generated.count(),
            resamples: config.resamples,
            frechet_distance: figure(frechet),
            kernel_distance: figure(kernel),
            subsets: config.subsets,
            neighborhoods: covering(rows, generated, config.neighbors, figures, notes)?,
        }))
    }
}

fn covering(
    real: Rows<'_, f32>,
    generated: Rows<'_, f32>,
    neighbors: usize,
    figures: Figures,
    notes: &mut Vec<String>,
) -> Result<Option<NeighborhoodFigures>, Error> {
    let found = match neighborhoods(real, generated, neighbors) {
        Ok(found) => found,
        Err(MetricsError::TooFew { found, needed }) => {
            notes.push(format!(
                "Precision, recall, density and coverage are absent: {neighbors} neighbors need at least \
                 {needed} true and {needed} generated images, but there are {found}."
            ));
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let of_images = |values: &[f64]| -> Vec<f64> {
        let images = values.chunks(figures.samples);
        images
            .map(|samples| samples.iter().sum::<f64>() / samples.len() as f64)
            .collect()
    };
    let of_real = Figures {
        samples: 1,
        ..figures
    };
    let better = Some(Better::Higher);
    Ok(Some(NeighborhoodFigures {
        neighbors,
        precision: figures.mean(&of_images(&found.precision), better),
        recall: of_real.mean(&found.recall, better),
        density: figures.mean(&of_images(&found.density), better),
        coverage: of_real.mean(&found.coverage, better),
    }))
}

fn features<B: Kernels>(extractor: &Extractor<B>, images: Tensor<B, 4>) -> Vec<f32> {
    let features = extractor.extract(images).into_data();
    features.iter::<f32>().collect()
}
