//! A village by night and in four kinds of daylight.

use image::{Rgb, RgbImage};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Scene;
use super::canvas::{Canvas, Color, Form, Point, mix};

/// The light of a scene. Colors are sRGB in [0, 1]; factors of light may exceed 1.
struct Light {
    sky_top: Color,
    sky_horizon: Color,
    /// The factor of the colors of all surfaces.
    surfaces: Color,
    /// The share of the horizon's color in the color of the farthest hill.
    haze: f64,
    /// The sun or the moon: its height above the horizon as a share of the sky, its radius, its color.
    orb: Option<(f64, f64, Color)>,
    /// Whether lamps and windows are lit and there are stars.
    night: bool,
}

const NIGHT: Light = Light {
    sky_top: [0.03, 0.05, 0.14],
    sky_horizon: [0.11, 0.14, 0.28],
    surfaces: [0.17, 0.21, 0.36],
    haze: 0.35,
    orb: Some((0.72, 0.05, [0.86, 0.88, 0.92])),
    night: true,
};

const NOON: Light = Light {
    sky_top: [0.25, 0.53, 0.90],
    sky_horizon: [0.70, 0.86, 0.98],
    surfaces: [1.02, 1.02, 1.0],
    haze: 0.15,
    orb: Some((0.85, 0.045, [1.0, 1.0, 0.88])),
    night: false,
};

const OVERCAST: Light = Light {
    sky_top: [0.62, 0.65, 0.69],
    sky_horizon: [0.80, 0.82, 0.84],
    surfaces: [0.68, 0.71, 0.75],
    haze: 0.45,
    orb: None,
    night: false,
};

const EVENING: Light = Light {
    sky_top: [0.50, 0.42, 0.55],
    sky_horizon: [1.0, 0.71, 0.32],
    surfaces: [1.05, 0.74, 0.44],
    haze: 0.35,
    orb: Some((0.22, 0.085, [1.0, 0.92, 0.62])),
    night: false,
};

const DAWN: Light = Light {
    sky_top: [0.58, 0.60, 0.88],
    sky_horizon: [1.0, 0.74, 0.80],
    surfaces: [0.92, 0.70, 0.86],
    haze: 0.5,
    orb: Some((0.10, 0.06, [1.0, 0.90, 0.86])),
    night: false,
};

/// The parts of a village, without any light.
struct Village {
    horizon: f64,
    orb_x: f64,
    stars: Vec<Point>,
    /// From far to near.
    hills: Vec<Hill>,
    houses: Vec<House>,
    trees: Vec<Tree>,
    lamp: Point,
}

struct Hill {
    base: f64,
    swing: f64,
    frequency: f64,
    phase: f64,
    color: Color,
    /// The distance: 1 at the horizon, 0 in the foreground.
    depth: f64,
}

struct House {
    wall: Form,
    wall_color: Color,
    roof: Form,
    roof_color: Color,
    door: Form,
    /// The window panes, and whether each is lit at night.
    windows: Vec<(Form, bool)>,
}

struct Tree {
    trunk: Form,
    crown: Form,
    color: Color,
}

const WALLS: [Color; 4] = [
    [0.93, 0.87, 0.74],
    [0.86, 0.80, 0.76],
    [0.83, 0.66, 0.50],
    [0.90, 0.90, 0.88],
];
const ROOFS: [Color; 3] = [[0.66, 0.30, 0.22], [0.40, 0.38, 0.42], [0.52, 0.36, 0.26]];
const DOOR: Color = [0.36, 0.25, 0.18];
const TRUNK: Color = [0.34, 0.25, 0.18];
const LAMP_POST: Color = [0.22, 0.22, 0.24];
const DARK_PANE: Color = [0.30, 0.38, 0.46];
const LAMPLIGHT: Color = [1.0, 0.80, 0.42];

