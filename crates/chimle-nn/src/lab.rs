//! The conversion of the network's color space to sRGB.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// Colors with a lower L' are divided by this value instead of L', so black has no chroma.
const DARKEST: f64 = 0.01;

/// The ranges of CIE Lab: L = 100 L', a = 127 a' / L' and b = 127 b' / L'.
const LIGHTNESS_RANGE: f64 = 100.0;
const CHROMA_RANGE: f64 = 127.0;

/// CIE 1931 XYZ of the white point D65, 2 degree observer.
const WHITE: [f64; 3] = [0.95047, 1.0, 1.08883];

/// XYZ to linear sRGB (IEC 61966-2-1), one row each for red, green and blue.
const XYZ_TO_RGB: [[f64; 3]; 3] = [
    [3.24048134, -1.53715152, -0.49853633],
    [-0.96925495, 1.87599, 0.04155593],
    [0.05564664, -0.20404134, 1.05731107],
];

/// Converts the network's `[L', a', b']` to sRGB, both `[n, 3, h, w]`.
///
/// L' in [0, 1] and a', b' in [-1, 1] stand for CIE Lab (D65) with L = 100 max(L', 0.01),
/// a = 127 a' / max(L', 0.01) and b = 127 b' / max(L', 0.01). Negative linear values become 0. A
/// color outside sRGB can exceed 1 (by far, if L' is small), so clip the result before showing it.
/// Values and gradients are finite on the whole range. A pixel that contains NaN is NaN in all
/// channels.
pub fn lab_to_rgb<B: Backend>(lab: Tensor<B, 4>) -> Tensor<B, 4> {
    // The clamps below could turn NaN into a number.
    let nan = lab.clone().is_nan().any_dim(1).expand(lab.dims());
    let channel = |k| lab.clone().narrow(1, k, 1);
    let lightness = channel(0).clamp_min(DARKEST);
    let chroma = |k| channel(k) * CHROMA_RANGE / lightness.clone();

    let fy = (lightness.clone() * LIGHTNESS_RANGE + 16.0) / 116.0;
    let fx = chroma(1) / 500.0 + fy.clone();
    let fz = (fy.clone() - chroma(2) / 200.0).clamp_min(0.0);
    let [x, y, z] = [fx, fy, fz].map(inverse_lab_curve);
    let [x, y, z] = [x * WHITE[0], y * WHITE[1], z * WHITE[2]];

    let rgb = XYZ_TO_RGB.map(|[from_x, from_y, from_z]| {
        let linear = x.clone() * from_x + y.clone() * from_y + z.clone() * from_z;
        srgb_curve(linear.clamp_min(0.0))
    });
    Tensor::cat(rgb.to_vec(), 1).mask_fill(nan, f32::NAN)
}

/// Computes the inverse of CIE Lab's function f: t^3 above 6/29, and a linear function below.
fn inverse_lab_curve<B: Backend>(t: Tensor<B, 4>) -> Tensor<B, 4> {
    let is_cubic = t.clone().greater_elem(0.2068966);
    let cube = t.clone() * t.clone() * t.clone();
    let line = (t - 16.0 / 116.0) / 7.787;
    line.mask_where(is_cubic, cube)
}

/// Converts linear light v, at least 0, to sRGB: 1.055 v^(1/2.4) - 0.055 above 0.0031308, and 12.92
/// v below.
fn srgb_curve<B: Backend>(linear: Tensor<B, 4>) -> Tensor<B, 4> {
    const TOE: f64 = 0.0031308;
    let is_power = linear.clone().greater_elem(TOE);
    // The power has an infinite slope at 0. Below the toe its gradient is multiplied by 0, which
    // gives NaN if the gradient is infinite. So the power is never computed for a value below the
    // toe.
    let power = linear.clone().clamp_min(TOE).powf_scalar(1.0 / 2.4) * 1.055 - 0.055;
    (linear * 12.92).mask_where(is_power, power)
}
