//! The structures, and the cases for which each is measured.

use chimle_knn::{
    Exact, KdTree, NearestNeighbors, Points, PrioritizedDci, PrioritizedDciConfig, Projected,
    RandomProjection,
};
use hnsw_rs::prelude::{DistL2, Hnsw};

use crate::case::Case;
use crate::points::Data;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structure {
    Exact,
    KdTree,
    PrioritizedDci,
    /// An exact search along 32 random directions, whose best 100 points are ranked by their true
    /// distance.
    Projected,
    Hnsw,
}

impl Structure {
    pub const ALL: [Self; 5] = [
        Self::Exact,
        Self::KdTree,
        Self::PrioritizedDci,
        Self::Projected,
        Self::Hnsw,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "Exact",
            Self::KdTree => "KdTree",
            Self::PrioritizedDci => "PrioritizedDci",
            Self::Projected => "Projected (32, exact)",
            Self::Hnsw => "HNSW (hnsw_rs)",
        }
    }

    /// Returns whether the structure suits the points, and is built within a minute.
    pub fn suits(self, case: Case) -> bool {
        match self {
            Self::Exact => true,
            Self::KdTree => case.d <= KdTree::MAX_DIMENSION,
            Self::PrioritizedDci => case.d > 3 && case.n <= 100_000,
            Self::Projected => case.d >= 100,
            Self::Hnsw => case.n <= 100_000 && case.n * case.d <= 10_000_000,
        }
    }

    /// Returns whether ten builds are fast enough to be measured. Otherwise the time of a single
    /// build is recorded.
    pub fn builds_quickly(self, case: Case) -> bool {
        match self {
            Self::Hnsw => case.n <= 1000,
            _ => case.n * case.d <= 10_000_000,
        }
    }

    /// Returns whether ten times a thousand queries are fast enough to be measured.
    pub fn answers_many_quickly(self, case: Case) -> bool {
        match self {
            Self::KdTree => case.d <= 3 || case.n <= 100_000,
            Self::PrioritizedDci => case.n <= 1000 || case.n <= 10_000 && case.intrinsic <= 5,
            _ => true,
        }
    }

    pub fn build(self, data: &Data) -> Index<'_> {
        let points = data.points();
        Index::Ours(match self {
            Self::Exact => Box::new(Exact::new(points)),
            Self::KdTree => Box::new(KdTree::new(points).expect("the dimension is low")),
            Self::PrioritizedDci => {
                let config = PrioritizedDciConfig {
                    intrinsic_dimension: data.case.intrinsic as f64,
                    ..Default::default()
                };
                Box::new(PrioritizedDci::new(points, &config).expect("the settings are valid"))
            }
            Self::Projected => {
                let build = |points: Points| Ok(Exact::new(points));
                let projected = RandomProjection::new(data.case.d, 32, 0)
                    .and_then(|projection| Projected::new(points, projection, 100, build));
                Box::new(projected.expect("the points are near the origin"))
            }
            Self::Hnsw => return Index::Hnsw(Box::new(hnsw(points))),
        })
    }
}

/// A built index.
pub enum Index<'a> {
    Ours(Box<dyn NearestNeighbors + 'a>),
    Hnsw(Box<Hnsw<'a, f32, DistL2>>),
}

/// The number of links per point. The lowest layer has twice as many.
const LINKS: usize = 16;
/// The numbers of candidates kept while a point is inserted, and while a query is answered.
const EF_CONSTRUCTION: usize = 100;
const EF_SEARCH: usize = 64;

fn hnsw(points: Points<'_>) -> Hnsw<'_, f32, DistL2> {
    let index = Hnsw::new(LINKS, points.len(), 16, EF_CONSTRUCTION, DistL2 {});
    let rows: Vec<(&[f32], usize)> = points.rows().zip(0..).collect();
    index.parallel_insert_slice(&rows);
    index
}

impl Index<'_> {
    /// Returns the index of the nearest point that the structure finds.
    pub fn nearest(&self, query: &[f32]) -> usize {
        match self {
            Self::Ours(index) => index.query(query, 1).expect("the query fits")[0].index,
            Self::Hnsw(index) => {
                let found = index.search(query, 1, EF_SEARCH);
                found.first().map_or(usize::MAX, |nearest| nearest.d_id)
            }
        }
    }

    /// Answers all queries on all cores.
    pub fn nearest_many(&self, queries: Points<'_>) {
        match self {
            Self::Ours(index) => {
                std::hint::black_box(index.query_many(queries, 1).expect("the queries fit"));
            }
            Self::Hnsw(index) => {
                let rows: Vec<Vec<f32>> = queries.rows().map(<[f32]>::to_vec).collect();
                std::hint::black_box(index.parallel_search(&rows, 1, EF_SEARCH));
            }
        }
    }
}
