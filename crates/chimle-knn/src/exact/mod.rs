//! Exact search by comparing each query with every point.

mod bound;
mod product;
mod scan;

use rayon::prelude::*;

use crate::search::{check_dimension, check_many, check_one};
use crate::{Insert, KnnError, Nearest, NearestNeighbors, Neighbor, Points};

use bound::RoundingBound;

/// The smallest number of queries for which a matrix product is faster than comparing them one by one.
const PRODUCT_QUERIES: usize = 8;

/// Exact search: every query is compared with every point, on all cores and with SIMD.
///
/// The answer is always the same as that of a plain loop over
/// [`squared_distance`](crate::squared_distance), including ties and last bits.
///
/// A few queries are compared one by one, at a speed limited by memory. Many queries are compared by a
/// matrix product, block by block: `|q|^2 - 2 q.p + |p|^2`. It rounds differently from the plain
/// distance, but the difference is bounded. Every point that the bound cannot rule out is compared again
/// by the plain distance. To keep the bound small, points are centered on their mean. Points that are
/// closer together than the bound (duplicates, or clusters that are tiny compared with their distance
/// from the mean) cost one plain comparison each.
///
/// The index takes the memory of a copy of the points, plus one value per point.
///
/// # Examples
///
/// ```
/// use chimle_knn::{Exact, NearestNeighbors, Points};
///
/// # fn main() -> Result<(), chimle_knn::KnnError> {
/// let index = Exact::new(Points::new(&[0.0, 0.0, 1.0, 0.0, 5.0, 5.0], 2)?);
/// let nearest = index.query(&[0.9, 0.0], 2)?;
/// assert_eq!(nearest[0].index, 1);
/// assert_eq!(nearest[1].index, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Exact {
    values: Vec<f32>,
    dimension: usize,
    /// The center of the matrix product. Any value gives correct answers, and the mean is the fastest.
    center: Vec<f32>,
    /// The number of points when the center was last set to their mean.
    centered: usize,
    /// A lower bound of each point's part of the expansion, from [`RoundingBound::norm`].
    norms: Vec<f32>,
}

impl Exact {
    /// Builds an index of points. `points` may be empty.
    pub fn new(points: Points<'_>) -> Self {
        let mut index = Self {
            values: points.values().to_vec(),
            dimension: points.dimension(),
            center: vec![0.0; points.dimension()],
            centered: 0,
            norms: Vec::new(),
        };
        index.update_norms();
        index
    }

    /// Returns the points, in the order of their indices.
    pub fn points(&self) -> Points<'_> {
        Points::checked(&self.values, self.dimension)
    }

    /// Computes the norms of new points. The center is updated, with all norms, each time the number of
    /// points has doubled.
    fn update_norms(&mut self) {
        if self.points().len() >= 2 * self.centered {
            self.center = mean(self.points());
            self.centered = self.points().len();
            self.norms.clear();
        }
        let bound = RoundingBound::new(self.dimension);
        let center = &self.center;
        let new = &self.values[self.norms.len() * self.dimension..];
        self.norms
            .par_extend(new.par_chunks_exact(self.dimension).map(|point| {
                let centered = point.iter().zip(center).map(|(p, c)| p - c);
                bound.norm(bound::squared_norm(centered))
            }));
    }
}

impl NearestNeighbors for Exact {
    fn len(&self) -> usize {
        self.points().len()
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn query(&self, query: &[f32], k: usize) -> Result<Vec<Neighbor>, KnnError> {
        let query = check_one(self, query, k)?;
        let nearest = scan::parallel(self.points(), query, k);
        Ok(nearest.into_iter().flat_map(Nearest::into_sorted).collect())
    }

    fn query_many(&self, queries: Points<'_>, k: usize) -> Result<Vec<Vec<Neighbor>>, KnnError> {
        check_many(self, queries, k)?;
        let nearest = if queries.len() < PRODUCT_QUERIES {
            scan::parallel(self.points(), queries, k)
        } else {
            product::parallel(self, queries, k)
        };
        Ok(nearest.into_iter().map(Nearest::into_sorted).collect())
    }
}

impl Insert for Exact {
    fn insert(&mut self, points: Points<'_>) -> Result<(), KnnError> {
        check_dimension(self.dimension, points.dimension())?;
        self.values.extend_from_slice(points.values());
        self.update_norms();
        Ok(())
    }
}

/// Computes the mean of the points. It is 0 if there are no points.
fn mean(points: Points<'_>) -> Vec<f32> {
    let mut sums = vec![0.0f64; points.dimension()];
    for point in points.rows() {
        for (sum, &value) in sums.iter_mut().zip(point) {
            *sum += f64::from(value);
        }
    }
    let count = points.len().max(1) as f64;
    sums.iter().map(|sum| (sum / count) as f32).collect()
}

/// Merges the nearest points that two parts of the index have found for the same queries.
fn merge(mut one: Vec<Nearest>, other: Vec<Nearest>) -> Vec<Nearest> {
    for (one, other) in one.iter_mut().zip(other) {
        one.merge(other);
    }
    one
}
