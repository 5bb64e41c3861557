//! Every index is compared with a plain loop, on points of many kinds.

mod dci;
mod errors;
mod exact;
mod insertion;
mod kd_tree;
mod point_sets;
mod projection;

use chimle_knn::{NearestNeighbors, Neighbor, Points, squared_distance};

/// Returns the answer of an exact index: all distances, sorted.
fn plain_loop(points: Points, query: &[f32], k: usize) -> Vec<Neighbor> {
    let mut all: Vec<Neighbor> = (points.rows().enumerate())
        .map(|(index, point)| Neighbor {
            index,
            distance: squared_distance(query, point),
        })
        .collect();
    // The sort is stable, so ties stay in the order of their indices.
    all.sort_by(|a, b| a.distance.partial_cmp(&b.distance).expect("no NaN"));
    all.truncate(k);
    all
}

/// Asserts that an index answers like the plain loop, to each query alone and to all together.
fn assert_equals_plain_loop(
    index: &impl NearestNeighbors,
    points: Points,
    queries: Points,
    what: &str,
) {
    for k in [1, 2, 7, points.len()] {
        let k = k.min(points.len());
        let expected: Vec<_> = queries
            .rows()
            .map(|query| plain_loop(points, query, k))
            .collect();
        let many = index.query_many(queries, k).unwrap();
        assert!(many == expected, "{what}: many queries, k = {k}");
        for (query, expected) in queries.rows().zip(&expected).take(5) {
            let one = index.query(query, k).unwrap();
            assert!(one == *expected, "{what}: one query, k = {k}");
        }
    }
}
