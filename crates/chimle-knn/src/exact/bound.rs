//! How far the matrix product's distances can be from the plain ones.
//!
//! Let `u = 2^-24` and `gamma(m) = m u / (1 - m u)`, the relative error of `m` roundings (Higham,
//! *Accuracy and Stability of Numerical Algorithms*, section 3.1). With the centered values
//! `a = fl(q - c)` and `b = fl(p - c)`, `A = |a|^2` and `B = |b|^2`, the distance is
//! `A + B - 2 a.b` but for
//!
//! - the rounding of `a` and `b`: at most `4.2 u (A + B)`;
//! - that of the product, in any order of summation, fused or not: twice at most `gamma(d) |a| |b|`,
//!   so at most `gamma(d) (A + B)`;
//! - that of `B - 2 a.b`, and of `A` and `B`, which are summed in f64: at most `5 u (A + B)`.
//!
//! Together at most `e (A + B)`, where `e = gamma(d + 16)` leaves room. The plain distance itself
//! passes each term through three roundings, `d / 16` additions and four more, and so is at least
//! `1 - g` times the true one, with `g = gamma(d / 16 + 8)`. What is lost to underflow is at most
//! the smallest subnormal for each of at most eight operations on each coordinate, `s` in all.
//!
//! A point can therefore be among those whose plain distance is at most `w` only if
//!
//! ```text
//! (1 - e) B - 2 a.b  <=  w / (1 - g) + s - (1 - e) A
//! ```
//!
//! The left side is what is computed for each point, the right side for each query.

use crate::distance::LANES;

/// Unit roundoff of f32.
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

    /// `(1 - e) B` of a point; negative infinity, which rules nothing out, where the expansion
    /// might overflow.
    pub(super) fn norm(&self, squared_norm: f64) -> f32 {
        if self.holds(squared_norm) {
            (((1.0 - self.expansion) * squared_norm) as f32).next_down()
        } else {
            f32::NEG_INFINITY
        }
    }

    /// What `(1 - e) B - 2 a.b` must not exceed for a plain distance of at most `worst` from a query
    /// of squared norm A; infinity where the expansion might overflow.
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

/// Infinite where the number of roundings leaves no bound.
fn gamma(roundings: usize) -> f64 {
    let error = roundings as f64 * UNIT;
    if error < 0.5 {
        error / (1.0 - error)
    } else {
        f64::INFINITY
    }
}

/// `|v|^2`, summed in f64.
pub(super) fn squared_norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|v| f64::from(v) * f64::from(v)).sum()
}
