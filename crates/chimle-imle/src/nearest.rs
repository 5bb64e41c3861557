//! Exact nearest neighbors among rows of tensors, wherever the tensors live.

use burn::tensor::backend::Backend;
use burn::tensor::{IndexingUpdateOp, Int, Tensor};

/// Values of a block that are held at once: of distances, or of differences measured again.
const BLOCK: usize = 1 << 22;
/// Points measured again beyond those asked for, against the rounding of the matrix product.
const SPARE: usize = 8;

/// The `k` nearest of `points` `[n, d]` to each row of `queries` `[q, d]`, nearest first: their
/// indices and their squared Euclidean distances, both `[q, k]`; of equals the lower index first.
///
/// Everything is computed where the tensors live, and nothing is read back. Distances are compared
/// as |q|^2 - 2 q.p + |p|^2, a matrix product, after both sets have been moved by the points' mean;
/// the best k + 8 are then measured by their differences. So the distances are exact, and so is the
/// choice, unless more than eight points are no further from the k-th than the product's rounding,
/// about 1e-6 of the squared norms. `[n, q, d]` is never held: queries are taken a block at a time,
/// 4 million distances or as many values of differences. The time grows with k; it is meant for
/// small ones.
///
/// Where the answer must equal the plain loop's always, there is `chimle_knn::Exact`, on the CPU.
///
/// # Panics
/// If `k` is 0 or above n, or the dimensions differ.
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
        // Less |q|^2, which is the same for all points.
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

/// Where the `count` smallest of each row of `[rows, n]` are, `[rows, count]`.
fn smallest<B: Backend>(mut values: Tensor<B, 2>, count: usize) -> Tensor<B, 2, Int> {
    let mut found = Vec::with_capacity(count);
    for _ in 0..count {
        // One reduction for each: backends sort on the host, if they sort at all.
        let at = values.clone().argmin(1);
        let never_again = Tensor::full([values.dims()[0], 1], f32::INFINITY, &values.device());
        values = values.scatter(1, at.clone(), never_again, IndexingUpdateOp::Add);
        found.push(at);
    }
    Tensor::cat(found, 1)
}

/// Squared distances, `[rows, m]`, of `queries` `[rows, d]` from their `candidates` `[rows, m]`.
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

/// Each row's candidates in order of their distances, of equals the lower index first.
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
    // How many of the row come before: a permutation, as indices differ.
    let place: Tensor<B, 2, Int> = (nearer + first_of_equals).sum_dim(2).reshape([rows, m]);
    let (indices, measured) = (candidates.zeros_like(), distances.zeros_like());
    (
        indices.scatter(1, place.clone(), candidates, IndexingUpdateOp::Add),
        measured.scatter(1, place, distances, IndexingUpdateOp::Add),
    )
}
