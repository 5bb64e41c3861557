//! What a run produced, made visible.
//!
//! - [`Page`] is one HTML file that needs nothing else: for each [`Input`] its conditioning and its samples, to be
//!   compared in place, the truth once asked for, the curves, the [`Measure`]s and the settings.
//! - [`Comparison`] is one HTML file that compares methods: tables, plots, and samples for the same inputs side by side.
//! - [`Plot`] is a line plot, as SVG and as PNG. The SVG is written here, since the page needs classes and
//!   `currentColor` in it, and [resvg](https://docs.rs/resvg) makes the PNG from that same SVG, so that there is one
//!   drawing of a plot and not one for each format.
//! - [`film`] is a sequence of [`Frame`]s as an animated GIF or PNG, and images side by side in a frame.
//!
//! ```
//! use chimle_show::{Frame, Input, Measure, Page, Plot, Series, film};
//! use image::{Rgb, RgbImage};
//!
//! # fn main() -> Result<(), chimle_show::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//! let samples: Vec<_> = (0..4).map(|k| RgbImage::from_pixel(32, 32, Rgb([60 * k, 90, 120]))).collect();
//! let loss = Plot {
//!     title: "Loss".into(),
//!     series: vec![Series::new("train", [(0.0, 1.0), (100.0, 0.4), (200.0, 0.3)])],
//!     ..Plot::default()
//! };
//!
//! let frames: Vec<Frame> = samples
//!     .iter()
//!     .zip([50.0, 100.0, 150.0, 200.0])
//!     .map(|(sample, step)| {
//!         let curve = loss.until(step).image(1.0)?;
//!         let image = film::beside(&[sample, &curve], &format!("step {step}"))?;
//!         Ok(Frame { image, milliseconds: 200 })
//!     })
//!     .collect::<Result<_, chimle_show::Error>>()?;
//! film::save(&frames, folder.join("training.gif"))?;
//!
//! let page = Page {
//!     title: "Colorization".into(),
//!     settings: vec![("steps".into(), "200".into())],
//!     inputs: vec![Input {
//!         name: "boat".into(),
//!         conditioning: RgbImage::from_pixel(32, 32, Rgb([90; 3])),
//!         truths: vec![],
//!         samples,
//!     }],
//!     curves: vec![loss],
//!     measures: vec![Measure::new("LPIPS, best of 4", "0.117", "0.109 to 0.125")],
//! };
//! page.save(folder.join("samples.html"))?;
//! # Ok(())
//! # }
//! ```

mod error;
mod escape;
pub mod film;
pub mod page;
pub mod plot;
mod raster;
mod tensorboard;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};

pub use error::Error;
pub use film::Frame;
pub use page::{Compared, Comparison, Input, Measure, Page, Table};
pub use plot::{Plot, Scale, Series};
pub use tensorboard::TensorBoard;

/// `image` as a PNG; `what` names it in the error where it has no pixels.
fn png_bytes(image: &RgbImage, what: &str) -> Result<Vec<u8>, Error> {
    if image.is_empty() {
        return Err(Error::NoPixels { what: what.into() });
    }
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Level(4), FilterType::Adaptive)
        .write_image(
            image,
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .map_err(|error| Error::encode("a PNG")(&error))?;
    Ok(bytes)
}
