//! Bootstrap intervals: how much a value depends on the choice of images.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::MetricsError;

/// The share of the resampled values that lie inside an interval.
pub const CONFIDENCE: f64 = 0.95;

/// Bootstrap resampling of images (Efron 1979). Each resample draws as many images as there are, with
/// replacement.
///
/// The same seed draws the same images for every measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// The number of resamples.
    pub resamples: usize,
    /// The seed of the draws.
    pub seed: u64,
}

impl Bootstrap {
    /// Computes the 95% percentile interval of the mean, given one value per image.
    ///
    /// For a single image, both ends are its value. Without images or without resamples, both ends are
    /// NaN.
    ///
    /// # Examples
    ///
    /// ```
    /// use chimle_metrics::Bootstrap;
    ///
    /// let values: Vec<f64> = (0..100).map(f64::from).collect();
    /// let [low, high] = Bootstrap { resamples: 1000, seed: 0 }.of_mean(&values);
    /// // The standard deviation is 28.9, so the interval is about 49.5 ± 1.96 * 28.9 / 10.
    /// assert!((low - 43.8).abs() < 0.6 && (high - 55.2).abs() < 0.6);
    /// ```
    pub fn of_mean(&self, values: &[f64]) -> [f64; 2] {
        let mut rng = self.rng();
        let count = values.len();
        if values.is_empty() {
            return [f64::NAN; 2];
        }
        let mean = |_| {
            let sum: f64 = (0..count).map(|_| values[rng.random_range(0..count)]).sum();
            sum / count as f64
        };
        percentiles((0..self.resamples).map(mean).collect())
    }

    /// Draws the number of times that each of `images` images occurs in each resample. Measures that
    /// are not means need these numbers.
    pub fn draws(&self, images: usize) -> Draws {
        let mut rng = self.rng();
        let counts = (0..self.resamples).map(|_| {
            let mut counts = vec![0; images];
            (0..images).for_each(|_| counts[rng.random_range(0..images)] += 1);
            counts
        });
        Draws {
            counts: counts.collect(),
            images,
            rows_per_image: 1,
        }
    }

    fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed)
    }
}

/// The number of times that each image is drawn, for each resample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draws {
    counts: Vec<Vec<u32>>,
    images: usize,
    rows_per_image: usize,
}

impl Draws {
    /// Sets the number of consecutive rows that belong to one image, such as the samples for one input.
    /// These rows depend on one another, so they are drawn together. The default is 1.
    pub fn with_rows_per_image(mut self, rows: usize) -> Self {
        self.rows_per_image = rows;
        self
    }

    /// Returns the number of resamples.
    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Returns the weights of all rows, for each resample.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Vec<f64>> {
        self.counts.iter().map(|counts| {
            let rows = counts
                .iter()
                .flat_map(|&count| std::iter::repeat_n(count, self.rows_per_image));
            rows.map(f64::from).collect()
        })
    }

    /// Checks that the draws are for this number of rows.
    pub(crate) fn check(&self, rows: usize) -> Result<(), MetricsError> {
        if self.images * self.rows_per_image == rows {
            return Ok(());
        }
        Err(MetricsError::Draws {
            images: self.images,
            rows_per_image: self.rows_per_image,
            rows,
        })
    }
}

/// A value with its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The value for the full set, without resampling.
    pub value: f64,
    /// The ends of the interval that contains 95% of the resampled values.
    pub interval: [f64; 2],
}

impl Estimate {
    /// Returns the value with the interval of the resampled values. The interval is shifted by the
    /// difference between `value` and the mean of the resampled values, which removes the bias of
    /// resampling. Resampled values that are not finite are ignored.
    pub(crate) fn shifted(value: f64, mut resampled: Vec<f64>) -> Self {
        resampled.retain(|value| value.is_finite());
        let mean = resampled.iter().sum::<f64>() / resampled.len() as f64;
        let interval = percentiles(resampled).map(|end| end - mean + value);
        Self { value, interval }
    }
}

/// Computes the ends of the interval that contains the middle [`CONFIDENCE`] of the values, with linear
/// interpolation between two values.
fn percentiles(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    let outside = (1.0 - CONFIDENCE) / 2.0;
    [outside, 1.0 - outside].map(|share| {
        let Some(last) = values.len().checked_sub(1) else {
            return f64::NAN;
        };
        let place = share * last as f64;
        let (below, above) = (values[place as usize], values[place.ceil() as usize]);
        // The difference of two equal infinities would be NaN.
        if below == above {
            return below;
        }
        below + place.fract() * (above - below)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_values_in_proportion() {
        let values = (0..=1000).rev().map(f64::from).collect();
        let [low, high] = percentiles(values);
        assert!((low - 25.0).abs() < 1e-9 && (high - 975.0).abs() < 1e-9);
        let [low, high] = percentiles(vec![1.0, 2.0]);
        assert!((low - 1.025).abs() < 1e-12 && (high - 1.975).abs() < 1e-12);
        assert_eq!(percentiles(vec![f64::INFINITY; 3]), [f64::INFINITY; 2]);
        assert!(percentiles(Vec::new())[0].is_nan());
    }

    #[test]
    fn an_interval_lies_about_the_value_whatever_resampling_adds() {
        let estimate = Estimate::shifted(5.0, vec![8.0, 10.0, f64::NAN, 12.0]);
        let [low, high] = estimate.interval;
        assert!((low - 3.1).abs() < 1e-9 && (high - 6.9).abs() < 1e-9);
    }
}
