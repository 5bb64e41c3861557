//! Soft-edged shapes on a plane of colors.
//!
//! Positions are [x, y] from the upper left corner, in units of the image's shorter side.

/// A position, or an extent.
pub(super) type Point = [f64; 2];

/// A color in any space in which blending is linear.
pub(super) type Color = [f64; 3];

/// An outline, defined by the signed distance to it, which is negative inside.
#[derive(Clone, Debug)]
pub(super) enum Form {
    Disk {
        center: Point,
        radius: f64,
    },
    /// A rectangle turned by `angle` radians.
    Rectangle {
        center: Point,
        half: Point,
        angle: f64,
    },
    /// The corners are in clockwise order, with y pointing down.
    Triangle([Point; 3]),
    /// A rectangle that is cut into stripes, without every second stripe.
    Stripes {
        center: Point,
        half: Point,
        angle: f64,
        period: f64,
    },
}

impl Form {
    pub fn distance(&self, point: Point) -> f64 {
        match *self {
            Self::Disk { center, radius } => {
                (point[0] - center[0]).hypot(point[1] - center[1]) - radius
            }
            Self::Rectangle {
                center,
                half,
                angle,
            } => rectangle_distance(turned(point, center, angle), half),
            Self::Triangle(corners) => (0..3)
                .map(|i| line_distance(corners[i], corners[(i + 1) % 3], point))
                .fold(f64::NEG_INFINITY, f64::max),
            Self::Stripes {
                center,
                half,
                angle,
                period,
            } => {
                let at = turned(point, center, angle);
                let stripe = (at[0].rem_euclid(period) - period / 2.0).abs() - period / 4.0;
                rectangle_distance(at, half).max(stripe)
            }
        }
    }
}

fn turned(point: Point, center: Point, angle: f64) -> Point {
    let (x, y) = (point[0] - center[0], point[1] - center[1]);
    let (sin, cos) = angle.sin_cos();
    [x * cos + y * sin, y * cos - x * sin]
}

fn rectangle_distance(at: Point, half: Point) -> f64 {
    (at[0].abs() - half[0]).max(at[1].abs() - half[1])
}

/// Computes the signed distance to the line from `a` to `b`. It is positive to the left of the line,
/// with y pointing down.
fn line_distance(a: Point, b: Point, point: Point) -> f64 {
    let along = [b[0] - a[0], b[1] - a[1]];
    let length = along[0].hypot(along[1]).max(1e-9);
    (along[1] * (point[0] - a[0]) - along[0] * (point[1] - a[1])) / length
}

/// An image being painted.
#[derive(Clone, Debug)]
pub(super) struct Canvas {
    pub height: usize,
    pub width: usize,
    /// Row-major.
    pub pixels: Vec<Color>,
}

impl Canvas {
    /// Creates a canvas and fills it with the color at each position.
    pub fn new(height: usize, width: usize, color: impl Fn(Point) -> Color) -> Self {
        let mut canvas = Self {
            height,
            width,
            pixels: vec![[0.0; 3]; height * width],
        };
        canvas.each(|point, pixel| *pixel = color(point));
        canvas
    }

    /// Returns the width and height in units of the shorter side.
    pub fn extent(height: usize, width: usize) -> Point {
        let unit = height.min(width) as f64;
        [width as f64 / unit, height as f64 / unit]
    }

    /// Paints where `distance` is negative. The outline is softened over one pixel.
    pub fn paint(&mut self, distance: impl Fn(Point) -> f64, color: impl Fn(Point) -> Color) {
        let unit = self.height.min(self.width) as f64;
        self.blend(|point| 0.5 - distance(point) * unit, color);
    }

    /// Blends `color` over the canvas. The opacity is clamped to [0, 1].
    pub fn blend(&mut self, opacity: impl Fn(Point) -> f64, color: impl Fn(Point) -> Color) {
        self.each(|point, pixel| {
            let opacity = opacity(point).clamp(0.0, 1.0);
            if opacity > 0.0 {
                *pixel = mix(*pixel, color(point), opacity);
            }
        });
    }

    fn each(&mut self, mut change: impl FnMut(Point, &mut Color)) {
        let unit = self.height.min(self.width) as f64;
        for (i, pixel) in self.pixels.iter_mut().enumerate() {
            let (row, column) = (i / self.width, i % self.width);
            change(
                [(column as f64 + 0.5) / unit, (row as f64 + 0.5) / unit],
                pixel,
            );
        }
    }
}

/// Mixes two colors: `a` at share 0, `b` at share 1.
pub(super) fn mix(a: Color, b: Color, share: f64) -> Color {
    [0, 1, 2].map(|i| a[i] + (b[i] - a[i]) * share)
}
