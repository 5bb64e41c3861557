//! Invalid input gives an error that says what is wrong.

use chimle_knn::{
    Exact, KdTree, KnnError, NearestNeighbors, Points, PrioritizedDci, PrioritizedDciConfig,
    Projected, RandomProjection,
};

/// Builds one index of each kind.
fn indices(points: Points) -> Vec<(&'static str, Box<dyn NearestNeighbors>)> {
    let projection = RandomProjection::new(points.dimension(), 2, 0).unwrap();
    let projected = Projected::new(points, projection, 4, |points| Ok(Exact::new(points)));
    let dci = PrioritizedDci::new(points, &PrioritizedDciConfig::default());
    vec![
        ("exact", Box::new(Exact::new(points))),
        ("k-d tree", Box::new(KdTree::new(points).unwrap())),
        ("DCI", Box::new(dci.unwrap())),
        ("projected", Box::new(projected.unwrap())),
    ]
}

#[test]
fn points_must_be_whole_and_finite() {
    assert_eq!(Points::new(&[1.0], 0), Err(KnnError::ZeroDimension));
    let ragged = KnnError::Ragged {
        values: 5,
        dimension: 2,
    };
    assert_eq!(Points::new(&[0.0; 5], 2), Err(ragged));
    for (at, value) in [
        (0, f32::INFINITY),
        (301, f32::NEG_INFINITY),
        (599, f32::NAN),
    ] {
        let mut values = [0.0; 600];
        values[at] = value;
        match Points::new(&values, 3) {
            Err(KnnError::NonFinite {
                point, coordinate, ..
            }) => assert_eq!((point, coordinate), (at / 3, at % 3)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn queries_must_fit_the_index() {
    let values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    for (name, index) in indices(Points::new(&values, 3).unwrap()) {
        let wrong = KnnError::Dimension {
            expected: 3,
            found: 2,
        };
        assert_eq!(index.query(&[0.0; 2], 1), Err(wrong.clone()), "{name}");
        let flat = Points::new(&[0.0; 8], 2).unwrap();
        assert_eq!(index.query_many(flat, 1), Err(wrong), "{name}");
        match index.query(&[0.0, f32::NAN, 0.0], 1) {
            Err(KnnError::NonFinite {
                point: 0,
                coordinate: 1,
                ..
            }) => {}
            other => panic!("{name}: {other:?}"),
        }
        for k in [0, 3, usize::MAX] {
            let wrong = KnnError::NeighborCount { k, points: 2 };
            assert_eq!(index.query(&[0.0; 3], k), Err(wrong.clone()), "{name}");
            let queries = Points::new(&[0.0; 30], 3).unwrap();
            assert_eq!(index.query_many(queries, k), Err(wrong), "{name}");
        }
    }
}

#[test]
fn an_empty_index_can_be_built_but_not_asked() {
    for (name, index) in indices(Points::new(&[], 3).unwrap()) {
        assert_eq!((index.len(), index.dimension()), (0, 3), "{name}");
        assert_eq!(index.query(&[0.0; 3], 1), Err(KnnError::Empty), "{name}");
        let queries = Points::new(&[0.0; 30], 3).unwrap();
        assert_eq!(index.query_many(queries, 1), Err(KnnError::Empty), "{name}");
    }
}

#[test]
fn messages_say_what_is_wrong() {
    let error = Points::new(&[0.0, f32::NAN], 2).unwrap_err();
    assert_eq!(
        error.to_string(),
        "coordinate 1 of point 0 is NaN, which is not finite"
    );
    let error = KnnError::NeighborCount { k: 7, points: 3 };
    assert_eq!(
        error.to_string(),
        "7 neighbors were requested from an index of 3 points"
    );
}
