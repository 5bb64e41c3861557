//! From one value an image to figures.

use chimle_metrics::{Better, Bootstrap, Summary};

use super::report::{Figure, Spread};
use crate::error::Error;

/// How figures are made: with intervals over so many samples an image.
#[derive(Clone, Copy)]
pub(super) struct Figures {
    pub(super) bootstrap: Bootstrap,
    pub(super) samples: usize,
}

impl Figures {
    /// The mean of one value an image.
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

/// One measure of samples, image by image.
#[derive(Default)]
pub(super) struct Column {
    best: Vec<f64>,
    mean: Vec<f64>,
    deviation: Vec<f64>,
    baseline: Vec<f64>,
}

impl Column {
    /// Takes in one image's samples, and what the measure is of the baseline.
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

    /// The figures, if there are any.
    pub(super) fn spread(&self, figures: Figures, better: Better) -> Option<Spread> {
        if self.mean.is_empty() {
            return None;
        }
        let several = figures.samples > 1;
        let one = Figures {
            samples: 1,
            ..figures
        };
        let baseline = || one.mean(&self.baseline, Some(better));
        Some(Spread {
            best: several.then(|| figures.mean(&self.best, Some(better))),
            mean: figures.mean(&self.mean, Some(better)),
            deviation: several.then(|| figures.mean(&self.deviation, None)),
            baseline: (!self.baseline.is_empty()).then(baseline),
        })
    }
}
