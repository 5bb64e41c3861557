//! Line plots, as SVG and as PNG.
//!
//! A [`Plot`] is a title, two axes and its [`Series`]. Its colors are told apart by people who are color-blind
//! (Okabe and Ito's), and from the seventh series on lines are dashed as well. A value that is not a number, or
//! that a logarithmic axis cannot show, leaves a gap. Any number of points is drawn, also none or one.

mod axis;
mod line;
mod svg;

use std::path::Path;

use image::RgbImage;

pub use axis::Scale;

use crate::{Error, error, raster};

/// Pixels of a PNG to a unit of a plot's width and height.
const PNG_SCALE: f32 = 2.0;

/// A line plot.
///
/// ```
/// use chimle_show::{Plot, Scale, Series};
///
/// # fn main() -> Result<(), chimle_show::Error> {
/// let losses = (1..=500).map(|step| (f64::from(step), 1.0 / f64::from(step).sqrt()));
/// let plot = Plot {
///     title: "Training".into(),
///     x_label: "step".into(),
///     y_label: "loss".into(),
///     y_scale: Scale::Log,
///     series: vec![Series::smoothed("batch", losses, 20.0)],
///     ..Plot::default()
/// };
/// assert!(plot.svg().starts_with("<svg"));
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// plot.save(folder.join("loss.png"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// What it shows; written above it. May be empty.
    pub title: String,
    /// What runs along the horizontal axis.
    pub x_label: String,
    /// What runs along the vertical axis.
    pub y_label: String,
    /// How values are spread over the horizontal axis.
    pub x_scale: Scale,
    /// How values are spread over the vertical axis.
    pub y_scale: Scale,
    /// The ends of the horizontal axis, where the points should not decide.
    pub x_range: Option<(f64, f64)>,
    /// The ends of the vertical axis, where the points should not decide.
    pub y_range: Option<(f64, f64)>,
    /// The lines, in the order of the legend. One alone has no legend.
    pub series: Vec<Series>,
    /// Width in CSS pixels, at least 160.
    pub width: u32,
    /// Height in CSS pixels, at least 120.
    pub height: u32,
}

impl Default for Plot {
    fn default() -> Self {
        Self {
            title: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            x_scale: Scale::Linear,
            y_scale: Scale::Linear,
            x_range: None,
            y_range: None,
            series: Vec::new(),
            width: 720,
            height: 400,
        }
    }
}

/// One line of a [`Plot`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// Its points (x, y), joined in this order.
    pub points: Vec<(f64, f64)>,
    /// Points drawn faintly behind it: what `points` was smoothed from. May be empty.
    pub raw: Vec<(f64, f64)>,
}

impl Series {
    /// A line through `points`.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points: points.into_iter().collect(),
            raw: Vec::new(),
        }
    }

    /// `points` drawn faintly, and before them their running mean, whose weights fall by e every `span` points.
    ///
    /// Each mean is over the points so far alone, its weights adding up to one from the first point on. A y that
    /// is not finite is left out of the means and leaves a gap.
    pub fn smoothed(
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
        span: f64,
    ) -> Self {
        let kept = (-1.0 / span.max(f64::MIN_POSITIVE)).exp();
        let raw: Vec<_> = points.into_iter().collect();
        let (mut sum, mut weight) = (0.0, 0.0);
        let points = raw
            .iter()
            .map(|&(x, y)| {
                if !y.is_finite() {
                    return (x, f64::NAN);
                }
                sum = kept * sum + y;
                weight = kept * weight + 1.0;
                (x, sum / weight)
            })
            .collect();
        Self {
            name: name.into(),
            points,
            raw,
        }
    }
}

impl Plot {
    /// The plot as one `<svg>` element, which is also a whole SVG file.
    ///
    /// Text and axes are in `currentColor`, line `k` has the class `series-(k % 6)` and the background the class
    /// `paper`, so that the style sheet of a page around it can change them.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }

    /// The plot on white, `scale` pixels to a CSS pixel.
    ///
    /// Text is in DejaVu Sans: Latin, Greek, Cyrillic and mathematical signs; of other scripts it shows empty boxes.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if the picture would have no pixels, or too many for the memory.
    pub fn image(&self, scale: f32) -> Result<RgbImage, Error> {
        raster::render(&self.svg(), scale)
    }

    /// Writes the plot to `path`: as SVG, or as PNG at two pixels to a CSS pixel, by the extension.
    ///
    /// # Errors
    ///
    /// Any other extension, and a file that cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        match error::extension(path).as_str() {
            "svg" => error::write(path, self.svg().as_bytes()),
            "png" => error::write(
                path,
                &crate::png_bytes(&self.image(PNG_SCALE)?, "the plot")?,
            ),
            _ => Err(Error::Extension {
                path: path.to_owned(),
                needed: ".svg or .png",
            }),
        }
    }

    /// The plot with its points up to `x` alone, and the axes of the whole: a frame of an animation in which the
    /// lines grow.
    pub fn until(&self, x: f64) -> Self {
        let (horizontal, vertical) = svg::axes(self);
        let upto = |points: &[(f64, f64)]| {
            points
                .iter()
                .copied()
                .filter(|point| point.0 <= x)
                .collect()
        };
        Self {
            x_range: Some(horizontal.ends()),
            y_range: Some(vertical.ends()),
            series: self
                .series
                .iter()
                .map(|series| Series {
                    name: series.name.clone(),
                    points: upto(&series.points),
                    raw: upto(&series.raw),
                })
                .collect(),
            ..self.clone()
        }
    }
}
