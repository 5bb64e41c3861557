//! Pictures of points in the plane.

use image::{Rgb, RgbImage, imageops};

/// The factor by which pictures are drawn larger and then downsampled, for smooth edges.
const FINER: u32 = 3;
const GAP: u32 = 8;

/// A square picture of the plane around 0.
#[derive(Debug, Clone)]
pub struct Scatter {
    picture: RgbImage,
    reach: f32,
}

impl Scatter {
    /// Creates a white picture, `side` pixels wide, which shows `-reach` to `reach` along both
    /// axes.
    pub fn new(side: u32, reach: f32) -> Self {
        let side = FINER * side;
        Self {
            picture: RgbImage::from_pixel(side, side, Rgb([255; 3])),
            reach,
        }
    }

    /// Draws dots with a radius in pixels at points, given row by row as (x, y). `cover` is the
    /// opacity.
    pub fn dots(mut self, points: &[f32], radius: f32, color: [u8; 3], cover: f32) -> Self {
        let radius = radius * FINER as f32;
        for point in points.chunks_exact(2) {
            self.paint(point, radius, color, cover, |distance| distance <= radius);
        }
        self
    }

    /// Draws circles around points, with a radius in units of the plane.
    pub fn circles<'a>(
        mut self,
        centers: impl Iterator<Item = &'a [f32]>,
        radius: f32,
        color: [u8; 3],
    ) -> Self {
        let half = self.picture.width() as f32 / 2.0;
        let radius = (radius / self.reach * half).max(FINER as f32 * 2.0);
        let line = FINER as f32 * 0.5;
        for center in centers {
            self.paint(center, radius + line, color, 1.0, |distance| {
                (distance - radius).abs() <= line
            });
        }
        self
    }

    fn paint(
        &mut self,
        point: &[f32],
        around: f32,
        color: [u8; 3],
        cover: f32,
        inside: impl Fn(f32) -> bool,
    ) {
        let side = self.picture.width() as f32;
        let place = |value: f32| (value / self.reach + 1.0) * side / 2.0;
        let (x, y) = (place(point[0]), side - place(point[1]));
        let span = |middle: f32| {
            let [low, high] =
                [middle - around, (middle + around).ceil()].map(|end| end.clamp(0.0, side) as u32);
            low..high
        };
        for row in span(y) {
            for column in span(x) {
                let distance = (column as f32 + 0.5 - x).hypot(row as f32 + 0.5 - y);
                if inside(distance) {
                    let pixel = self.picture.get_pixel_mut(column, row);
                    for (below, above) in pixel.0.iter_mut().zip(color) {
                        *below =
                            (f32::from(*below) * (1.0 - cover) + f32::from(above) * cover) as u8;
                    }
                }
            }
        }
    }

    /// Returns the picture, with a thin frame.
    pub fn picture(&self) -> RgbImage {
        let side = self.picture.width() / FINER;
        let mut picture =
            imageops::resize(&self.picture, side, side, imageops::FilterType::Triangle);
        for k in 0..side {
            for (x, y) in [(k, 0), (k, side - 1), (0, k), (side - 1, k)] {
                picture.put_pixel(x, y, Rgb([190; 3]));
            }
        }
        picture
    }
}

/// Arranges pictures in rows of `count`, on white.
pub fn columns(pictures: &[RgbImage], count: usize) -> RgbImage {
    let width = pictures.iter().map(RgbImage::width).max().unwrap_or(1) + GAP;
    let height = pictures.iter().map(RgbImage::height).max().unwrap_or(1) + GAP;
    let rows = pictures.len().div_ceil(count) as u32;
    let mut whole = RgbImage::from_pixel(width * count as u32, height * rows, Rgb([255; 3]));
    for (k, picture) in pictures.iter().enumerate() {
        let (column, row) = ((k % count) as u32, (k / count) as u32);
        let (left, top) = (column * width + GAP / 2, row * height + GAP / 2);
        imageops::replace(&mut whole, picture, left.into(), top.into());
    }
    whole
}
