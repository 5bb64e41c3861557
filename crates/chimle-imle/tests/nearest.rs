//! The search among the rows of tensors, compared with a plain loop.

use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use chimle_imle::nearest;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Rows = Vec<Vec<f32>>;

fn tensor(rows: &Rows, dimension: usize) -> Tensor<Flex, 2> {
    let data = TensorData::new(rows.concat(), [rows.len(), dimension]);
    Tensor::from_data(data, &Default::default())
}

fn uniform(count: usize, dimension: usize, seed: u64) -> Rows {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|_| {
            (0..dimension)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect()
        })
        .collect()
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b));
    differences.map(|d| d * d).sum()
}

/// Compares the k nearest with those of a plain loop in 64 bits.
fn check(points: &Rows, queries: &Rows, k: usize) {
    let dimension = points[0].len();
    let (indices, distances) = nearest(tensor(points, dimension), tensor(queries, dimension), k);
    assert_eq!(indices.dims(), [queries.len(), k]);
    let indices: Vec<i64> = indices.into_data().iter::<i64>().collect();
    let distances: Vec<f32> = distances.into_data().iter::<f32>().collect();
    let found = indices.chunks(k).zip(distances.chunks(k));
    for (query, (indices, distances)) in queries.iter().zip(found) {
        let mut expected: Vec<(f64, usize)> = points
            .iter()
            .enumerate()
            .map(|(index, point)| (squared_distance(query, point), index))
            .collect();
        expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
        for (place, (distance, index)) in expected.into_iter().take(k).enumerate() {
            assert_eq!(indices[place], index as i64, "place {place}");
            let error = (f64::from(distances[place]) - distance).abs();
            assert!(
                error <= 1e-5 * distance,
                "{} for {distance}",
                distances[place]
            );
        }
    }
}

#[test]
fn the_nearest_are_those_of_the_plain_loop() {
    for (n, q, d, k) in [
        (1, 1, 1, 1),
        (5, 3, 1, 5),
        (40, 7, 3, 4),
        (300, 20, 33, 1),
        (20, 4, 2000, 3),
    ] {
        check(&uniform(n, d, 1), &uniform(q, d, 2), k);
    }
}

#[test]
fn queries_are_taken_a_block_at_a_time() {
    // 4 million distances make a block: 41 queries against 100,000 points.
    check(&uniform(100_000, 2, 3), &uniform(100, 2, 4), 2);
}

#[test]
fn points_far_from_the_origin_are_told_apart() {
    let moved = |rows: Rows| -> Rows {
        let far = |row: Vec<f32>| row.into_iter().map(|v| v + 1000.0).collect();
        rows.into_iter().map(far).collect()
    };
    check(&moved(uniform(60, 8, 5)), &moved(uniform(9, 8, 6)), 3);
}

#[test]
fn of_equal_points_the_first_come_first() {
    let mut points = uniform(4, 6, 7);
    points.extend(points.clone());
    let queries = points[..4].to_vec();
    check(&points, &queries, 5);
    check(&vec![vec![0.5; 6]; 6], &uniform(2, 6, 8), 6);
}

#[test]
fn no_queries_have_no_neighbors() {
    let points = tensor(&uniform(3, 2, 9), 2);
    let (indices, distances) = nearest(points, tensor(&Vec::new(), 2), 2);
    assert_eq!((indices.dims(), distances.dims()), ([0, 2], [0, 2]));
}

#[test]
#[should_panic(expected = "4 neighbors of 3 points")]
fn more_neighbors_than_points_are_refused() {
    let points = tensor(&uniform(3, 2, 10), 2);
    nearest(points.clone(), points, 4);
}

#[test]
#[should_panic(expected = "differ in dimension")]
fn dimensions_must_agree() {
    let [points, queries] = [2, 3].map(|d| tensor(&uniform(3, d, 11), d));
    nearest(points, queries, 1);
}
