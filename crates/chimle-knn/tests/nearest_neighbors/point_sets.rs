//! Points of many kinds, each from a fixed seed.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// The row-major values of `n x dimension` points and of some queries.
pub struct PointSet {
    pub name: String,
    pub points: Vec<f32>,
    pub queries: Vec<f32>,
}

fn normal(random: &mut ChaCha8Rng) -> f32 {
    StandardNormal.sample(random)
}

pub fn random(n: usize, dimension: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..n * dimension).map(|_| normal(&mut random)).collect()
}

/// Draws points in clusters. Each cluster is a Gaussian in a random subspace of `intrinsic` dimensions,
/// with 5% of noise in all coordinates.
pub fn clustered(
    n: usize,
    dimension: usize,
    clusters: usize,
    intrinsic: usize,
    seed: u64,
) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut gaussian =
        |count: usize| -> Vec<f32> { (0..count).map(|_| normal(&mut random)).collect() };
    let centers = gaussian(clusters * dimension);
    let bases = gaussian(clusters * intrinsic * dimension);
    let scale = 1.0 / (intrinsic as f32).sqrt();
    let mut values = Vec::with_capacity(n * dimension);
    for _ in 0..n {
        let cluster = random.random_range(0..clusters);
        let mut point = centers[cluster * dimension..][..dimension].to_vec();
        for direction in 0..intrinsic {
            let along = scale * normal(&mut random);
            let basis = &bases[(cluster * intrinsic + direction) * dimension..][..dimension];
            for (value, basis) in point.iter_mut().zip(basis) {
                *value += along * basis;
            }
        }
        values.extend(point.iter().map(|value| value + 0.05 * normal(&mut random)));
    }
    values
}

/// Returns sets of at most `n` points in `dimension` dimensions. One of them has more queries than one
/// matrix product takes.
pub fn of_dimension(n: usize, dimension: usize) -> Vec<PointSet> {
    let seed = dimension as u64;
    let queries = random(20, dimension, seed + 1);
    let plain = random(n, dimension, seed);
    let named = |name: &str, points: Vec<f32>, queries: &[f32]| PointSet {
        name: format!("{name}, d = {dimension}"),
        points,
        queries: queries.to_vec(),
    };
    let map = |values: &[f32], f: &dyn Fn(f32) -> f32| values.iter().map(|&v| f(v)).collect();
    let both = |name: &str, f: &dyn Fn(f32) -> f32| PointSet {
        name: format!("{name}, d = {dimension}"),
        points: map(&plain, f),
        queries: map(&queries, f),
    };
    let first = &plain[..dimension];
    let clusters = clustered(n + 20, dimension, 5, dimension.min(3), seed + 2);
    let (clusters, cluster_queries) = clusters.split_at(n * dimension);
    let mut outlier = plain.clone();
    outlier[dimension * (n / 2)] = 3e38;
    vec![
        named("random", plain.clone(), &queries),
        named(
            "random, many queries",
            plain.clone(),
            &random(300, dimension, seed + 3),
        ),
        named("clustered", clusters.to_vec(), cluster_queries),
        named(
            "queries among the points",
            plain.clone(),
            &plain[..12 * dimension],
        ),
        named(
            "duplicated",
            plain[..n / 4 * dimension].repeat(3),
            &plain[..9 * dimension],
        ),
        named("all equal", first.repeat(n), &queries),
        named("all equal to the query", first.repeat(n), &first.repeat(10)),
        named("one point", first.to_vec(), &queries),
        named("one far outlier", outlier, &queries),
        both("few values", &|v| v.round()),
        both("far from the origin", &|v| 1e6 + v),
        both("close together far away", &|v| 3e4 + 1e-3 * v),
        both("tiny", &|v| 1e-22 * v),
        both("subnormal", &|v| 1e-42 * v),
        both("large", &|v| 1e17 * v),
        both("squares overflow", &|v| 1e19 * v),
        both("all distances overflow", &|v| 1e38 * v.clamp(-3.0, 3.0)),
    ]
}
