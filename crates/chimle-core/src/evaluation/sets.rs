//! Measures of sets of images, on the features of one extractor.

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

/// How measures of sets are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMeasuresConfig {
    /// Neighbours that the neighbourhoods of precision and the like reach to.
    pub neighbors: usize,
    /// Random subsets for the kernel distance (KID) in place of the whole sets.
    pub subsets: Option<Subsets>,
    /// Resamples for the intervals of the Frechet and the kernel distance. Each costs as much as
    /// the distance: at 2048 features, and as many images or more, about two seconds on two cores.
    pub resamples: usize,
}

impl Default for SetMeasuresConfig {
    /// 5 neighbors, the whole sets, 200 resamples.
    fn default() -> Self {
        Self {
            neighbors: 5,
            subsets: None,
            resamples: 200,
        }
    }
}

/// The features of both sets as they come. Features are kept (4 bytes a number), images are not.
pub(super) struct FeatureSets<'a, B: Kernels> {
    extractor: &'a Extractor<B>,
    real: Real<'a>,
    generated: Statistics,
}

/// The true images' features: those given, or those that come.
enum Real<'a> {
    Given(&'a Statistics),
    Gathered(Statistics),
}

impl<'a, B: Kernels> FeatureSets<'a, B> {
    /// No images yet; `given` are the statistics of the real ones, if they need not come.
    ///
    /// # Errors
    /// If the given statistics are another extractor's.
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
                        "are of features of {}, but the extractor is {}",
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

    /// Whether true images are to come.
    pub(super) fn needs_real(&self) -> bool {
        matches!(self.real, Real::Gathered(_))
    }

    /// Takes in true images `[n, 3, h, w]`, RGB in [0, 1], unless their statistics were given.
    pub(super) fn push_real(&mut self, images: Tensor<B, 4>) -> Result<(), Error> {
        if let Real::Gathered(statistics) = &mut self.real {
            statistics.push(&features(self.extractor, images))?;
        }
        Ok(())
    }

    /// Takes in images to be compared with them, of the same form.
    pub(super) fn push_generated(&mut self, images: Tensor<B, 4>) -> Result<(), Error> {
        let features = features(self.extractor, images);
        Ok(self.generated.push(&features)?)
    }

    /// The true images' features, if they were gathered here.
    pub(super) fn into_gathered(self) -> Option<Statistics> {
        match self.real {
            Real::Gathered(statistics) => Some(statistics),
            Real::Given(_) => None,
        }
    }

    /// The measures, or why there are none. What should be known of them is added to `notes`.
    ///
    /// With `samples` generated images for each image; where the true images were gathered and
    /// `paired`, each belongs to the samples in its place, and both are drawn together.
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
                "Measures of sets are absent: they need at least two images of either kind."
                    .to_owned(),
            );
            return Ok(None);
        }
        let dimension = self.extractor.dimension();
        if fewest <= dimension {
            notes.push(format!(
                "{fewest} images are no more than the {dimension} features: the Frechet distance is \
                 far above what more images would give. Compare it with ones of as many images."
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
                "Precision, recall, density and coverage are absent: {neighbors} neighbors need at \
                 least {needed} images of either kind, and there are {found}."
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
