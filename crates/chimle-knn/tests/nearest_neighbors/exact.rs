//! The plain distance, and exact search.

use chimle_knn::{Exact, NearestNeighbors, Points, squared_distance};

use crate::{assert_equals_plain_loop, plain_loop, point_sets};

#[test]
fn distance_is_summed_in_the_documented_order() {
    for dimension in (1..70).chain([1000, 2000]) {
        let a = point_sets::random(1, dimension, 1);
        let b = point_sets::random(1, dimension, 2);
        let mut sums = [0.0f32; 16];
        for i in 0..dimension {
            let difference = a[i] - b[i];
            sums[i % 16] += difference * difference;
        }
        for half in [8, 4, 2, 1] {
            for j in 0..half {
                sums[j] += sums[j + half];
            }
        }
        assert_eq!(squared_distance(&a, &b), sums[0], "d = {dimension}");
    }
}

#[test]
fn distance_is_accurate() {
    for dimension in [1, 3, 17, 1000] {
        let a = point_sets::random(1, dimension, 1);
        let b = point_sets::random(1, dimension, 2);
        let differences = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) - f64::from(b));
        let expected: f64 = differences.map(|d| d * d).sum();
        let found = f64::from(squared_distance(&a, &b));
        assert!(
            (found - expected).abs() <= 1e-5 * expected,
            "d = {dimension}"
        );
    }
}

#[test]
fn points_of_different_lengths_have_no_distance() {
    assert!(squared_distance(&[1.0, 2.0], &[1.0]).is_nan());
}

#[test]
fn equals_the_plain_loop() {
    for dimension in [1, 2, 3, 4, 5, 16, 33, 100] {
        for set in point_sets::of_dimension(1100, dimension) {
            let points = Points::new(&set.points, dimension).unwrap();
            let queries = Points::new(&set.queries, dimension).unwrap();
            assert_equals_plain_loop(&Exact::new(points), points, queries, &set.name);
        }
    }
}

#[test]
fn equals_the_plain_loop_in_2000_dimensions() {
    for set in point_sets::of_dimension(60, 2000) {
        let points = Points::new(&set.points, 2000).unwrap();
        let queries = Points::new(&set.queries, 2000).unwrap();
        assert_equals_plain_loop(&Exact::new(points), points, queries, &set.name);
    }
}

#[test]
fn equals_the_plain_loop_when_each_point_is_nearer_than_those_before() {
    let dimension = 20;
    let mut points = Vec::new();
    for at in 0..3000 {
        points.extend(vec![3000.0 - at as f32; dimension]);
    }
    let points = Points::new(&points, dimension).unwrap();
    let queries = point_sets::random(30, dimension, 1);
    let queries = Points::new(&queries, dimension).unwrap();
    assert_equals_plain_loop(&Exact::new(points), points, queries, "descending");
}

#[test]
fn equals_the_plain_loop_for_queries_far_from_all_points() {
    let points = point_sets::random(1000, 10, 1);
    let points = Points::new(&points, 10).unwrap();
    let queries: Vec<f32> = [1e3, 1e6, 1e10, 1e18, 1e25, 1e38]
        .iter()
        .flat_map(|&distance| {
            let directions = point_sets::random(3, 10, 2).into_iter();
            directions.map(move |v| v.clamp(-2.0, 2.0) * distance)
        })
        .collect();
    let queries = Points::new(&queries, 10).unwrap();
    assert_equals_plain_loop(&Exact::new(points), points, queries, "far queries");
}

#[test]
fn infinite_distances_come_last_by_index() {
    let points = [1e30, 0.0, -1e30, 1.0];
    let points = Points::new(&points, 1).unwrap();
    let found = Exact::new(points).query(&[0.0], 4).unwrap();
    assert_eq!(found, plain_loop(points, &[0.0], 4));
    let indices: Vec<usize> = found.iter().map(|neighbor| neighbor.index).collect();
    assert_eq!(indices, [1, 3, 0, 2]);
    assert_eq!(found[3].distance, f32::INFINITY);
}

#[test]
fn no_queries_have_no_answers() {
    let points = point_sets::random(30, 3, 1);
    let index = Exact::new(Points::new(&points, 3).unwrap());
    let none = Points::new(&[], 3).unwrap();
    assert!(index.query_many(none, 2).unwrap().is_empty());
}
