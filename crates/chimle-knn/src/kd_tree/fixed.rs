//! A trait that all of kiddo's trees implement. The dimension of such a tree is a constant of its type.
//! With the trait, the dimension can be chosen at run time.

use std::fmt::Debug;
use std::num::NonZero;
use std::sync::Arc;

use kiddo::{ImmutableKdTree, SquaredEuclidean};

use crate::{KnnError, Neighbor, Points};

/// A tree over at least one point.
///
/// The tree's own distances are rounded differently from those of
/// [`squared_distance`](crate::squared_distance).
pub(super) trait Tree: Debug + Send + Sync {
    /// Finds the `count` nearest points, or all points if there are fewer, in ascending order of the
    /// tree's own distances.
    fn nearest(&self, query: &[f32], count: usize) -> Vec<Neighbor>;

    /// Finds all points whose squared distance by the tree is at most `reach`, in any order.
    fn within(&self, query: &[f32], reach: f32) -> Vec<usize>;
}

impl<const D: usize> Tree for ImmutableKdTree<f32, D> {
    fn nearest(&self, query: &[f32], count: usize) -> Vec<Neighbor> {
        let Some(count) = NonZero::new(count) else {
            return Vec::new();
        };
        let (query, _) = query.as_chunks::<D>();
        self.query(&query[0])
            .nearest_n::<SquaredEuclidean<f32>>(count)
            .execute()
            .into_iter()
            .map(|found| Neighbor {
                index: found.item as usize,
                distance: found.distance,
            })
            .collect()
    }

    fn within(&self, query: &[f32], reach: f32) -> Vec<usize> {
        let (query, _) = query.as_chunks::<D>();
        self.query(&query[0])
            .within::<SquaredEuclidean<f32>>(reach)
            .unsorted()
            .execute()
            .into_iter()
            .map(|found| found.item as usize)
            .collect()
    }
}

/// Builds a tree for the dimension of the points.
pub(super) fn build(points: Points<'_>) -> Result<Arc<dyn Tree>, KnnError> {
    macro_rules! by_dimension {
        ($($dimension:literal)*) => {
            match points.dimension() {
                $($dimension => of::<$dimension>(points),)*
                dimension => Err(KnnError::DimensionTooHigh {
                    dimension,
                    limit: super::KdTree::MAX_DIMENSION,
                }),
            }
        };
    }
    by_dimension!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

fn of<const D: usize>(points: Points<'_>) -> Result<Arc<dyn Tree>, KnnError> {
    let (rows, _) = points.values().as_chunks::<D>();
    match ImmutableKdTree::<f32, D>::new_from_slice(rows) {
        Ok(tree) => Ok(Arc::new(tree)),
        // No other cause is possible: the coordinates are finite, and leaves may have any size.
        Err(_) => Err(KnnError::TooManyPoints {
            points: points.len(),
            limit: u32::MAX as usize,
        }),
    }
}
