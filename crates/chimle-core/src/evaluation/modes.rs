//! Which of an input's known outputs its samples find.

use chimle_data::{MODES, Planes, nearest_mode};
use chimle_metrics::{mode_coverage, mode_radius};

use crate::error::Error;

/// How many known outputs are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ModesFound {
    /// By a sample nearer to it than half the smallest distance between two of them.
    pub(crate) covered: usize,
    /// By a sample whose nearest it is, at whatever distance.
    pub(crate) nearest: usize,
    /// The mean distance of the samples from the known output nearest to each: the root mean square
    /// over values.
    pub(crate) distance: f64,
}

impl ModesFound {
    /// Of the known outputs `modes`, by the root mean square over values.
    ///
    /// # Errors
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

    /// Whether all but at most one are some sample's nearest.
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
        // The radius is an eighth.
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
