//! The transforms of F(4x4, 3x3), the minimal filtering of Winograd in two dimensions.
//!
//! The source is Lavin & Gray, "Fast algorithms for convolutional neural networks" (CVPR 2016).
//! With the 3x3 weights g and the 6x6 inputs d, a tile of 4x4 outputs is `A^T [(G g G^T) . (B^T d
//! B)] A`. This takes 36 products, and the definition takes 144. Summed over input channels, they
//! are 36 matrix products. The gradient of the weights is the transpose of the same map: `G^T [(A y
//! A^T) . (B^T d B)] G`.
//!
//! The points are 0, ±1/√2, ±√2 and infinity. With the usual points 0, ±1, ±2 and infinity, the
//! largest error is about five times as large.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use pulp::Simd;

use crate::flex::processor::mul_add;

/// The number of outputs on a side of a tile.
pub(crate) const TILE: usize = 4;
/// The number of points of the transform on a side.
pub(crate) const POINTS: usize = 6;
/// The number of products of a tile.
pub(crate) const POSITIONS: usize = POINTS * POINTS;
/// The number of taps of the kernel.
pub(crate) const TAPS: usize = 9;

/// Computes `a x + c`.
#[inline(always)]
fn fma<S: Simd>(simd: S, a: S::f32s, x: f32, c: S::f32s) -> S::f32s {
    mul_add(simd, a, simd.splat_f32s(x), c)
}

/// Computes `a x`.
#[inline(always)]
fn times<S: Simd>(simd: S, a: S::f32s, x: f32) -> S::f32s {
    simd.mul_f32s(a, simd.splat_f32s(x))
}

/// A one-dimensional transform of N values to the six points.
pub(crate) trait ToPoints<const N: usize> {
    fn points<S: Simd>(simd: S, values: [S::f32s; N]) -> [S::f32s; POINTS];
}

/// The transform of the inputs, `B^T d`.
pub(crate) struct Input;

impl ToPoints<POINTS> for Input {
    #[inline(always)]
    fn points<S: Simd>(simd: S, [d0, d1, d2, d3, d4, d5]: [S::f32s; 6]) -> [S::f32s; POINTS] {
        let even = fma(simd, d2, -2.0, d4);
        let odd = fma(simd, d1, -2.0, d3);
        let even_far = fma(simd, d2, -0.5, d4);
        let odd_far = fma(simd, d1, -0.5, d3);
        [
            fma(simd, d2, -2.5, simd.add_f32s(d0, d4)),
            fma(simd, odd, FRAC_1_SQRT_2, even),
            fma(simd, odd, -FRAC_1_SQRT_2, even),
            fma(simd, odd_far, SQRT_2, even_far),
            fma(simd, odd_far, -SQRT_2, even_far),
            fma(simd, d3, -2.5, simd.add_f32s(d1, d5)),
        ]
    }
}

/// The transform of the outputs' gradient, `A y`.
pub(crate) struct Gradient;

impl ToPoints<TILE> for Gradient {
    #[inline(always)]
    fn points<S: Simd>(simd: S, [y0, y1, y2, y3]: [S::f32s; 4]) -> [S::f32s; POINTS] {
        let even = fma(simd, y2, 0.5, y0);
        let odd = fma(simd, y3, 0.5, y1);
        let even_far = fma(simd, y2, 2.0, y0);
        let odd_far = fma(simd, y3, 2.0, y1);
        [
            y0,
            fma(simd, odd, FRAC_1_SQRT_2, even),
            fma(simd, odd, -FRAC_1_SQRT_2, even),
            fma(simd, odd_far, SQRT_2, even_far),
            fma(simd, odd_far, -SQRT_2, even_far),
            y3,
        ]
    }
}

/// Transforms products back to outputs: `A^T m`.
#[inline(always)]
pub(crate) fn output<S: Simd>(simd: S, [m0, m1, m2, m3, m4, m5]: [S::f32s; 6]) -> [S::f32s; TILE] {
    let (sum, difference) = (simd.add_f32s(m1, m2), simd.sub_f32s(m1, m2));
    let (sum_far, difference_far) = (simd.add_f32s(m3, m4), simd.sub_f32s(m3, m4));
    [
        simd.add_f32s(m0, simd.add_f32s(sum, sum_far)),
        fma(
            simd,
            difference,
            FRAC_1_SQRT_2,
            times(simd, difference_far, SQRT_2),
        ),
        fma(simd, sum, 0.5, times(simd, sum_far, 2.0)),
        fma(
            simd,
            difference,
            0.5 * FRAC_1_SQRT_2,
            fma(simd, difference_far, 2.0 * SQRT_2, m5),
        ),
    ]
}

/// Transforms sums of products back to the gradient of the weights: `G^T s`.
#[inline(always)]
pub(crate) fn weight_gradient<S: Simd>(
    simd: S,
    [s0, s1, s2, s3, s4, s5]: [S::f32s; 6],
) -> [S::f32s; 3] {
    let (sum, difference) = (simd.add_f32s(s1, s2), simd.sub_f32s(s1, s2));
    let (sum_far, difference_far) = (simd.add_f32s(s3, s4), simd.sub_f32s(s3, s4));
    let far = times(simd, difference_far, SQRT_2 / 6.0);
    [
        fma(simd, sum, -2.0 / 3.0, fma(simd, sum_far, 1.0 / 6.0, s0)),
        fma(simd, difference, -SQRT_2 / 3.0, far),
        fma(simd, sum, -1.0 / 3.0, fma(simd, sum_far, 1.0 / 3.0, s5)),
    ]
}

/// Transforms N weights at once: `G g`.
#[inline(always)]
pub(crate) fn weight<const N: usize>([g0, g1, g2]: [[f32; N]; 3]) -> [[f32; N]; POINTS] {
    let mut points = [[0.0; N]; POINTS];
    for n in 0..N {
        let even = -2.0 / 3.0 * g0[n] - 1.0 / 3.0 * g2[n];
        let odd = -SQRT_2 / 3.0 * g1[n];
        let even_far = 1.0 / 6.0 * g0[n] + 1.0 / 3.0 * g2[n];
        let odd_far = SQRT_2 / 6.0 * g1[n];
        points[0][n] = g0[n];
        points[1][n] = even + odd;
        points[2][n] = even - odd;
        points[3][n] = even_far + odd_far;
        points[4][n] = even_far - odd_far;
        points[5][n] = g2[n];
    }
    points
}
