//! Line plots, as SVG and as PNG.
//!
//! A [`Plot`] has a title, two axes and [`Series`]. Its colors (Okabe and Ito's) can be told apart by
//! color-blind people, and from the seventh series on, lines are also dashed. A value that is NaN, or that a
//! logarithmic axis cannot show, leaves a gap. A series can have any number of points, including none or one.

mod axis;
mod line;
mod svg;

use std::path::Path;

use image::RgbImage;

pub use axis::Scale;

use crate::{Error, error, raster};

/// The number of pixels of a PNG per CSS pixel.
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
    /// The title above the plot. May be empty.
    pub title: String,
    /// The label of the horizontal axis.
    pub x_label: String,
    /// The label of the vertical axis.
    pub y_label: String,
    /// The scale of the horizontal axis.
    pub x_scale: Scale,
    /// The scale of the vertical axis.
    pub y_scale: Scale,
    /// The ends of the horizontal axis. If `None`, the points determine them.
    pub x_range: Option<(f64, f64)>,
    /// The ends of the vertical axis. If `None`, the points determine them.
    pub y_range: Option<(f64, f64)>,
    /// The lines, in the order of the legend. A single line has no legend.
    pub series: Vec<Series>,
    /// The width in CSS pixels, at least 160.
    pub width: u32,
    /// The height in CSS pixels, at least 120.
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
    /// The name in the legend.
    pub name: String,
    /// The points (x, y), joined in this order.
    pub points: Vec<(f64, f64)>,
    /// Points drawn faintly behind the line: the values before smoothing. May be empty.
    pub raw: Vec<(f64, f64)>,
}

impl Series {
    /// Creates a line through `points`.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points: points.into_iter().collect(),
            raw: Vec::new(),
        }
    }

    /// Creates a line of the exponential moving average of `points`, with `points` drawn faintly behind it. The
    /// weights fall by a factor of e every `span` points.
    ///
    /// Each mean covers only the points so far, with weights that sum to one from the first point on. A y that
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
    /// Returns the plot as one `<svg>` element, which is also a complete SVG file.
    ///
    /// Text and axes are in `currentColor`, line `k` has the class `series-(k % 6)`, and the background has the
    /// class `paper`. So the style sheet of a page can change all colors.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }

    /// Renders the plot on white, with `scale` pixels per CSS pixel.
    ///
    /// Text is in DejaVu Sans, which has Latin, Greek, Cyrillic and mathematical characters. Other characters
    /// appear as empty boxes.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if the image would have no pixels, or too many for the memory.
    pub fn image(&self, scale: f32) -> Result<RgbImage, Error> {
        raster::render(&self.svg(), scale)
    }

    /// Writes the plot to `path`, as SVG (`.svg`) or as PNG (`.png`, two pixels per CSS pixel), depending on the
    /// extension.
    ///
    /// # Errors
    ///
    /// If the extension is a different one, or the file cannot be written.
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

    /// Returns the plot with only its points up to `x`, but with the axes of the whole plot: a frame of an
    /// animation in which the lines grow.
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
