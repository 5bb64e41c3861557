//! A few soft-shaded shapes on a background, painted in CIE Lab.
//!
//! Every pixel is a mixture of Lab colors. Turning the hue commutes with mixing, so all palettes of a
//! scene have the same lightness by construction.

use std::f64::consts::TAU;

use image::{Rgb, RgbImage};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::canvas::{Canvas, Color, Form, Point};
use super::{MODES, palette};
use crate::color::srgb_from_lab;

/// The largest hue offset of an object in degrees, in either direction. It is small enough to keep the
/// palettes apart.
const HUE_OFFSET: f64 = 20.0;

/// Half the range of lightness in the shading of one object.
const SHADING: f64 = 4.0;

/// A painted scene in CIE Lab, in the first palette.
pub(super) struct Shapes {
    canvas: Canvas,
}

/// Composes and paints a scene.
pub(super) fn draw(rng: &mut ChaCha8Rng, height: usize, width: usize) -> Shapes {
    let extent = Canvas::extent(height, width);
    let background_lightness = rng.random_range(58.0..70.0);
    let background = surface(rng, background_lightness);
    let mut canvas = Canvas::new(height, width, |[_, y]| {
        shaded(background, 2.0 * y / extent[1] - 1.0)
    });
    let mut centers = Vec::new();
    for i in 0..rng.random_range(3..=6) {
        // Sizes decrease, so that no object is hidden completely.
        let size = rng.random_range(0.2..0.27) * (1.0 - 0.08 * f64::from(i));
        let center = place(rng, extent, &centers);
        centers.push(center);
        let form = form(rng, center, size);
        // Objects are alternately darker and lighter than the background, so that neighbors can be
        // distinguished in gray.
        let lightness = if i % 2 == 0 {
            rng.random_range(46.0..background_lightness - 9.0)
        } else {
            rng.random_range(background_lightness + 4.0..76.0)
        };
        let color = surface(rng, lightness);
        let shadow = |[x, y]: Point| {
            let distance = form.distance([x - 0.025, y - 0.03]);
            0.14 * (1.0 - distance / 0.045).clamp(0.0, 1.0)
        };
        canvas.blend(shadow, |_| [0.0; 3]);
        canvas.paint(
            |point| form.distance(point),
            |[_, y]| shaded(color, (y - center[1]) / size),
        );
    }
    Shapes { canvas }
}

/// Draws a few random places and returns the one farthest from the places already taken.
fn place(rng: &mut ChaCha8Rng, extent: Point, taken: &[Point]) -> Point {
    const MARGIN: f64 = 0.18;
    let room = |[x, y]: Point| {
        taken
            .iter()
            .map(|other| (x - other[0]).hypot(y - other[1]))
            .fold(f64::INFINITY, f64::min)
    };
    let mut candidate = || extent.map(|side| rng.random_range(MARGIN..side - MARGIN));
    let mut best = candidate();
    for _ in 0..7 {
        let other = candidate();
        if room(other) > room(best) {
            best = other;
        }
    }
    best
}

fn surface(rng: &mut ChaCha8Rng, lightness: f64) -> Color {
    palette::color(
        lightness,
        SHADING,
        rng.random_range(-HUE_OFFSET..HUE_OFFSET),
    )
}

/// Returns the color at a height within an object, from -1 (top) to 1 (bottom). The bottom is darker.
fn shaded([lightness, a, b]: Color, height: f64) -> Color {
    [lightness - SHADING * height.clamp(-1.0, 1.0), a, b]
}

fn form(rng: &mut ChaCha8Rng, center: Point, size: f64) -> Form {
    let angle = rng.random_range(0.0..TAU);
    let flat = rng.random_range(0.55..1.0);
    match rng.random_range(0..4) {
        0 => Form::Disk {
            center,
            radius: size * 0.85,
        },
        1 => Form::Rectangle {
            center,
            half: [size * 0.9, size * 0.9 * flat],
            angle,
        },
        2 => Form::Triangle([0.0, 1.0, 2.0].map(|corner| {
            let (sin, cos) = (angle + corner * TAU / 3.0).sin_cos();
            [center[0] + size * 1.15 * cos, center[1] + size * 1.15 * sin]
        })),
        _ => Form::Stripes {
            center,
            half: [size, size * flat],
            angle,
            period: size * 2.0 / rng.random_range(2.0..3.5),
        },
    }
}

impl Shapes {
    /// Returns the scene in each palette.
    pub fn palettes(&self) -> [RgbImage; MODES] {
        std::array::from_fn(|k| {
            RgbImage::from_fn(
                self.canvas.width as u32,
                self.canvas.height as u32,
                |x, y| {
                    let lab = self.canvas.pixels[y as usize * self.canvas.width + x as usize];
                    let rgb = srgb_from_lab(palette::turn(lab, k));
                    Rgb(rgb.map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8))
                },
            )
        })
    }
}
