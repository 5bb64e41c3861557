//! Exact search by a k-d tree.

mod fixed;

use std::sync::Arc;

use crate::distance::squared_distances;
use crate::search::{check_dimension, check_one};
use crate::{Insert, KnnError, Nearest, NearestNeighbors, Neighbor, Points, squared_distance};

use fixed::Tree;

/// The largest coordinate for which no distance in [`KdTree::MAX_DIMENSION`] dimensions overflows.
const LARGEST_COORDINATE: f32 = 1e18;

/// A bound of the relative rounding error in the tree's distances, with a factor of 4 to spare. The
/// tree has fewer than 64 levels. Each distance passes through at most three roundings per level, and a
/// few more. Its error is therefore at most 256 units of 2^-24.
const ROUNDING: f32 = 4.0 * 256.0 * f32::EPSILON / 2.0;

/// Exact search in low dimension by a k-d tree from the crate [`kiddo`](https://docs.rs/kiddo).
///
/// The answer is the same as that of a plain loop over [`squared_distance`], including ties. In up to
/// about four dimensions, a query visits a few dozen of a million points.
///
/// Do not use a k-d tree for:
///
/// - More than about ten dimensions. A query then visits most of the tree, and [`Exact`](crate::Exact)
///   is faster. Above [`MAX_DIMENSION`](Self::MAX_DIMENSION), no tree is built.
/// - Many duplicates of one point. If several points are tied for the `k`th neighbor, a query visits all
///   of them.
/// - Frequent additions. Each [`insert`](Insert::insert) builds a new tree, to keep it balanced.
/// - Coordinates above 10^18 in magnitude, whose squares might overflow. If the points or a query have
///   such coordinates, the query is answered by a plain loop.
///
/// The index takes the memory of two copies of the points, plus four bytes per point.
///
/// # Examples
///
/// ```
/// use chimle_knn::{KdTree, NearestNeighbors, Points};
///
/// # fn main() -> Result<(), chimle_knn::KnnError> {
/// let index = KdTree::new(Points::new(&[0.0, 0.0, 1.0, 0.0, 5.0, 5.0], 2)?)?;
/// assert_eq!(index.query(&[0.9, 0.0], 1)?[0].index, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KdTree {
    values: Vec<f32>,
    dimension: usize,
    /// `None` if there are no points, or if a coordinate is too large.
    tree: Option<Arc<dyn Tree>>,
}

impl KdTree {
    /// The highest dimension for which a tree is built.
    pub const MAX_DIMENSION: usize = 16;

    /// Builds a tree of points. `points` may be empty.
    ///
    /// # Errors
    ///
    /// If the dimension is above [`MAX_DIMENSION`](Self::MAX_DIMENSION) or there are 2^32 points or
    /// more.
    pub fn new(points: Points<'_>) -> Result<Self, KnnError> {
        Self::build(points.values().to_vec(), points.dimension())
    }

    fn build(values: Vec<f32>, dimension: usize) -> Result<Self, KnnError> {
        let points = Points::checked(&values, dimension);
        if dimension > Self::MAX_DIMENSION {
            return Err(KnnError::DimensionTooHigh {
                dimension,
                limit: Self::MAX_DIMENSION,
            });
        }
        let tree = if points.is_empty() || !is_moderate(&values) {
            None
        } else {
            Some(fixed::build(points)?)
        };
        Ok(Self {
            values,
            dimension,
            tree,
        })
    }

    fn points(&self) -> Points<'_> {
        Points::checked(&self.values, self.dimension)
    }

    /// Returns all points that can be among the `k` nearest, judged by the tree's own distances.
    fn candidates(&self, tree: &dyn Tree, query: &[f32], k: usize) -> Vec<usize> {
        let mut found = tree.nearest(query, k + 1);
        if found.len() > k {
            // If the next point is farther by more than the rounding error, only the first k can be the
            // nearest.
            let reach = found[k - 1].distance * (1.0 + ROUNDING) + f32::MIN_POSITIVE;
            if found[k].distance <= reach {
                return tree.within(query, reach);
            }
            found.truncate(k);
        }
        found.into_iter().map(|neighbor| neighbor.index).collect()
    }

    /// Compares the query with all points in a plain loop.
    fn scan(&self, query: &[f32], nearest: &mut Nearest) {
        let mut distances = vec![0.0; self.len()];
        squared_distances(query, &self.values, &mut distances);
        for (index, &distance) in distances.iter().enumerate() {
            nearest.offer(index, distance);
        }
    }
}

impl NearestNeighbors for KdTree {
    fn len(&self) -> usize {
        self.points().len()
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn query(&self, query: &[f32], k: usize) -> Result<Vec<Neighbor>, KnnError> {
        check_one(self, query, k)?;
        let mut nearest = Nearest::new(k);
        match &self.tree {
            Some(tree) if is_moderate(query) => {
                for index in self.candidates(tree.as_ref(), query, k) {
                    nearest.offer(index, squared_distance(query, self.points().row(index)));
                }
            }
            _ => self.scan(query, &mut nearest),
        }
        Ok(nearest.into_sorted())
    }
}

impl Insert for KdTree {
    fn insert(&mut self, points: Points<'_>) -> Result<(), KnnError> {
        check_dimension(self.dimension, points.dimension())?;
        let values = [&self.values, points.values()].concat();
        *self = Self::build(values, self.dimension)?;
        Ok(())
    }
}

fn is_moderate(values: &[f32]) -> bool {
    values.iter().all(|v| v.abs() <= LARGEST_COORDINATE)
}
