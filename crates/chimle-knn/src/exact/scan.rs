//! Comparison of queries with points one by one.

use rayon::prelude::*;

use crate::distance::squared_distances;
use crate::{Nearest, Points};

/// The number of distances that are computed before they are compared. They stay in registers and the L1
/// cache.
const ROWS: usize = 128;

/// The largest number of values for which dividing the work among threads costs more than it saves.
const SERIAL_VALUES: usize = 1 << 15;

/// Finds the `k` points nearest to each query.
pub(super) fn parallel(points: Points<'_>, queries: Points<'_>, k: usize) -> Vec<Nearest> {
    if points.values().len() * queries.len() <= SERIAL_VALUES {
        return scan(points, 0, queries, k);
    }
    let parts = 4 * rayon::current_num_threads();
    let length = points.len().div_ceil(parts).next_multiple_of(ROWS);
    (0..points.len().div_ceil(length))
        .into_par_iter()
        .map(|part| {
            let start = part * length;
            let end = points.len().min(start + length);
            scan(points.range(start, end), start, queries, k)
        })
        .reduce_with(super::merge)
        .unwrap_or_default()
}

/// Finds the `k` points nearest to each query on one thread. The index of the first point is `first`.
fn scan(points: Points<'_>, first: usize, queries: Points<'_>, k: usize) -> Vec<Nearest> {
    let mut nearest: Vec<_> = queries.rows().map(|_| Nearest::new(k)).collect();
    let mut distances = [0.0; ROWS];
    for start in (0..points.len()).step_by(ROWS) {
        let block = points.range(start, points.len().min(start + ROWS));
        let distances = &mut distances[..block.len()];
        for (query, nearest) in queries.rows().zip(&mut nearest) {
            squared_distances(query, block.values(), distances);
            let mut worst = nearest.worst();
            for (row, &distance) in distances.iter().enumerate() {
                if distance <= worst {
                    nearest.offer(first + start + row, distance);
                    worst = nearest.worst();
                }
            }
        }
    }
    nearest
}
