//! Random projection, alone and in front of an index.

use chimle_knn::{
    Exact, KdTree, KnnError, NearestNeighbors, Points, PrioritizedDci, PrioritizedDciConfig,
    Projected, RandomProjection,
};

use crate::{assert_equals_plain_loop, plain_loop, point_sets};

#[test]
fn directions_have_unit_length_and_come_from_the_seed() {
    let dimension = 50;
    let mut unit_vectors = vec![0.0; dimension * dimension];
    for i in 0..dimension {
        unit_vectors[i * dimension + i] = 1.0;
    }
    let unit_vectors = Points::new(&unit_vectors, dimension).unwrap();
    let directions = |seed| {
        let projection = RandomProjection::new(dimension, 7, seed).unwrap();
        projection.project(unit_vectors).unwrap()
    };
    let first = directions(1);
    for direction in 0..7 {
        let squares = first[direction..].iter().step_by(7).map(|v| v * v);
        let norm: f32 = squares.sum();
        assert!((norm - 1.0).abs() < 1e-5, "direction {direction}: {norm}");
    }
    assert_eq!(first, directions(1));
    assert_ne!(first, directions(2));
}

#[test]
fn distances_shrink_by_the_ratio_of_dimensions() {
    let values = point_sets::random(200, 400, 1);
    let projection = RandomProjection::new(400, 100, 0).unwrap();
    let projected = projection
        .project(Points::new(&values, 400).unwrap())
        .unwrap();
    let squares = |values: &[f32]| -> f64 { values.iter().map(|&v| f64::from(v * v)).sum() };
    let ratio = squares(&projected) / squares(&values);
    assert!((ratio - 0.25).abs() < 0.025, "{ratio}");
}

#[test]
fn equals_the_plain_loop_when_all_are_ranked_again() {
    let values = point_sets::clustered(300, 60, 4, 5, 1);
    let points = Points::new(&values, 60).unwrap();
    let queries = point_sets::random(20, 60, 2);
    let queries = Points::new(&queries, 60).unwrap();
    let projection = RandomProjection::new(60, 6, 0).unwrap();
    let tree = Projected::new(points, projection.clone(), 300, KdTree::new).unwrap();
    assert_equals_plain_loop(&tree, points, queries, "k-d tree");
    let exact = Projected::new(points, projection, 1000, |p| Ok(Exact::new(p))).unwrap();
    assert_equals_plain_loop(&exact, points, queries, "exact");
}

#[test]
fn finds_most_neighbors_by_ranking_a_few_again() {
    let values = point_sets::clustered(2200, 200, 10, 5, 1);
    let (points, queries) = values.split_at(2000 * 200);
    let points = Points::new(points, 200).unwrap();
    let queries = Points::new(queries, 200).unwrap();
    let projection = RandomProjection::new(200, 16, 0).unwrap();
    let build =
        |projected: Points| PrioritizedDci::new(projected, &PrioritizedDciConfig::default());
    let dci = Projected::new(points, projection.clone(), 50, build).unwrap();
    let tree = Projected::new(points, projection, 50, KdTree::new).unwrap();
    let recall = |answers: Vec<Vec<_>>| {
        let rows = queries.rows().zip(&answers);
        let found = rows.filter(|(query, found)| plain_loop(points, query, 1) == **found);
        found.count() as f64 / queries.len() as f64
    };
    let (dci, tree) = (
        dci.query_many(queries, 1).unwrap(),
        tree.query_many(queries, 1).unwrap(),
    );
    let (dci, tree) = (recall(dci), recall(tree));
    assert!(
        dci >= 0.9 && tree >= 0.9,
        "recall {dci} (DCI), {tree} (k-d tree)"
    );
}

#[test]
fn what_cannot_be_projected_is_an_error() {
    assert_eq!(RandomProjection::new(0, 3, 0), Err(KnnError::ZeroDimension));
    assert_eq!(RandomProjection::new(3, 0, 0), Err(KnnError::ZeroDimension));
    let projection = RandomProjection::new(3, 2, 0).unwrap();
    let flat = Points::new(&[0.0; 4], 2).unwrap();
    let expected = KnnError::Dimension {
        expected: 3,
        found: 2,
    };
    assert_eq!(projection.project(flat), Err(expected.clone()));
    let index = Projected::new(flat, projection, 5, |p| Ok(Exact::new(p)));
    assert_eq!(index.unwrap_err(), expected);

    let projection = RandomProjection::new(100, 50, 0).unwrap();
    let mut values = vec![0.0; 200];
    values[100..].fill(f32::MAX);
    let far = projection.project(Points::new(&values, 100).unwrap());
    assert_eq!(far, Err(KnnError::ProjectionOverflow { point: 1 }));
}
