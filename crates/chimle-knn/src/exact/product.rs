//! Comparison of many queries with points by a matrix product. Points that the product cannot rule out
//! are compared by the plain distance.

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use crate::squared_distance;
use crate::{Nearest, Points};

use super::Exact;
use super::bound::{RoundingBound, squared_norm};

/// The largest numbers of queries and points in one product. Its 512 KiB of results stay in the L2 cache
/// of a core.
const QUERIES: usize = 256;
const POINTS: usize = 512;

/// The largest number of values of the points in one product. It limits the number of points if the
/// dimension is high.
const POINT_VALUES: usize = 1 << 20;

/// Finds the `k` points nearest to each query. The whole product is never in memory.
pub(super) fn parallel(index: &Exact, queries: Points<'_>, k: usize) -> Vec<Nearest> {
    let tiles = queries.len().div_ceil(QUERIES);
    // If there are few queries, the points are divided as well, so that all cores have work.
    let parts = (4 * rayon::current_num_threads())
        .div_ceil(tiles)
        .min(index.points().len().div_ceil(POINTS));
    let length = index
        .points()
        .len()
        .div_ceil(parts)
        .next_multiple_of(POINTS);
    let parts = index.points().len().div_ceil(length);

    let tiles: Vec<Vec<Nearest>> = (0..tiles)
        .into_par_iter()
        .map(|tile| {
            let start = tile * QUERIES;
            let queries = queries.range(start, queries.len().min(start + QUERIES));
            (0..parts)
                .into_par_iter()
                .map(|part| {
                    let start = part * length;
                    search(
                        index,
                        start,
                        index.points().len().min(start + length),
                        queries,
                        k,
                    )
                })
                .reduce_with(super::merge)
                .unwrap_or_default()
        })
        .collect();
    tiles.into_iter().flatten().collect()
}

/// Finds the nearest points to each query among those from `start` to `end`, on one thread.
fn search(index: &Exact, start: usize, end: usize, queries: Points<'_>, k: usize) -> Vec<Nearest> {
    let dimension = index.dimension;
    let bound = RoundingBound::new(dimension);
    let mut centered_queries = Vec::with_capacity(queries.values().len());
    center_onto(queries, &index.center, &mut centered_queries);
    let query_norms: Vec<f64> = centered_queries
        .chunks_exact(dimension)
        .map(|query| squared_norm(query.iter().copied()))
        .collect();
    // With this factor, the product is exactly -2 a.b.
    centered_queries.iter_mut().for_each(|v| *v *= -2.0);

    let mut nearest: Vec<_> = queries.rows().map(|_| Nearest::new(k)).collect();
    let rows = (POINT_VALUES / dimension).clamp(POINTS / 8, POINTS);
    let mut centered_points = Vec::with_capacity(rows * dimension);
    let mut products = vec![0.0; queries.len() * rows];
    let mut left = Vec::with_capacity(rows);
    for start in (start..end).step_by(rows) {
        let points = index.points().range(start, end.min(start + rows));
        centered_points.clear();
        center_onto(points, &index.center, &mut centered_points);
        let products = &mut products[..queries.len() * points.len()];
        multiply(&centered_points, &centered_queries, dimension, products);

        let norms = &index.norms[start..start + points.len()];
        for (q, products) in products.chunks_exact(points.len()).enumerate() {
            let nearest = &mut nearest[q];
            let threshold = |nearest: &Nearest| bound.threshold(nearest.worst(), query_norms[q]);
            let compare = |row: usize, nearest: &mut Nearest| {
                let distance = squared_distance(queries.row(q), points.row(row));
                nearest.offer(start + row, distance);
            };

            left.clear();
            collect_below(norms, products, threshold(nearest), &mut left);
            // The k points with the lowest bounds come first, which lowers the threshold for the others.
            if left.len() > k {
                left.select_nth_unstable_by(k - 1, |a, b| a.bound.total_cmp(&b.bound));
            }
            let (first, others) = left.split_at(k.min(left.len()));
            first.iter().for_each(|point| compare(point.row, nearest));
            let mut highest = threshold(nearest);
            for point in others {
                if !rules_out(highest, point.bound) {
                    compare(point.row, nearest);
                    highest = threshold(nearest);
                }
            }
        }
    }
    nearest
}

fn center_onto(points: Points<'_>, center: &[f32], centered: &mut Vec<f32>) {
    for point in points.rows() {
        centered.extend(point.iter().zip(center).map(|(value, c)| value - c));
    }
}

/// Computes the dot product of each query `q` and each point `p` as `products[q][p]`, all row-major.
fn multiply(points: &[f32], queries: &[f32], dimension: usize, products: &mut [f32]) {
    let (rows, columns) = (points.len() / dimension, queries.len() / dimension);
    assert_eq!(points.len(), rows * dimension, "whole points");
    assert_eq!(queries.len(), columns * dimension, "whole queries");
    assert_eq!(products.len(), rows * columns, "size of the product");
    // SAFETY: The assertions ensure that every element given by the dimensions and strides lies within
    // its slice. `products` is borrowed mutably, so it overlaps neither factor. It is not read.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            rows,
            columns,
            dimension,
            products.as_mut_ptr(),
            rows as isize,
            1,
            false,
            points.as_ptr(),
            1,
            dimension as isize,
            queries.as_ptr(),
            dimension as isize,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// A point that the product does not rule out.
struct Left {
    row: usize,
    /// `(1 - e) B - 2 a.b`.
    bound: f32,
}

/// Returns whether a point is farther than the threshold allows. If the product overflowed, the bound is
/// NaN, which does not rule the point out.
#[inline(always)]
fn rules_out(threshold: f32, bound: f32) -> bool {
    bound > threshold
}

/// Collects the points that the threshold does not rule out. The bound of a point is the sum of its norm
/// and its product.
fn collect_below(norms: &[f32], products: &[f32], threshold: f32, left: &mut Vec<Left>) {
    Arch::new().dispatch(CollectBelow {
        norms,
        products,
        threshold,
        left,
    });
}

struct CollectBelow<'a> {
    norms: &'a [f32],
    products: &'a [f32],
    threshold: f32,
    left: &'a mut Vec<Left>,
}

impl NullaryFnOnce for CollectBelow<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        /// The number of rows that share one branch. Nearly always, all of them are ruled out.
        const ROWS: usize = 32;
        let (norms, norms_rest) = self.norms.as_chunks::<ROWS>();
        let (products, products_rest) = self.products.as_chunks::<ROWS>();
        let mut each = |first: usize, norms: &[f32], products: &[f32]| {
            for (row, (norm, product)) in norms.iter().zip(products).enumerate() {
                let bound = norm + product;
                if !rules_out(self.threshold, bound) {
                    let row = first + row;
                    self.left.push(Left { row, bound });
                }
            }
        };
        for (block, (norms, products)) in norms.iter().zip(products).enumerate() {
            let mut any = false;
            for row in 0..ROWS {
                any |= !rules_out(self.threshold, norms[row] + products[row]);
            }
            if any {
                each(block * ROWS, norms, products);
            }
        }
        each(norms.len() * ROWS, norms_rest, products_rest);
    }
}
