//! Search among projected points, followed by a ranking of the best candidates by their true distance.

use rayon::prelude::*;

use crate::search::{check_dimension, check_many, check_one};
use crate::squared_distance;
use crate::{Insert, KnnError, Nearest, NearestNeighbors, Neighbor, Points, RandomProjection};

/// An index of projected points. A query is projected, the inner index finds its `rerank` nearest
/// candidates, and these are ranked by their true distance.
///
/// The answer is approximate, and its quality depends on the projection and on `rerank`. The returned
/// distances are the true ones. If the inner index is exact and `rerank` is at least the number of
/// points, the answer is exact.
///
/// # Examples
///
/// ```
/// use chimle_knn::{Exact, NearestNeighbors, Points, Projected, RandomProjection};
///
/// # fn main() -> Result<(), chimle_knn::KnnError> {
/// let values: Vec<f32> = (0..50 * 40).map(|i| (i * i % 97) as f32).collect();
/// let points = Points::new(&values, 40)?;
/// let projection = RandomProjection::new(40, 8, 0)?;
/// let index = Projected::new(points, projection, 10, |projected| Ok(Exact::new(projected)))?;
/// assert_eq!(index.query(points.row(7), 1)?[0].index, 7);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Projected<I> {
    values: Vec<f32>,
    projection: RandomProjection,
    rerank: usize,
    inner: I,
}

impl<I: NearestNeighbors> Projected<I> {
    /// Projects the points and calls `build` to index the projected points.
    ///
    /// For each query, `rerank` candidates are ranked by their true distance. If `k` is larger than
    /// `rerank`, there are `k` candidates. There are never more candidates than points.
    ///
    /// # Errors
    ///
    /// If the projection and the points differ in dimension, the projection of a point overflows, or
    /// `build` fails.
    pub fn new(
        points: Points<'_>,
        projection: RandomProjection,
        rerank: usize,
        build: impl FnOnce(Points<'_>) -> Result<I, KnnError>,
    ) -> Result<Self, KnnError> {
        let projected = projection.project(points)?;
        let inner = build(Points::checked(&projected, projection.to_dimension()))?;
        Ok(Self {
            values: points.values().to_vec(),
            projection,
            rerank,
            inner,
        })
    }

    /// Returns the index of the projected points.
    pub fn inner(&self) -> &I {
        &self.inner
    }

    fn points(&self) -> Points<'_> {
        Points::checked(&self.values, self.dimension())
    }

    /// Returns the number of candidates that the inner index is queried for.
    fn candidates(&self, k: usize) -> usize {
        self.rerank.max(k).min(self.len())
    }

    /// Returns the `k` nearest candidates by the true distance.
    fn rank(&self, query: &[f32], candidates: &[Neighbor], k: usize) -> Vec<Neighbor> {
        let mut nearest = Nearest::new(k);
        for &Neighbor { index, .. } in candidates {
            nearest.offer(index, squared_distance(query, self.points().row(index)));
        }
        nearest.into_sorted()
    }
}

impl<I: NearestNeighbors> NearestNeighbors for Projected<I> {
    fn len(&self) -> usize {
        self.points().len()
    }

    fn dimension(&self) -> usize {
        self.projection.from_dimension()
    }

    fn query(&self, query: &[f32], k: usize) -> Result<Vec<Neighbor>, KnnError> {
        let point = check_one(self, query, k)?;
        let projected = self.projection.project(point)?;
        let candidates = self.inner.query(&projected, self.candidates(k))?;
        Ok(self.rank(query, &candidates, k))
    }

    fn query_many(&self, queries: Points<'_>, k: usize) -> Result<Vec<Vec<Neighbor>>, KnnError> {
        check_many(self, queries, k)?;
        let projected = self.projection.project(queries)?;
        let projected = Points::checked(&projected, self.projection.to_dimension());
        let candidates = self.inner.query_many(projected, self.candidates(k))?;
        let ranked = candidates.par_iter().enumerate();
        Ok(ranked
            .map(|(query, candidates)| self.rank(queries.row(query), candidates, k))
            .collect())
    }
}

impl<I: NearestNeighbors + Insert> Insert for Projected<I> {
    fn insert(&mut self, points: Points<'_>) -> Result<(), KnnError> {
        check_dimension(self.dimension(), points.dimension())?;
        let projected = self.projection.project(points)?;
        let to = self.projection.to_dimension();
        self.inner.insert(Points::checked(&projected, to))?;
        self.values.extend_from_slice(points.values());
        Ok(())
    }
}
