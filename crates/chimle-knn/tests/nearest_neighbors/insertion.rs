//! Points are added to an index.

use chimle_knn::{
    Exact, Insert, KdTree, KnnError, NearestNeighbors, Points, PrioritizedDci,
    PrioritizedDciConfig, Projected, RandomProjection,
};

use crate::{assert_equals_plain_loop, point_sets};

const DIMENSION: usize = 9;

/// Adds points in parts to an empty index, and compares it with an index of all points. The last part is
/// far from the others.
fn assert_equals_rebuilding<I, F>(build: F) -> I
where
    I: NearestNeighbors + Insert,
    F: Fn(Points) -> Result<I, KnnError>,
{
    let mut values = point_sets::random(900, DIMENSION, 1);
    values[600 * DIMENSION..]
        .iter_mut()
        .for_each(|v| *v += 50.0);
    let points = Points::new(&values, DIMENSION).unwrap();
    let queries = [
        point_sets::random(40, DIMENSION, 2),
        values[..DIMENSION].to_vec(),
    ]
    .concat();
    let queries = Points::new(&queries, DIMENSION).unwrap();

    let mut index = build(Points::new(&[], DIMENSION).unwrap()).unwrap();
    assert!(index.is_empty());
    let mut start = 0;
    for end in [1, 2, 2, 300, 600, 900] {
        let part = &values[start * DIMENSION..end * DIMENSION];
        index.insert(Points::new(part, DIMENSION).unwrap()).unwrap();
        assert_eq!(index.len(), end);
        start = end;
    }
    let rebuilt = build(points).unwrap();
    for k in [1, 6] {
        let expected = rebuilt.query_many(queries, k).unwrap();
        assert_eq!(index.query_many(queries, k).unwrap(), expected);
    }

    let other = Points::new(&[0.0; 8], 8).unwrap();
    let expected = KnnError::Dimension {
        expected: DIMENSION,
        found: 8,
    };
    assert_eq!(index.insert(other), Err(expected));
    assert_eq!(index.len(), 900);
    index
}

#[test]
fn exact() {
    let index = assert_equals_rebuilding(|points| Ok(Exact::new(points)));
    let queries = point_sets::random(40, DIMENSION, 3);
    let queries = Points::new(&queries, DIMENSION).unwrap();
    assert_equals_plain_loop(&index, index.points(), queries, "after insertion");
}

#[test]
fn kd_tree() {
    assert_equals_rebuilding(KdTree::new);
}

#[test]
fn prioritized_dci() {
    let config = PrioritizedDciConfig {
        retrieved: Some(10),
        ..Default::default()
    };
    assert_equals_rebuilding(|points| PrioritizedDci::new(points, &config));
}

#[test]
fn projected() {
    assert_equals_rebuilding(|points| {
        let projection = RandomProjection::new(DIMENSION, 3, 0)?;
        Projected::new(points, projection, 5, |points| Ok(Exact::new(points)))
    });
}

#[test]
fn a_point_that_cannot_be_projected_leaves_the_index_as_it_was() {
    let values = point_sets::random(20, 100, 1);
    let points = Points::new(&values, 100).unwrap();
    let mut index = PrioritizedDci::new(points, &PrioritizedDciConfig::default()).unwrap();
    let before = index.query(points.row(4), 20).unwrap();
    let far = [f32::MAX; 100];
    let error = index.insert(Points::new(&far, 100).unwrap());
    assert_eq!(error, Err(KnnError::ProjectionOverflow { point: 0 }));
    assert_eq!(index.query(points.row(4), 20).unwrap(), before);
}
