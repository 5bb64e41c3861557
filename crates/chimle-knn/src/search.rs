//! The traits of an index.

use rayon::prelude::*;

use crate::{KnnError, Neighbor, Points};

/// An index that finds the points nearest to a query.
///
/// Neighbors are in ascending order of squared Euclidean distance, and in ascending order of index if
/// their distances are equal. Every index returns the distances of
/// [`squared_distance`](crate::squared_distance), equal to the last bit. A distance that overflows f32 is
/// infinite and comes last.
///
/// # Examples
///
/// ```
/// use chimle_knn::{Exact, KdTree, NearestNeighbors, Points};
///
/// # fn main() -> Result<(), chimle_knn::KnnError> {
/// let points = Points::new(&[0.0, 0.0, 3.0, 4.0], 2)?;
/// let indices: [Box<dyn NearestNeighbors>; 2] =
///     [Box::new(Exact::new(points)), Box::new(KdTree::new(points)?)];
/// for index in indices {
///     let nearest = index.query(&[0.0, 1.0], 2)?;
///     assert_eq!((nearest[0].distance, nearest[1].distance), (1.0, 18.0));
/// }
/// # Ok(())
/// # }
/// ```
pub trait NearestNeighbors: Sync {
    /// Returns the number of points in the index.
    fn len(&self) -> usize;

    /// Returns whether the index has no points.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of coordinates of each point.
    fn dimension(&self) -> usize;

    /// Finds the `k` points nearest to `query`, which has [`dimension`](Self::dimension) coordinates.
    ///
    /// # Errors
    ///
    /// If the index is empty, `k` is 0 or above the number of points, the query has a different
    /// dimension, or one of its values is not finite.
    fn query(&self, query: &[f32], k: usize) -> Result<Vec<Neighbor>, KnnError>;

    /// Finds the `k` points nearest to each of `queries`, in the order of the queries, on all cores.
    ///
    /// # Errors
    ///
    /// The errors of [`query`](Self::query).
    fn query_many(&self, queries: Points<'_>, k: usize) -> Result<Vec<Vec<Neighbor>>, KnnError> {
        check_many(self, queries, k)?;
        let queries = queries.values().par_chunks_exact(self.dimension());
        queries.map(|query| self.query(query, k)).collect()
    }
}

/// An index to which points can be added.
///
/// # Examples
///
/// ```
/// use chimle_knn::{Exact, Insert, NearestNeighbors, Points};
///
/// # fn main() -> Result<(), chimle_knn::KnnError> {
/// let mut index = Exact::new(Points::new(&[0.0, 1.0], 1)?);
/// index.insert(Points::new(&[5.0], 1)?)?;
/// assert_eq!(index.query(&[4.0], 1)?[0].index, 2);
/// # Ok(())
/// # }
/// ```
pub trait Insert {
    /// Adds points after the existing ones. The index of the first added point is the previous number of
    /// points.
    ///
    /// # Errors
    ///
    /// If the points have a different dimension than the index, or the index cannot hold them. The index
    /// is then unchanged.
    fn insert(&mut self, points: Points<'_>) -> Result<(), KnnError>;
}

pub(crate) fn check_dimension(expected: usize, found: usize) -> Result<(), KnnError> {
    if expected == found {
        Ok(())
    } else {
        Err(KnnError::Dimension { expected, found })
    }
}

/// Checks a query and returns a view of it as one point.
pub(crate) fn check_one<'q>(
    index: &(impl NearestNeighbors + ?Sized),
    query: &'q [f32],
    k: usize,
) -> Result<Points<'q>, KnnError> {
    check_dimension(index.dimension(), query.len())?;
    let query = Points::new(query, index.dimension())?;
    check_many(index, query, k)?;
    Ok(query)
}

pub(crate) fn check_many(
    index: &(impl NearestNeighbors + ?Sized),
    queries: Points<'_>,
    k: usize,
) -> Result<(), KnnError> {
    check_dimension(index.dimension(), queries.dimension())?;
    let points = index.len();
    if points == 0 {
        return Err(KnnError::Empty);
    }
    if k == 0 || k > points {
        return Err(KnnError::NeighborCount { k, points });
    }
    Ok(())
}
