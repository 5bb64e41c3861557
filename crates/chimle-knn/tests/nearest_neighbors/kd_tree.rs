//! The k-d tree.

use chimle_knn::{KdTree, KnnError, Points};

use crate::{assert_equals_plain_loop, point_sets};

#[test]
fn equals_the_plain_loop() {
    for dimension in 1..=KdTree::MAX_DIMENSION {
        for set in point_sets::of_dimension(400, dimension) {
            let points = Points::new(&set.points, dimension).unwrap();
            let queries = Points::new(&set.queries, dimension).unwrap();
            let index = KdTree::new(points).unwrap();
            assert_equals_plain_loop(&index, points, queries, &set.name);
        }
    }
}

#[test]
fn refuses_high_dimensions() {
    let points = [0.0; 34];
    let error = KdTree::new(Points::new(&points, 17).unwrap()).unwrap_err();
    let expected = KnnError::DimensionTooHigh {
        dimension: 17,
        limit: 16,
    };
    assert_eq!(error, expected);
}
