//! Sets of points, and the exact answers.

use chimle_knn::{Exact, NearestNeighbors, Points};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::case::{Case, QUERIES};

/// Points, queries from the same distribution, and the nearest point of each query.
pub struct Data {
    pub case: Case,
    points: Vec<f32>,
    queries: Vec<f32>,
    nearest: Vec<usize>,
}

impl Data {
    pub fn new(case: Case) -> Self {
        let mut points = draw(case);
        let queries = points.split_off(case.n * case.d);
        let mut data = Self {
            case,
            points,
            queries,
            nearest: Vec::new(),
        };
        let answers = Exact::new(data.points()).query_many(data.queries(), 1);
        let answers = answers.expect("the queries fit the points");
        data.nearest = answers.iter().map(|nearest| nearest[0].index).collect();
        data
    }

    pub fn points(&self) -> Points<'_> {
        Points::new(&self.points, self.case.d).expect("values are finite")
    }

    pub fn queries(&self) -> Points<'_> {
        Points::new(&self.queries, self.case.d).expect("values are finite")
    }

    /// Returns the share of the first queries for which `answer` returns the nearest point.
    pub fn recall(&self, answer: impl Fn(&[f32]) -> usize) -> f64 {
        const FIRST: usize = 200;
        let rows = self.queries().rows().zip(&self.nearest).take(FIRST);
        rows.filter(|(query, nearest)| answer(query) == **nearest)
            .count() as f64
            / FIRST as f64
    }
}

/// Draws the points and then the queries. There are twenty clusters. Each is a Gaussian in a random
/// subspace of the intrinsic dimension, with 5 % of noise in all coordinates.
fn draw(case: Case) -> Vec<f32> {
    const CLUSTERS: usize = 20;
    let Case { d, intrinsic, n } = case;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut gaussian = |count: usize| -> Vec<f32> {
        StandardNormal
            .sample_iter(&mut random)
            .take(count)
            .collect()
    };
    let centers = gaussian(CLUSTERS * d);
    let bases = gaussian(CLUSTERS * intrinsic * d);
    let scale = 1.0 / (intrinsic as f32).sqrt();
    let mut values = Vec::with_capacity((n + QUERIES) * d);
    for _ in 0..n + QUERIES {
        let cluster = random.random_range(0..CLUSTERS);
        let start = values.len();
        for center in &centers[cluster * d..][..d] {
            let noise: f32 = StandardNormal.sample(&mut random);
            values.push(center + 0.05 * noise);
        }
        for basis in bases[cluster * intrinsic * d..][..intrinsic * d].chunks_exact(d) {
            let along: f32 = StandardNormal.sample(&mut random);
            for (value, basis) in values[start..].iter_mut().zip(basis) {
                *value += scale * along * basis;
            }
        }
    }
    values
}
