//! A bound of the difference between the distances from the matrix product and the plain distances of
//! [`squared_distance`](crate::squared_distance).
//!
//! Let `u = 2^-24` and `gamma(m) = m u / (1 - m u)`, the relative error of `m` roundings (Higham,
//! *Accuracy and Stability of Numerical Algorithms*, section 3.1). Let `a = fl(q - c)` and
//! `b = fl(p - c)` be the centered values of a query and a point, `A = |a|^2` and `B = |b|^2`. The
//! distance is `A + B - 2 a.b`, up to three rounding errors:
//!
//! - the error of `a` and `b`, at most `4.2 u (A + B)`;
//! - twice the error of the product, which is at most `gamma(d) |a| |b|` in any order of summation,
//!   fused or not. Together this is at most `gamma(d) (A + B)`;
//! - the error of `B - 2 a.b`, and of `A` and `B`, which are summed in f64, at most `5 u (A + B)`.
//!
//! The sum of these errors is less than `e (A + B)` with `e = gamma(d + 16)`.
//!
//! In the plain distance, each term passes through three roundings, `d / 16` additions and four more
//! additions. The plain distance is therefore at least `1 - g` times the true one, with
//! `g = gamma(d / 16 + 8)`. Underflow loses at most the smallest subnormal in each of at most eight
//! operations per coordinate, `s` in total.
//!
//! Hence the plain distance of a point can be at most `w` only if
//!
//! ```text
//! (1 - e) B - 2 a.b  <=  w / (1 - g) + s - (1 - e) A
//! ```
//!
//! The left side is computed for each point, the right side for each query.

use crate::distance::LANES;

/// The unit roundoff of f32.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// Squared norms above this could overflow f32 in the product.
const LARGEST_NORM: f64 = (1u128 << 100) as f64;

/// The constants `e`, `g` and `s` for one dimension.
pub(super) struct RoundingBound {
    expansion: f64,
    plain: f64,
    underflow: f64,
}

impl RoundingBound {
    pub(super) fn new(dimension: usize) -> Self {
        Self {
            expansion: gamma(dimension + 16),
            plain: gamma(dimension / LANES + 8),
            underflow: 8.0 * dimension as f64 * f64::from(f32::from_bits(1)),
        }
    }

    /// Computes `(1 - e) B` of a point. If the expansion might overflow, the result is negative infinity,
    /// which never rules the point out.
    pub(super) fn norm(&self, squared_norm: f64) -> f32 {
        if self.holds(squared_norm) {
            (((1.0 - self.expansion) * squared_norm) as f32).next_down()
        } else {
            f32::NEG_INFINITY
        }
    }

    /// Computes the largest value of `(1 - e) B - 2 a.b` for which the plain distance from a query with
    /// the squared norm A can be at most `worst`. It is infinite if the expansion might overflow.
    pub(super) fn threshold(&self, worst: f32, squared_norm: f64) -> f32 {
        if self.holds(squared_norm) {
            let distance = f64::from(worst) / (1.0 - self.plain) + self.underflow;
            ((distance - (1.0 - self.expansion) * squared_norm) as f32).next_up()
        } else {
            f32::INFINITY
        }
    }

    fn holds(&self, squared_norm: f64) -> bool {
        squared_norm <= LARGEST_NORM && self.expansion < 0.5
    }
}

/// Computes `gamma`. It is infinite if there are too many roundings for a bound.
fn gamma(roundings: usize) -> f64 {
    let error = roundings as f64 * UNIT;
    if error < 0.5 {
        error / (1.0 - error)
    } else {
        f64::INFINITY
    }
}

/// Computes `|v|^2`, summed in f64.
pub(super) fn squared_norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|v| f64::from(v) * f64::from(v)).sum()
}
