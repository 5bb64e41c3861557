//! Counting the known outputs (modes) of an input that its samples find.

use chimle_data::{MODES, Planes, nearest_mode};
use chimle_metrics::{mode_coverage, mode_radius};

use crate::error::Error;

/// The number of known outputs of an input that its samples find. Distances are the root mean square over
/// values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ModesFound {
    /// The number of known outputs that are the nearest known output of some sample, and lie within the mode
    /// radius of this sample. The mode radius is half the smallest distance between two known outputs.
    pub(crate) covered: usize,
    /// The number of known outputs that are the nearest known output of some sample, at any distance.
    pub(crate) nearest: usize,
    /// The mean distance between a sample and its nearest known output.
    pub(crate) distance: f64,
}

impl ModesFound {
    /// Compares samples with the known outputs `modes` of their input.
    ///
    /// # Errors
    ///
    /// If the images differ in shape.
    pub(crate) fn of(samples: &[Planes], modes: &[Planes]) -> Result<Self, Error> {
        let nearest = samples
            .iter()
            .map(|sample| {
                let (mode, squared) = nearest_mode(modes, sample)?;
                Ok((mode, f64::from(squared).sqrt()))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let mut between = Vec::new();
        for (i, mode) in modes.iter().enumerate() {
            for other in &modes[..i] {
                between.push(f64::from(mode.mean_squared_distance(other)?).sqrt());
            }
        }
        let distances: f64 = nearest.iter().map(|(_, distance)| distance).sum();
        Ok(Self {
            distance: distances / nearest.len().max(1) as f64,
            covered: mode_coverage(&nearest, modes.len(), mode_radius(between))?,
            nearest: mode_coverage(&nearest, modes.len(), f64::INFINITY)?,
        })
    }

    /// Returns whether all known outputs, except at most one, are the nearest known output of some sample.
    pub(crate) fn mostly(&self) -> bool {
        self.nearest + 1 >= MODES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(value: f32) -> Planes {
        Planes::from_fn(3, 2, 2, |_, _, _| value)
    }

    #[test]
    fn a_sample_between_two_outputs_has_found_neither() {
        let modes = [0.0, 0.25, 0.5, 1.0].map(flat);
        let of = |samples: &[f32]| {
            let samples: Vec<_> = samples.iter().copied().map(flat).collect();
            let found = ModesFound::of(&samples, &modes).unwrap();
            (found.covered, found.nearest)
        };
        // The mode radius is 1/8.
        assert_eq!(of(&[0.0, 0.24, 0.5, 0.9]), (4, 4));
        assert_eq!(of(&[0.0, 0.0, 0.1, 0.05]), (1, 1));
        assert_eq!(of(&[0.125]), (0, 1));
        assert_eq!(of(&[0.8, 0.7]), (0, 2));

        let samples = [0.8, 0.75, 0.0, 0.01].map(flat);
        let found = ModesFound::of(&samples, &modes).unwrap();
        let mean = (0.2 + 0.25 + 0.0 + 0.01) / 4.0;
        assert!((found.distance - mean).abs() < 1e-6, "{found:?}");
    }
}
