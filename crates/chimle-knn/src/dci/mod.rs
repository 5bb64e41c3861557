//! Approximate search by Prioritized Dynamic Continuous Indexing.

mod composite;
mod config;
mod simple;

use rayon::prelude::*;

use crate::search::{check_dimension, check_one};
use crate::squared_distance;
use crate::{Insert, KnnError, Nearest, NearestNeighbors, Neighbor, Points, RandomProjection};

use composite::Budget;
pub use config::PrioritizedDciConfig;
use simple::SimpleIndex;

/// Approximate search by Prioritized DCI (Li and Malik, *Fast k-Nearest Neighbour Search via Prioritized
/// DCI*, ICML 2017, [arXiv 1703.00440](https://arxiv.org/abs/1703.00440)). Its cost grows with the
/// intrinsic dimension of the points rather than with the number of their coordinates.
///
/// A *simple index* is a list of all points in the order of their projections onto a random direction.
/// A *composite index* consists of several simple indices. For a query, each composite index visits the
/// entries of all its simple indices in the order of their projected distance from the query. A point
/// that was visited in all simple indices of a composite index is a candidate. The search stops when
/// the limit on visits or on candidates is reached (see [`PrioritizedDciConfig`]). The true distance is
/// then computed for the candidates of all composite indices.
///
/// Each composite index gives at least `k` candidates with any settings. If the settings allow all
/// points to be candidates, the answer is exact.
///
/// The index takes the memory of a copy of the points, plus eight bytes per point and simple index.
/// During queries, each thread takes four bytes per point.
///
/// # Examples
///
/// ```
/// use chimle_knn::{NearestNeighbors, Points, PrioritizedDci, PrioritizedDciConfig};
///
/// # fn main() -> Result<(), chimle_knn::KnnError> {
/// let values: Vec<f32> = (0..100 * 30).map(|i| (i * i % 101) as f32).collect();
/// let points = Points::new(&values, 30)?;
/// let index = PrioritizedDci::new(points, &PrioritizedDciConfig::default())?;
/// assert_eq!(index.query(points.row(42), 1)?[0].index, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PrioritizedDci {
    config: PrioritizedDciConfig,
    projection: RandomProjection,
    values: Vec<f32>,
    /// All simple indices, starting with those of the first composite index.
    simple: Vec<SimpleIndex>,
}

/// The work that a query of a [`PrioritizedDci`] took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// The number of visits. A point is counted once for each simple index in which it was visited.
    pub visited: usize,
    /// The number of true distances computed.
    pub distances: usize,
}

impl PrioritizedDci {
    /// Builds an index of points on all cores. `points` may be empty.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range, there are 2^32 points or more, or a point is so far from the
    /// origin that its projections overflow.
    pub fn new(points: Points<'_>, config: &PrioritizedDciConfig) -> Result<Self, KnnError> {
        config.validate()?;
        let directions = config.composite * config.simple;
        let mut index = Self {
            config: config.clone(),
            projection: RandomProjection::new(points.dimension(), directions, config.seed)?,
            values: Vec::new(),
            simple: vec![SimpleIndex::default(); directions],
        };
        index.insert(points)?;
        Ok(index)
    }

    /// Returns the settings of the index.
    pub fn config(&self) -> &PrioritizedDciConfig {
        &self.config
    }

    /// Answers a query as [`query`](NearestNeighbors::query) does, and also returns the work of the
    /// search.
    ///
    /// # Errors
    ///
    /// The errors of [`query`](NearestNeighbors::query), and [`KnnError::ProjectionOverflow`] if the
    /// query's projections overflow.
    pub fn query_with_effort(
        &self,
        query: &[f32],
        k: usize,
    ) -> Result<(Vec<Neighbor>, Effort), KnnError> {
        let point = check_one(self, query, k)?;
        let targets = self.projection.project(point)?;
        let config = &self.config;
        let n = self.len();
        let budget = Budget {
            visited: config
                .visited
                .unwrap_or_else(|| config.default_visited(n, k)),
            retrieved: config
                .retrieved
                .unwrap_or_else(|| config.default_retrieved(n, k)),
            least: k,
        };

        let mut candidates = Vec::with_capacity(config.composite * budget.retrieved.max(k).min(n));
        let composites = self.simple.chunks_exact(config.simple);
        let visited = composites
            .zip(targets.chunks_exact(config.simple))
            .map(|(simple, targets)| {
                composite::search(simple, targets, n, &budget, &mut candidates)
            })
            .sum();
        candidates.sort_unstable();
        candidates.dedup();

        let mut nearest = Nearest::new(k);
        for &candidate in &candidates {
            let index = candidate as usize;
            nearest.offer(index, squared_distance(query, self.points().row(index)));
        }
        let effort = Effort {
            visited,
            distances: candidates.len(),
        };
        Ok((nearest.into_sorted(), effort))
    }

    fn points(&self) -> Points<'_> {
        Points::checked(&self.values, self.dimension())
    }
}

impl NearestNeighbors for PrioritizedDci {
    fn len(&self) -> usize {
        self.points().len()
    }

    fn dimension(&self) -> usize {
        self.projection.from_dimension()
    }

    fn query(&self, query: &[f32], k: usize) -> Result<Vec<Neighbor>, KnnError> {
        Ok(self.query_with_effort(query, k)?.0)
    }
}

impl Insert for PrioritizedDci {
    /// Merges the points into each list. This takes a sort of the new points and one pass over the list.
    fn insert(&mut self, points: Points<'_>) -> Result<(), KnnError> {
        check_dimension(self.dimension(), points.dimension())?;
        let first = self.len();
        let total = first + points.len();
        let limit = u32::MAX as usize;
        let (Ok(first), true) = (u32::try_from(first), total <= limit) else {
            return Err(KnnError::TooManyPoints {
                points: total,
                limit,
            });
        };
        let projected = self.projection.project(points)?;
        let directions = self.simple.len();
        self.simple
            .par_iter_mut()
            .enumerate()
            .for_each(|(at, simple)| {
                let projections = projected.iter().skip(at).step_by(directions);
                simple.insert(first, projections.copied());
            });
        self.values.extend_from_slice(points.values());
        Ok(())
    }
}