/// Composes a village and paints it by night (the input) and by day (the modes).
pub(super) fn draw(rng: &mut ChaCha8Rng, height: usize, width: usize) -> Scene {
    let village = Village::compose(rng, Canvas::extent(height, width));
    let under = |light: &Light| to_rgb(&village.paint(light, height, width));
    Scene {
        input: Some(under(&NIGHT)),
        outputs: [&NOON, &OVERCAST, &EVENING, &DAWN].map(under).into(),
    }
}

impl Village {
    fn compose(rng: &mut ChaCha8Rng, [width, height]: Point) -> Self {
        let horizon = height * rng.random_range(0.42..0.52);
        let stars = (0..14)
            .map(|_| {
                [
                    rng.random_range(0.0..width),
                    rng.random_range(0.0..horizon * 0.8),
                ]
            })
            .collect();
        let hills = [
            (0.0, 0.05, [0.42, 0.54, 0.50], 1.0),
            (0.09, 0.035, [0.40, 0.56, 0.33], 0.5),
            (0.24, 0.015, [0.50, 0.64, 0.32], 0.0),
        ]
        .map(|(below, swing, color, depth)| Hill {
            base: horizon + below * height,
            swing: swing * height,
            frequency: rng.random_range(4.0..8.0),
            phase: rng.random_range(0.0..std::f64::consts::TAU),
            color,
            depth,
        })
        .into();
        // Each house has its own plot. All plots have the same width, so houses do not overlap.
        let plots = ((width / 0.36).floor() as usize).max(2);
        let plot = width / plots as f64;
        let ground = horizon + 0.32 * height;
        let houses = (0..plots)
            .map(|i| {
                let left = i as f64 * plot;
                let center = left + plot * rng.random_range(0.42..0.58);
                let foot = ground + height * rng.random_range(0.0..0.06);
                House::compose(rng, [center, foot], plot)
            })
            .collect();
        let trees = (0..rng.random_range(2..=3))
            .map(|i| {
                let x = width * (f64::from(i) + rng.random_range(0.05..0.85)) / 3.0;
                let foot = height * rng.random_range(0.88..0.95);
                Tree::compose(rng, [x, foot])
            })
            .collect();
        Self {
            horizon,
            orb_x: width * rng.random_range(0.15..0.85),
            stars,
            hills,
            houses,
            trees,
            lamp: [
                width * rng.random_range(0.35..0.65),
                height * rng.random_range(0.66..0.72),
            ],
        }
    }

    fn paint(&self, light: &Light, height: usize, width: usize) -> Canvas {
        let sky = |[_, y]: Point| {
            mix(
                light.sky_top,
                light.sky_horizon,
                (y / self.horizon).min(1.0),
            )
        };
        let lit = |color: Color| [0, 1, 2].map(|i| color[i] * light.surfaces[i]);
        let mut canvas = Canvas::new(height, width, sky);

        if light.night {
            for &center in &self.stars {
                let star = Form::Disk {
                    center,
                    radius: 0.004,
                };
                canvas.paint(|p| star.distance(p), |_| [0.75, 0.78, 0.88]);
            }
        }
        if let Some((elevation, radius, color)) = light.orb {
            let center = [self.orb_x, self.horizon * (1.0 - elevation)];
            let orb = Form::Disk { center, radius };
            canvas.blend(|p| 0.4 * fade(orb.distance(p), 3.0 * radius), |_| color);
            canvas.paint(|p| orb.distance(p), |_| color);
        }
        for hill in &self.hills {
            let color = mix(lit(hill.color), light.sky_horizon, hill.depth * light.haze);
            canvas.paint(|p| hill.distance(p), |_| color);
        }
        for house in &self.houses {
            let mut part = |form: &Form, color: Color| {
                canvas.paint(|p| form.distance(p), |_| color);
            };
            part(&house.wall, lit(house.wall_color));
            part(&house.roof, lit(house.roof_color));
            part(&house.door, lit(DOOR));
            for (pane, at_home) in &house.windows {
                let burns = light.night && *at_home;
                part(pane, if burns { LAMPLIGHT } else { lit(DARK_PANE) });
            }
        }
        for tree in &self.trees {
            canvas.paint(|p| tree.trunk.distance(p), |_| lit(TRUNK));
            canvas.paint(|p| tree.crown.distance(p), |_| lit(tree.color));
        }
        self.paint_lamp(&mut canvas, light, lit(LAMP_POST));
        canvas
    }

