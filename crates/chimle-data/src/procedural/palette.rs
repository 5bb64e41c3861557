//! Hues in the plane of CIE a and b, in four palettes that are a quarter turn apart.

use super::MODES;
use super::canvas::Color;
use crate::color::srgb_from_lab;

/// The hue of the first palette in degrees. With this hue, all four palettes (orange, green, blue,
/// violet) reach about the same chroma.
const FIRST_HUE: f64 = 50.0;

/// The desired chroma. A color that cannot be displayed in all four palettes gets a lower one.
const CHROMA: f64 = 42.0;

/// Returns a Lab color of the first palette with its hue turned by `hue_offset` degrees. Its chroma can
/// be displayed in all palettes and at all lightnesses in `lightness ± spread`.
pub(super) fn color(lightness: f64, spread: f64, hue_offset: f64) -> Color {
    let hue = (FIRST_HUE + hue_offset).to_radians();
    let with_chroma =
        |lightness: f64, chroma: f64| [lightness, chroma * hue.cos(), chroma * hue.sin()];
    let fits = |chroma: f64| {
        [lightness - spread, lightness + spread]
            .iter()
            .all(|&l| (0..MODES).all(|k| in_gamut(turn(with_chroma(l, chroma), k))))
    };
    let mut chroma = CHROMA;
    while chroma > 1.0 && !fits(chroma) {
        chroma -= 1.0;
    }
    with_chroma(lightness, chroma)
}

/// Returns the color in palette `k`: its hue is turned by `k` quarters of the circle.
pub(super) fn turn([lightness, a, b]: Color, k: usize) -> Color {
    match k % 4 {
        0 => [lightness, a, b],
        1 => [lightness, -b, a],
        2 => [lightness, -a, -b],
        _ => [lightness, b, -a],
    }
}

/// Returns whether a Lab color can be displayed, with a margin for mixtures of such colors.
fn in_gamut(lab: Color) -> bool {
    srgb_from_lab(lab).iter().all(|v| (0.02..=0.98).contains(v))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_vivid_enough_to_tell_palettes_apart() {
        for lightness in [46.0, 50.0, 55.0, 60.0, 65.0, 70.0, 74.0] {
            for offset in [-20.0, -10.0, 0.0, 10.0, 20.0] {
                let [_, a, b] = color(lightness, 0.0, offset);
                assert!(a.hypot(b) >= 22.0, "{lightness} {offset}: {}", a.hypot(b));
            }
        }
    }
}
