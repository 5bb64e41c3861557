//! Prioritized DCI.

use chimle_knn::{KnnError, NearestNeighbors, Points, PrioritizedDci, PrioritizedDciConfig};

use crate::{assert_equals_plain_loop, plain_loop, point_sets};

#[test]
fn equals_the_plain_loop_with_a_budget_of_the_whole_set() {
    let config = PrioritizedDciConfig {
        composite: 1,
        simple: 4,
        visited: Some(usize::MAX),
        retrieved: Some(usize::MAX),
        ..Default::default()
    };
    for dimension in [1, 3, 40] {
        for set in point_sets::of_dimension(150, dimension) {
            let points = Points::new(&set.points, dimension).unwrap();
            let queries = Points::new(&set.queries, dimension).unwrap();
            match PrioritizedDci::new(points, &config) {
                Ok(index) => assert_equals_plain_loop(&index, points, queries, &set.name),
                Err(KnnError::ProjectionOverflow { .. }) if set.name.contains("overflow") => {}
                Err(error) => panic!("{}: {error}", set.name),
            }
        }
    }
}

#[test]
fn finds_the_nearest_of_clustered_points_with_a_fifth_of_the_distances() {
    let (n, dimension, queries) = (10_000, 1000, 100);
    for clusters in [1, 20] {
        let values = point_sets::clustered(n + queries, dimension, clusters, 20, 7);
        let (points, queries) = values.split_at(n * dimension);
        let points = Points::new(points, dimension).unwrap();
        let queries = Points::new(queries, dimension).unwrap();
        let index = PrioritizedDci::new(points, &PrioritizedDciConfig::default()).unwrap();
        let mut found = 0;
        for query in queries.rows() {
            let (nearest, effort) = index.query_with_effort(query, 1).unwrap();
            assert!(effort.distances <= n / 5, "{} distances", effort.distances);
            found += usize::from(nearest == plain_loop(points, query, 1));
        }
        let recall = found as f64 / queries.len() as f64;
        assert!(recall >= 0.95, "recall {recall} with {clusters} clusters");
    }
}

#[test]
fn budgets_that_are_too_small_still_give_k_neighbors() {
    let values = point_sets::random(50, 12, 1);
    let points = Points::new(&values, 12).unwrap();
    let config = PrioritizedDciConfig {
        visited: Some(0),
        retrieved: Some(0),
        ..Default::default()
    };
    let index = PrioritizedDci::new(points, &config).unwrap();
    for k in [1, 10, 49, 50] {
        let found = index.query(points.row(3), k).unwrap();
        assert_eq!(found.len(), k);
        assert!(found.is_sorted_by(|a, b| (a.distance, a.index) < (b.distance, b.index)));
    }
}

#[test]
fn works_with_fewer_points_than_its_budgets() {
    for n in [1, 2, 3] {
        let values = point_sets::random(n, 5, 1);
        let points = Points::new(&values, 5).unwrap();
        let index = PrioritizedDci::new(points, &PrioritizedDciConfig::default()).unwrap();
        let found = index.query(&[0.0; 5], n).unwrap();
        assert_eq!(found, plain_loop(points, &[0.0; 5], n));
    }
}

#[test]
fn spends_no_more_than_its_budgets() {
    let values = point_sets::random(2000, 30, 1);
    let points = Points::new(&values, 30).unwrap();
    let config = PrioritizedDciConfig {
        visited: Some(15_000),
        retrieved: Some(25),
        ..Default::default()
    };
    let index = PrioritizedDci::new(points, &config).unwrap();
    let (_, effort) = index.query_with_effort(&[0.0; 30], 1).unwrap();
    assert!(effort.distances <= 2 * 25 && effort.visited <= 2 * 15_000);
    assert!(effort.distances > 25, "both composite indices retrieve");
}

#[test]
fn the_seed_decides_the_answer() {
    let values = point_sets::random(3000, 40, 1);
    let points = Points::new(&values, 40).unwrap();
    let queries = point_sets::random(30, 40, 2);
    let queries = Points::new(&queries, 40).unwrap();
    let answers = |seed| {
        let config = PrioritizedDciConfig {
            retrieved: Some(20),
            seed,
            ..Default::default()
        };
        let index = PrioritizedDci::new(points, &config).unwrap();
        let many = index.query_many(queries, 3).unwrap();
        let one_by_one: Vec<_> =
            (queries.rows().map(|query| index.query(query, 3).unwrap())).collect();
        assert_eq!(many, one_by_one);
        many
    };
    assert_eq!(answers(5), answers(5));
    assert_ne!(answers(5), answers(6));
}

#[test]
fn refuses_settings_out_of_range() {
    let points = Points::new(&[0.0; 4], 2).unwrap();
    let default = PrioritizedDciConfig::default;
    let wrong = [
        (
            "composite",
            PrioritizedDciConfig {
                composite: 0,
                ..default()
            },
        ),
        (
            "simple",
            PrioritizedDciConfig {
                simple: 0,
                ..default()
            },
        ),
        (
            "simple",
            PrioritizedDciConfig {
                simple: 256,
                ..default()
            },
        ),
        (
            "intrinsic_dimension",
            PrioritizedDciConfig {
                intrinsic_dimension: 0.5,
                ..default()
            },
        ),
        (
            "intrinsic_dimension",
            PrioritizedDciConfig {
                intrinsic_dimension: f64::NAN,
                ..default()
            },
        ),
    ];
    for (name, config) in wrong {
        match PrioritizedDci::new(points, &config) {
            Err(KnnError::Setting { setting, .. }) => assert_eq!(setting, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}
