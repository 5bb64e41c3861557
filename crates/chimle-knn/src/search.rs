//! What every index can do.

use rayon::prelude::*;

use crate::{KnnError, Neighbor, Points};

/// An index of points that answers which of them are nearest to a query.
///
/// Answers are in ascending order of squared Euclidean distance, equal distances in ascending
/// order of index. Distances are those of [`squared_distance`](crate::squared_distance), to the
/// bit, in every structure; where one overflows f32 it is infinite and comes last.
pub trait NearestNeighbors: Sync {
    /// Number of points in the index.
    fn len(&self) -> usize;

    /// Whether the index has no points.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Coordinates of each point.
    fn dimension(&self) -> usize;

    /// The `k` points nearest to `query`, which has [`dimension`](Self::dimension) coordinates.
    ///
    /// # Errors
    ///
    /// If the index is empty, `k` is 0 or above the number of points, or the query has another
    /// dimension or a value that is not finite.
    fn query(&self, query: &[f32], k: usize) -> Result<Vec<Neighbor>, KnnError>;

    /// The `k` points nearest to each of `queries`, in the order of the queries, on all cores.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    fn query_many(&self, queries: Points<'_>, k: usize) -> Result<Vec<Vec<Neighbor>>, KnnError> {
        check_many(self, queries, k)?;
        let queries = queries.values().par_chunks_exact(self.dimension());
        queries.map(|query| self.query(query, k)).collect()
    }
}

/// An index to which points can be added.
pub trait Insert {
    /// Adds points behind those already there: the first is numbered by the former number of
    /// points.
    ///
    /// # Errors
    ///
    /// If they have another dimension than the index, or the structure cannot hold them; the index
    /// is then as it was.
    fn insert(&mut self, points: Points<'_>) -> Result<(), KnnError>;
}

pub(crate) fn check_dimension(expected: usize, found: usize) -> Result<(), KnnError> {
    if expected == found {
        Ok(())
    } else {
        Err(KnnError::Dimension { expected, found })
    }
}

/// Checks a query, and views it as a point.
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