    fn paint_lamp(&self, canvas: &mut Canvas, light: &Light, post_color: Color) {
        let [x, y] = self.lamp;
        let post = Form::Rectangle {
            center: [x, y + 0.11],
            half: [0.008, 0.11],
            angle: 0.0,
        };
        let bulb = Form::Disk {
            center: self.lamp,
            radius: 0.024,
        };
        canvas.paint(|p| post.distance(p), |_| post_color);
        if light.night {
            canvas.blend(|p| 0.55 * fade(bulb.distance(p), 0.16), |_| LAMPLIGHT);
        }
        let glass = if light.night {
            [1.0, 0.92, 0.70]
        } else {
            mix(post_color, light.sky_horizon, 0.6)
        };
        canvas.paint(|p| bulb.distance(p), |_| glass);
    }
}

impl Hill {
    fn distance(&self, [x, y]: Point) -> f64 {
        self.base + self.swing * (self.frequency * x + self.phase).sin() - y
    }
}

impl House {
    /// Composes a house that stands on `foot`, the middle of its base.
    fn compose(rng: &mut ChaCha8Rng, foot: Point, plot: f64) -> Self {
        let half_width = plot * rng.random_range(0.27..0.34);
        let half_height = rng.random_range(0.075..0.105);
        let center = [foot[0], foot[1] - half_height];
        let eaves = foot[1] - 2.0 * half_height;
        let upright = |center: Point, half: Point| Form::Rectangle {
            center,
            half,
            angle: 0.0,
        };
        let windows = [-0.55, 0.55]
            .map(|side| {
                let pane = upright(
                    [center[0] + side * half_width, center[1] - 0.1 * half_height],
                    [0.024, 0.030],
                );
                (pane, rng.random_bool(0.6))
            })
            .into();
        Self {
            wall: upright(center, [half_width, half_height]),
            wall_color: WALLS[rng.random_range(0..WALLS.len())],
            roof: Form::Triangle([
                [center[0], eaves - rng.random_range(0.09..0.13)],
                [center[0] + half_width * 1.2, eaves],
                [center[0] - half_width * 1.2, eaves],
            ]),
            roof_color: ROOFS[rng.random_range(0..ROOFS.len())],
            door: upright([center[0], foot[1] - 0.045], [0.02, 0.045]),
            windows,
        }
    }
}

impl Tree {
    /// Composes a tree that stands on `foot`.
    fn compose(rng: &mut ChaCha8Rng, foot: Point) -> Self {
        let radius = rng.random_range(0.05..0.075);
        Self {
            trunk: Form::Rectangle {
                center: [foot[0], foot[1] - 0.04],
                half: [0.011, 0.045],
                angle: 0.0,
            },
            crown: Form::Disk {
                center: [foot[0], foot[1] - 0.07 - radius],
                radius,
            },
            color: mix(
                [0.22, 0.42, 0.22],
                [0.42, 0.54, 0.20],
                rng.random_range(0.0..1.0),
            ),
        }
    }
}

/// Falls from 1 at an outline to 0 at the distance `reach` from it.
fn fade(distance: f64, reach: f64) -> f64 {
    (1.0 - distance / reach).clamp(0.0, 1.0).powi(2)
}

fn to_rgb(canvas: &Canvas) -> RgbImage {
    RgbImage::from_fn(canvas.width as u32, canvas.height as u32, |x, y| {
        let color = canvas.pixels[y as usize * canvas.width + x as usize];
        Rgb(color.map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8))
    })
}
