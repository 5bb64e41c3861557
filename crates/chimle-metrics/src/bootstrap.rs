//! How much a figure depends on which images there happen to be.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::MetricsError;

/// The share of resamples that an interval holds.
pub const CONFIDENCE: f64 = 0.95;

/// Bootstrap resampling of images (Efron 1979): as many are drawn as there are, with replacement.
///
/// The same seed draws the same images, whatever is measured on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// How often all images are drawn anew.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Bootstrap {
    /// The 95% percentile interval of the mean of one value an image.
    ///
    /// Of one image both ends are its value; of none, and without resamples, they are NaN.
    ///
    /// ```
    /// use chimle_metrics::Bootstrap;
    ///
    /// let values: Vec<f64> = (0..100).map(f64::from).collect();
    /// let [low, high] = Bootstrap { resamples: 1000, seed: 0 }.of_mean(&values);
    /// // The deviation is 28.9: 49.5 plus and minus 1.96 * 28.9 / 10.
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

    /// How often each of `images` images is drawn, for measures that are no means.
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

/// How often each image is drawn, one resample after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draws {
    counts: Vec<Vec<u32>>,
    images: usize,
    rows_per_image: usize,
}

impl Draws {
    /// For sets with several rows an image, one after another (samples for one input): they are
    /// drawn together, as they depend on one another.
    pub fn with_rows_per_image(mut self, rows: usize) -> Self {
        self.rows_per_image = rows;
        self
    }

    /// The number of resamples.
    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }

    /// The weight of each row, for each resample.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Vec<f64>> {
        self.counts.iter().map(|counts| {
            let rows = counts
                .iter()
                .flat_map(|&count| std::iter::repeat_n(count, self.rows_per_image));
            rows.map(f64::from).collect()
        })
    }

    /// That there is a weight for each of so many rows.
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
    /// Of the set as it is.
    pub value: f64,
    /// Between these lie 95% of what resampling the images gives.
    pub interval: [f64; 2],
}

impl Estimate {
    /// The interval of resampled values, moved so that their mean is the value: what resampling
    /// adds to each of them alike is left out. Resamples without a value are passed over.
    pub(crate) fn shifted(value: f64, mut resampled: Vec<f64>) -> Self {
        resampled.retain(|value| value.is_finite());
        let mean = resampled.iter().sum::<f64>() / resampled.len() as f64;
        let interval = percentiles(resampled).map(|end| end - mean + value);
        Self { value, interval }
    }
}

/// The ends of the middle [`CONFIDENCE`], between two values in proportion.
fn percentiles(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    let outside = (1.0 - CONFIDENCE) / 2.0;
    [outside, 1.0 - outside].map(|share| {
        let Some(last) = values.len().checked_sub(1) else {
            return f64::NAN;
        };
        let place = share * last as f64;
        let (below, above) = (values[place as usize], values[place.ceil() as usize]);
        // Also of two infinite values.
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
