//! Collecting one value per image and computing figures from them.

use chimle_data::MODES;
use chimle_metrics::{Better, Bootstrap, FAITHFULNESS_SIGMAS, Summary, expected_coverage};

use super::measured::SampleMeasures;
use super::modes::ModesFound;
use super::report::{FaithfulnessAtSigma, Figure, ModeCoverage, SampleStatistics, Similarity};
use crate::error::Error;

/// The settings of figures: the bootstrap of their intervals, and the number of samples per image.
#[derive(Clone, Copy)]
pub(super) struct Figures {
    pub(super) bootstrap: Bootstrap,
    pub(super) samples: usize,
}

impl Figures {
    /// Computes the mean over images of one value per image, with its interval.
    pub(super) fn mean(&self, values: &[f64], better: Option<Better>) -> Figure {
        Figure {
            value: values.iter().sum::<f64>() / values.len() as f64,
            interval: self.bootstrap.of_mean(values),
            images: values.len(),
            samples: self.samples,
            better,
        }
    }
}

/// The values of one measure of samples, image by image.
#[derive(Default)]
pub(super) struct Column {
    best: Vec<f64>,
    mean: Vec<f64>,
    deviation: Vec<f64>,
    baseline: Vec<f64>,
}

impl Column {
    /// Adds the values of one image's samples, and the value of its baseline.
    pub(super) fn push(
        &mut self,
        samples: &[f64],
        baseline: Option<f64>,
        better: Better,
    ) -> Result<(), Error> {
        let summary = Summary::of(samples, better)?;
        self.best.push(summary.best);
        self.mean.push(summary.mean);
        self.deviation.push(summary.deviation);
        self.baseline.extend(baseline);
        Ok(())
    }

    /// Computes the figures. Returns `None` if there are no values.
    pub(super) fn spread(&self, figures: Figures, better: Better) -> Option<SampleStatistics> {
        if self.mean.is_empty() {
            return None;
        }
        let several = figures.samples > 1;
        let one = Figures {
            samples: 1,
            ..figures
        };
        let baseline = || one.mean(&self.baseline, Some(better));
        Some(SampleStatistics {
            best: several.then(|| figures.mean(&self.best, Some(better))),
            mean: figures.mean(&self.mean, Some(better)),
            deviation: several.then(|| figures.mean(&self.deviation, None)),
            baseline: (!self.baseline.is_empty()).then(baseline),
        })
    }
}

/// The values of all measures, image by image.
#[derive(Default)]
pub(super) struct Tally {
    distance: Column,
    psnr: Column,
    ssim: Column,
    ms_ssim: Column,
    consistency: Column,
    diversity: Vec<f64>,
    faithfulness: [Vec<f64>; FAITHFULNESS_SIGMAS.len()],
    modes: Vec<ModesFound>,
}

impl Tally {
    /// Adds the measures of one example.
    pub(super) fn push(&mut self, image: SampleMeasures) -> Result<(), Error> {
        /// Adds the values of the samples and, as the last value, of the baseline. A value is `None` if
        /// the images are too small for the measure.
        fn add(
            column: &mut Column,
            values: impl Iterator<Item = Option<f64>>,
            better: Better,
        ) -> Result<(), Error> {
            let Some(values) = values.collect::<Option<Vec<f64>>>() else {
                return Ok(());
            };
            let (baseline, samples) = values.split_last().expect("there is a baseline");
            column.push(samples, Some(*baseline), better)
        }
        let distances = image.distances.iter().copied().map(Some);
        let similarity = || image.similarity.iter();
        add(&mut self.distance, distances, Better::Lower)?;
        add(
            &mut self.psnr,
            similarity().map(|l| Some(l.psnr)),
            Better::Higher,
        )?;
        add(&mut self.ssim, similarity().map(|l| l.ssim), Better::Higher)?;
        add(
            &mut self.ms_ssim,
            similarity().map(|l| l.ms_ssim),
            Better::Higher,
        )?;
        let consistency = image.consistency.iter().copied();
        add(&mut self.consistency, consistency, Better::Higher)?;
        self.diversity.push(image.diversity);
        for (values, value) in self.faithfulness.iter_mut().zip(image.faithfulness) {
            values.push(value);
        }
        self.modes.extend(image.modes);
        Ok(())
    }

    pub(super) fn diversity(&self, figures: Figures) -> Figure {
        figures.mean(&self.diversity, Some(Better::Higher))
    }

    pub(super) fn images(&self) -> usize {
        self.diversity.len()
    }

    pub(super) fn similarity(&self, figures: Figures) -> Option<Similarity> {
        Some(Similarity {
            distance: self.distance.spread(figures, Better::Lower)?,
            psnr: self.psnr.spread(figures, Better::Higher)?,
            ssim: self.ssim.spread(figures, Better::Higher),
            ms_ssim: self.ms_ssim.spread(figures, Better::Higher),
            consistency: self.consistency.spread(figures, Better::Higher),
        })
    }

    pub(super) fn faithfulness(&self, figures: Figures) -> Vec<FaithfulnessAtSigma> {
        let values = FAITHFULNESS_SIGMAS.into_iter().zip(&self.faithfulness);
        values
            .map(|(sigma, values)| FaithfulnessAtSigma {
                sigma,
                figure: figures.mean(values, Some(Better::Higher)),
            })
            .collect()
    }

    pub(super) fn modes(&self, figures: Figures) -> Option<ModeCoverage> {
        let mean = |of: fn(&ModesFound) -> f64| {
            let values: Vec<f64> = self.modes.iter().map(of).collect();
            figures.mean(&values, Some(Better::Higher))
        };
        (!self.modes.is_empty()).then(|| ModeCoverage {
            covered: mean(|found| found.covered as f64),
            nearest: mean(|found| found.nearest as f64),
            mostly_nearest: mean(|found| f64::from(u8::from(found.mostly()))),
            distance: {
                let values: Vec<f64> = self.modes.iter().map(|found| found.distance).collect();
                figures.mean(&values, Some(Better::Lower))
            },
            of: MODES,
            expected: expected_coverage(MODES, figures.samples),
        })
    }
}
