//! Search among projected points, with the best compared again by the true distance.

use rayon::prelude::*;

use crate::search::{check_dimension, check_many, check_one};
use crate::squared_distance;
use crate::{Insert, KnnError, Nearest, NearestNeighbors, Neighbor, Points, RandomProjection};

/// An index of projected points: a query is projected, the inner index gives the `rerank` nearest,
/// and these are ranked by the true distance.
///
/// The answer is approximate, as good as the projection and `rerank` make it; the distances given
/// are the true ones. With `rerank` at least the number of points and an exact inner index, so is
/// the answer exact.
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
    /// Projects the points and has `build` index them. `rerank` neighbors in the projection are
    /// compared by the true distance; `k` where that is more, and all points where there are fewer.
    ///
    /// # Errors
    ///
    /// If the projection is from another dimension, a point's projection overflows, or `build`
    /// fails.
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

    /// The index of the projected points.
    pub fn inner(&self) -> &I {
        &self.inner
    }

    fn points(&self) -> Points<'_> {
        Points::checked(&self.values, self.dimension())
    }

    /// How many neighbors the inner index is asked for.
    fn candidates(&self, k: usize) -> usize {
        self.rerank.max(k).min(self.len())
    }

    /// The `k` nearest of the candidates by the true distance.
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
