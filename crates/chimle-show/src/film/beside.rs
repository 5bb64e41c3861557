//! Images side by side.

use image::{RgbImage, imageops};

use crate::raster::{self, CHARACTER_WIDTH};
use crate::{Error, escape};

const MARGIN: u32 = 12;
const LINE_HEIGHT: u32 = 22;
const FONT_SIZE: f64 = 15.0;

/// Draws `images` from left to right on white, with `caption` below.
///
/// An image that is at most half as high as the highest image is enlarged by an integer factor, without
/// smoothing. Images are centered vertically. A long caption is broken into lines, and an empty caption takes
/// no space. Frames of an animation have the same size if their images have the same sizes and their captions
/// take the same number of lines.
///
/// # Errors
///
/// If there are no images, an image has no pixels, or the caption cannot be drawn.
pub fn beside(images: &[&RgbImage], caption: &str) -> Result<RgbImage, Error> {
    if images.is_empty() {
        return Err(Error::Nothing { what: "images" });
    }
    if let Some(index) = images.iter().position(|image| image.is_empty()) {
        return Err(Error::NoPixels {
            what: format!("image {index}"),
        });
    }
    let highest = images.iter().map(|image| image.height()).max().unwrap_or(1);
    let images: Vec<_> = images
        .iter()
        .map(|image| {
            let factor = highest / image.height();
            let (width, height) = (factor * image.width(), factor * image.height());
            imageops::resize(*image, width, height, imageops::FilterType::Nearest)
        })
        .collect();
    let width = images
        .iter()
        .map(|image| image.width() + MARGIN)
        .sum::<u32>()
        + MARGIN;
    let caption = caption_picture(caption, width)?;
    let caption_height = caption.as_ref().map_or(0, RgbImage::height);
    let height = highest + 2 * MARGIN + caption_height;

    let mut whole = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
    let mut left = MARGIN;
    for image in &images {
        let top = MARGIN + (highest - image.height()) / 2;
        imageops::replace(&mut whole, image, left.into(), top.into());
        left += image.width() + MARGIN;
    }
    if let Some(caption) = caption {
        imageops::replace(
            &mut whole,
            &caption,
            0,
            (highest + MARGIN + MARGIN / 2).into(),
        );
    }
    Ok(whole)
}

fn caption_picture(caption: &str, width: u32) -> Result<Option<RgbImage>, Error> {
    let room = f64::from(width - 2 * MARGIN) / (FONT_SIZE * CHARACTER_WIDTH);
    let lines = lines(caption, room as usize);
    if lines.is_empty() {
        return Ok(None);
    }
    let height = LINE_HEIGHT * lines.len() as u32;
    let texts: String = lines
        .iter()
        .zip((0..).map(|line| line * LINE_HEIGHT + 16))
        .map(|(line, y)| {
            format!(
                "<text x=\"{MARGIN}\" y=\"{y}\">{}</text>",
                escape::markup(line)
            )
        })
        .collect();
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"{FONT_SIZE}\" fill=\"#222226\">{texts}</svg>"
    );
    raster::render(&svg, 1.0).map(Some)
}

/// Breaks `text` into lines of at most `room` characters. A longer word gets its own line.
fn lines(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_is_broken_between_words() {
        assert_eq!(lines("step 100 of 2000", 9), ["step 100", "of 2000"]);
        assert_eq!(lines("  ", 9), Vec::<String>::new());
        assert_eq!(lines("unbreakable", 3), ["unbreakable"]);
    }
}
