//! Mixtures of well separated modes, and counts of the samples in each mode.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::noise::{Noise, matrix};

/// The radius of a mode around its center, in spreads. Of the mixture's own points, one in 16,000 lies outside
/// in one dimension, and one in 3,000 in two dimensions.
pub const REACH: f32 = 4.0;

/// A mode counts as dropped if it has fewer samples than this fraction of an equal share.
const DROPPED_BELOW: f64 = 0.1;

/// A mixture of equally likely isotropic normal modes.
#[derive(Debug, Clone)]
pub struct Mixture {
    dimension: usize,
    /// `[modes, dimension]`, row by row.
    centers: Vec<f32>,
    spread: f32,
}

/// Counts of samples inside and outside of the modes.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Counts {
    /// The share of samples that are further than [`REACH`] spreads from every center, in regions without data.
    pub spurious: f64,
    /// The number of dropped modes. A mode is dropped if fewer samples lie within [`REACH`] spreads of its
    /// center than a tenth of an equal share.
    pub dropped: usize,
}

impl Mixture {
    /// Creates modes on a line, at a distance of 1 and centered at 0.
    pub fn line(modes: usize, spread: f32) -> Self {
        let middle = (modes - 1) as f32 / 2.0;
        Self {
            dimension: 1,
            centers: (0..modes).map(|k| k as f32 - middle).collect(),
            spread,
        }
    }

    /// Creates `side` times `side` modes on a square grid, `distance` apart and centered at 0.
    pub fn grid(side: usize, distance: f32, spread: f32) -> Self {
        let middle = (side - 1) as f32 / 2.0;
        let place = |k: usize| distance * (k as f32 - middle);
        Self {
            dimension: 2,
            centers: (0..side * side)
                .flat_map(|k| [place(k % side), place(k / side)])
                .collect(),
            spread,
        }
    }

    /// Creates modes at equal distances on the unit circle.
    pub fn ring(modes: usize, spread: f32) -> Self {
        let angle = |k: usize| std::f32::consts::TAU * k as f32 / modes as f32;
        Self {
            dimension: 2,
            centers: (0..modes)
                .flat_map(|k| [angle(k).cos(), angle(k).sin()])
                .collect(),
            spread,
        }
    }

    /// Returns the dimension, 1 or 2.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Returns the centers.
    pub fn centers(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.centers.chunks_exact(self.dimension)
    }

    /// Returns the standard deviation of a mode along each axis.
    pub fn spread(&self) -> f32 {
        self.spread
    }

    /// Draws points, `[points, dimension]`.
    pub fn draw<B: Backend>(&self, points: usize, noise: &mut Noise) -> Tensor<B, 2> {
        let modes = self.centers().len();
        let mut values = Vec::with_capacity(points * self.dimension);
        for _ in 0..points {
            let mode = noise.below(modes);
            for axis in 0..self.dimension {
                let center = self.centers[mode * self.dimension + axis];
                values.push(center + self.spread * noise.normal());
            }
        }
        matrix(values, self.dimension)
    }

    /// Counts samples, which are given row by row.
    pub fn count(&self, samples: &[f32]) -> Counts {
        let mut held = vec![0usize; self.centers().len()];
        let mut spurious = 0usize;
        let samples = samples.chunks_exact(self.dimension);
        let all = samples.len();
        for sample in samples {
            let (mode, distance) = self.nearest(sample);
            if distance <= REACH * self.spread {
                held[mode] += 1;
            } else {
                // NaN counts as spurious too.
                spurious += 1;
            }
        }
        let fair = all as f64 / held.len() as f64;
        Counts {
            spurious: spurious as f64 / all.max(1) as f64,
            dropped: held
                .iter()
                .filter(|&&held| (held as f64) < DROPPED_BELOW * fair)
                .count(),
        }
    }

    fn nearest(&self, point: &[f32]) -> (usize, f32) {
        let distance = |center: &[f32]| {
            let squares = center.iter().zip(point).map(|(c, x)| (c - x).powi(2));
            squares.sum::<f32>().sqrt()
        };
        self.centers()
            .map(distance)
            .enumerate()
            .min_by(|one, other| one.1.total_cmp(&other.1))
            .expect("a mixture has modes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Flex;

    #[test]
    fn samples_outside_all_modes_are_spurious_and_empty_modes_dropped() {
        let mixture = Mixture::line(4, 0.1); // centers at -1.5, -0.5, 0.5, 1.5
        let exact = mixture.count(&[-1.5, -0.5, 0.5, 1.5]);
        assert_eq!((exact.spurious, exact.dropped), (0.0, 0));

        // 0.89 is within 4 spreads of 0.5. 0.95 and 0 lie between modes. No sample is near 1.5 or -0.5.
        let samples = [-1.5, 0.5, 0.89, 0.95, 0.0, f32::NAN, -1.6, -1.3];
        let counts = mixture.count(&samples);
        assert_eq!((counts.spurious, counts.dropped), (3.0 / 8.0, 2));
    }

    #[test]
    fn a_mode_with_a_tenth_of_its_share_is_kept_and_with_less_is_dropped() {
        let mixture = Mixture::ring(2, 0.05); // centers at (1, 0) and (-1, 0)
        let samples = |left: usize| [[1.0, 0.0]; 200].concat()[..2 * (200 - left)].to_vec();
        for (left, dropped) in [(10, 0), (9, 1)] {
            let both = [
                samples(left),
                [[-1.0, 0.0]; 10].concat()[..2 * left].to_vec(),
            ]
            .concat();
            assert_eq!(mixture.count(&both).dropped, dropped);
        }
    }

    #[test]
    fn its_own_points_are_in_its_modes() {
        for mixture in [
            Mixture::line(4, 0.02),
            Mixture::grid(5, 0.7, 0.08),
            Mixture::ring(8, 0.05),
        ] {
            let points = mixture.draw::<Flex>(20_000, &mut Noise::new(1, 0));
            let counts = mixture.count(&points.into_data().to_vec::<f32>().unwrap());
            assert!(counts.spurious < 1e-3, "{counts:?}");
            assert_eq!(counts.dropped, 0);
        }
    }
}
