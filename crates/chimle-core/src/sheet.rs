//! Contact sheets: rows of images of one size.

use std::path::Path;

use image::{Rgb, RgbImage, imageops};

use crate::error::Error;

/// The width of the white space between images, in pixels.
const GAP: u32 = 2;

/// Rows of images that are combined into one picture.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    rows: Vec<Vec<RgbImage>>,
    least: u32,
}

impl Sheet {
    /// Creates an empty sheet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the smallest side of an image in pixels. Smaller images are enlarged without smoothing, so that
    /// their pixels stay visible.
    pub fn at_least(mut self, pixels: u32) -> Self {
        self.least = pixels;
        self
    }

    /// Adds a row. Images smaller than the largest image of the sheet are enlarged to the size of that image
    /// without smoothing, so that the pixels of a small input stay visible.
    pub fn push(&mut self, row: Vec<RgbImage>) {
        self.rows.push(row);
    }

    /// Returns the picture.
    pub fn picture(&self) -> RgbImage {
        let images = || self.rows.iter().flatten();
        let width = images().map(RgbImage::width).max().unwrap_or(1);
        let height = images().map(RgbImage::height).max().unwrap_or(1);
        let times = self.least.div_ceil(width.min(height)).max(1);
        let (width, height) = (width * times, height * times);
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0) as u32;
        let size = |count: u32, side: u32| (count * (side + GAP)).saturating_sub(GAP).max(1);
        let mut picture = RgbImage::from_pixel(
            size(columns, width),
            size(self.rows.len() as u32, height),
            Rgb([255; 3]),
        );
        for (y, row) in self.rows.iter().enumerate() {
            for (x, image) in row.iter().enumerate() {
                let (left, top) = (x as u32 * (width + GAP), y as u32 * (height + GAP));
                let shown = if image.dimensions() == (width, height) {
                    image.clone()
                } else {
                    imageops::resize(image, width, height, imageops::FilterType::Nearest)
                };
                imageops::replace(&mut picture, &shown, left.into(), top.into());
            }
        }
        picture
    }

    /// Writes the picture as PNG.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        self.picture().save(path).map_err(|e| Error::Picture {
            path: path.to_owned(),
            reason: e.to_string(),
        })
    }
}
