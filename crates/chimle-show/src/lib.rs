//! Shows the results of a training run as HTML pages, plots and animations.
//!
//! Use this crate to write reports from a program that has images and numbers. It takes images of the `image` crate and
//! knows no tensors. It is not an interactive viewer: it only writes files.
//!
//! - [`Page`] is one self-contained HTML file. For each [`Input`] it shows the conditioning and the samples, which are
//!   compared in place, and the truth on request. Curves, [`Measure`]s and settings follow.
//! - [`Comparison`] is one HTML file that compares methods: tables, plots, and samples for the same inputs side by side.
//! - [`Plot`] is a line plot, as SVG or PNG. This crate writes the SVG itself, because a page needs classes and
//!   `currentColor` in it. [resvg](https://docs.rs/resvg) renders the PNG from the same SVG, so both formats look alike.
//! - [`film`] writes a sequence of [`Frame`]s as an animated GIF or PNG, and places images side by side in a frame.
//! - [`TensorBoard`] writes event files of scalars.
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

/// Encodes `image` as a PNG. `what` names the image in the error if it has no pixels.
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
