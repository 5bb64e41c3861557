//! The squared Euclidean distance, and the dot product for projections.
//!
//! Both have a fixed order of summation, so the same values give the same bits on every machine, in
//! every thread and in every index.

use pulp::{Arch, NullaryFnOnce};

/// The number of partial sums. Coordinate `i` of a point is added to the sum `i % LANES`.
pub(crate) const LANES: usize = 16;

/// Computes the squared Euclidean distance of two points of the same dimension, in f32.
///
/// Every index of this crate returns exactly this value. It is at least 0, infinite if it overflows, and
/// NaN if the two slices differ in length.
///
/// The order of summation is fixed. The squared difference of coordinate `i` is added, in order of `i`,
/// to partial sum `i % 16`. Then partial sum `j + 8` is added to sum `j` for `j < 8`, sum `j + 4` to sum
/// `j` for `j < 4`, and so on. Products and sums are rounded separately (never fused), so the result is
/// the same on every machine.
///
/// # Examples
///
/// ```
/// assert_eq!(chimle_knn::squared_distance(&[0.0, 1.0], &[3.0, 5.0]), 25.0);
/// ```
pub fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::NAN;
    }
    Arch::new().dispatch(Pair(a, b))
}

/// Writes the distance from `query` to each of the `rows` (row-major) into `distances`.
pub(crate) fn squared_distances(query: &[f32], rows: &[f32], distances: &mut [f32]) {
    debug_assert_eq!(rows.len(), query.len() * distances.len());
    Arch::new().dispatch(Rows {
        query,
        rows,
        distances,
    });
}

/// Computes the dot product of two vectors of the same length, summed in the order of
/// [`squared_distance`].
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    Arch::new().dispatch(Dot(a, b))
}

struct Pair<'a>(&'a [f32], &'a [f32]);

impl NullaryFnOnce for Pair<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        lanes(self.0, self.1, squared_difference)
    }
}

struct Dot<'a>(&'a [f32], &'a [f32]);

impl NullaryFnOnce for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        lanes(self.0, self.1, |x, y| x * y)
    }
}

struct Rows<'a> {
    query: &'a [f32],
    rows: &'a [f32],
    distances: &'a mut [f32],
}

impl NullaryFnOnce for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        // In few dimensions, the loop over a row is unrolled, and one register holds several rows.
        match self.query.len() {
            1 => self.unrolled::<1>(),
            2 => self.unrolled::<2>(),
            3 => self.unrolled::<3>(),
            4 => self.unrolled::<4>(),
            dimension => {
                let rows = self.rows.chunks_exact(dimension);
                for (distance, row) in self.distances.iter_mut().zip(rows) {
                    *distance = lanes(self.query, row, squared_difference);
                }
            }
        }
    }
}

impl Rows<'_> {
    /// Sums in the order of [`lanes`] for at most four coordinates, without the sums that stay 0.
    #[inline(always)]
    fn unrolled<const D: usize>(self) {
        let (rows, _) = self.rows.as_chunks::<D>();
        for (distance, row) in self.distances.iter_mut().zip(rows) {
            let square = |i: usize| squared_difference(self.query[i], row[i]);
            *distance = match D {
                1 => square(0),
                2 => square(0) + square(1),
                3 => (square(0) + square(2)) + square(1),
                _ => (square(0) + square(2)) + (square(1) + square(3)),
            };
        }
    }
}

#[inline(always)]
fn squared_difference(x: f32, y: f32) -> f32 {
    (x - y) * (x - y)
}

/// Sums `term` over the coordinates, in the order that [`squared_distance`] documents.
#[inline(always)]
fn lanes(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    for (lane, (&x, &y)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += term(x, y);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}
