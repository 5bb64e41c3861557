//! Exact nearest neighbors among the rows of tensors, computed on the device of the tensors.

use burn::tensor::backend::Backend;
use burn::tensor::{IndexingUpdateOp, Int, Tensor};

/// The largest number of distances, or of coordinate differences, that are held at once.
const BLOCK: usize = 1 << 22;
/// The number of points that are measured again in addition to the k nearest, because the matrix
/// product rounds.
const SPARE: usize = 8;

/// Finds the `k` nearest points to each query, nearest first.
///
/// Returns the indices of these points and their squared Euclidean distances. Among points at the
/// same distance, the lower index comes first.
///
/// Everything is computed on the device of the tensors, and nothing is read back. Both sets are
/// first shifted by the mean of the points. Distances are then compared as |q|^2 - 2 q.p + |p|^2,
/// which is a matrix product, and the best k + 8 points are measured again by their differences.
/// The returned distances are therefore exact. The choice is exact too, unless the distances of
/// more than eight other points differ from the k-th distance by less than the rounding of the
/// product, about 1e-6 of the squared norms.
///
/// A tensor `[n, q, d]` is never held. Queries are processed in blocks of at most 4 million
/// distances or differences. The time grows with k, so the function is meant for small k. To get
/// the result of a plain loop in every case, use `chimle_knn::Exact`, which runs on the CPU.
///
/// # Shapes
///
/// - points: `[n, d]`
/// - queries: `[q, d]`
/// - indices and distances: `[q, k]`
///
/// # Panics
///
/// If `k` is 0 or above n, or the dimensions of points and queries differ.
pub fn nearest<B: Backend>(
    points: Tensor<B, 2>,
    queries: Tensor<B, 2>,
    k: usize,
) -> (Tensor<B, 2, Int>, Tensor<B, 2>) {
    let [n, d] = points.dims();
    let [q, query_dimension] = queries.dims();
    assert_eq!(d, query_dimension, "points and queries differ in dimension");
    assert!(k > 0 && k <= n, "{k} neighbors of {n} points");

    let mean = points.clone().mean_dim(0);
    let centered = points.clone() - mean.clone();
    let norms = centered.clone().square().sum_dim(1).transpose();
    let compared = (k + SPARE).min(n);
    let rows = (BLOCK / n.max(d * compared)).clamp(1, q.max(1));
    let blocks = (0..q).step_by(rows).map(|start| {
        let block = queries.clone().narrow(0, start, rows.min(q - start));
        let product = (block.clone() - mean.clone()).matmul(centered.clone().transpose());
        // |q|^2 is left out, because it is the same for all points.
        let relative = norms.clone() - product.mul_scalar(2.0);
        let candidates = smallest(relative, compared);
        let distances = measure(&points, block, candidates.clone());
        let (candidates, distances) = in_order(candidates, distances);
        (candidates.narrow(1, 0, k), distances.narrow(1, 0, k))
    });
    let (indices, distances): (Vec<_>, Vec<_>) = blocks.unzip();
    if indices.is_empty() {
        let device = points.device();
        return (
            Tensor::zeros([0, k], &device),
            Tensor::zeros([0, k], &device),
        );
    }
    (Tensor::cat(indices, 0), Tensor::cat(distances, 0))
}

/// Returns the indices of the `count` smallest values of each row of `[rows, n]`, as `[rows,
/// count]`.
fn smallest<B: Backend>(mut values: Tensor<B, 2>, count: usize) -> Tensor<B, 2, Int> {
    let mut found = Vec::with_capacity(count);
    for _ in 0..count {
        // One reduction per index: a backend that can sort at all sorts on the host.
        let at = values.clone().argmin(1);
        let never_again = Tensor::full([values.dims()[0], 1], f32::INFINITY, &values.device());
        values = values.scatter(1, at.clone(), never_again, IndexingUpdateOp::Add);
        found.push(at);
    }
    Tensor::cat(found, 1)
}

/// Returns the squared distances `[rows, m]` of `queries` `[rows, d]` from their `candidates`
/// `[rows, m]`.
fn measure<B: Backend>(
    points: &Tensor<B, 2>,
    queries: Tensor<B, 2>,
    candidates: Tensor<B, 2, Int>,
) -> Tensor<B, 2> {
    let [rows, m] = candidates.dims();
    let d = points.dims()[1];
    let chosen = points.clone().select(0, candidates.flatten(0, 1));
    let differences = chosen.reshape([rows, m, d]) - queries.reshape([rows, 1, d]);
    differences.square().sum_dim(2).reshape([rows, m])
}

/// Sorts the candidates of each row by distance. Among equal distances, the lower index comes
/// first.
fn in_order<B: Backend>(
    candidates: Tensor<B, 2, Int>,
    distances: Tensor<B, 2>,
) -> (Tensor<B, 2, Int>, Tensor<B, 2>) {
    let [rows, m] = candidates.dims();
    let (across, down) = ([rows, 1, m], [rows, m, 1]);
    let [theirs, own] = [across, down].map(|shape| distances.clone().reshape(shape));
    let nearer = theirs.clone().lower(own.clone()).int();
    let [their_index, own_index] = [across, down].map(|shape| candidates.clone().reshape(shape));
    let first_of_equals = theirs.equal(own).int() * their_index.lower(own_index).int();
    // The place of a candidate is the number of candidates that come before it. The places are a
    // permutation, because all indices are different.
    let place: Tensor<B, 2, Int> = (nearer + first_of_equals).sum_dim(2).reshape([rows, m]);
    let (indices, measured) = (candidates.zeros_like(), distances.zeros_like());
    (
        indices.scatter(1, place.clone(), candidates, IndexingUpdateOp::Add),
        measured.scatter(1, place, distances, IndexingUpdateOp::Add),
    )
}
