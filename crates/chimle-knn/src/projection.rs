//! Random projection to fewer coordinates, which keeps most neighbors.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::distance::dot;
use crate::search::check_dimension;
use crate::{KnnError, Points};

/// A linear map onto random directions. The directions are Gaussian vectors scaled to unit length, which
/// makes them uniform on the sphere. They are drawn from a seed.
///
/// With `to` directions in `from` dimensions, squared distances are multiplied by `to / from` on average,
/// with a relative standard deviation of about `sqrt(2 / to)` (Johnson and Lindenstrauss, 1984).
///
/// # Examples
///
/// ```
/// use chimle_knn::{Points, RandomProjection};
///
/// # fn main() -> Result<(), chimle_knn::KnnError> {
/// let projection = RandomProjection::new(100, 10, 0)?;
/// let values = [1.0; 2 * 100]; // two equal points
/// let projected = projection.project(Points::new(&values, 100)?)?;
/// assert_eq!(projected.len(), 2 * 10);
/// assert_eq!(projected[..10], projected[10..]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RandomProjection {
    /// The directions, `to x from`, row-major.
    directions: Vec<f32>,
    from: usize,
    to: usize,
}

impl RandomProjection {
    /// Draws `to` directions in `from` dimensions. The same seed gives the same directions.
    ///
    /// # Errors
    ///
    /// If either dimension is 0.
    pub fn new(from: usize, to: usize, seed: u64) -> Result<Self, KnnError> {
        if from == 0 || to == 0 {
            return Err(KnnError::ZeroDimension);
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut directions = Vec::with_capacity(from * to);
        for _ in 0..to {
            directions.extend(unit_vector(from, &mut random));
        }
        Ok(Self {
            directions,
            from,
            to,
        })
    }

    /// Returns the number of coordinates before the projection.
    pub fn from_dimension(&self) -> usize {
        self.from
    }

    /// Returns the number of coordinates after the projection.
    pub fn to_dimension(&self) -> usize {
        self.to
    }

    /// Returns the directions, `to x from`, row-major.
    pub fn directions(&self) -> &[f32] {
        &self.directions
    }

    /// Projects points `n x from` to `n x to` values, row-major, on all cores.
    ///
    /// # Errors
    ///
    /// If the points have a different dimension, or a point is so far from the origin that its
    /// projection overflows.
    pub fn project(&self, points: Points<'_>) -> Result<Vec<f32>, KnnError> {
        check_dimension(self.from, points.dimension())?;
        let onto_each = |point| {
            let directions = self.directions.chunks_exact(self.from);
            directions.map(move |direction| dot(direction, point))
        };
        // For a single query, waking the other cores costs more than it saves.
        let projected: Vec<f32> = if points.len() == 1 {
            onto_each(points.values()).collect()
        } else {
            let points = points.values().par_chunks_exact(self.from);
            points.flat_map_iter(onto_each).collect()
        };
        match projected.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(KnnError::ProjectionOverflow {
                point: at / self.to,
            }),
            None => Ok(projected),
        }
    }
}

fn unit_vector(dimension: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
    loop {
        let gaussian: Vec<f64> = StandardNormal
            .sample_iter(&mut *random)
            .take(dimension)
            .collect();
        let norm = gaussian.iter().map(|v| v * v).sum::<f64>().sqrt();
        // A norm of 0 is extremely unlikely, but a vector without length has no direction.
        if norm > 0.0 {
            return gaussian.iter().map(|v| (v / norm) as f32).collect();
        }
    }
}
