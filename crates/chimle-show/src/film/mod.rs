//! Animated GIF and animated PNG, images side by side in a frame, and images that dissolve into each other.
//!
//! A GIF has 256 colors; [`gif`] chooses them once for the whole animation, so that what stands still keeps its
//! colors from frame to frame. An animated PNG keeps every color and is some times larger. Both hold, of each frame
//! after the first, only the rectangle that changed, and repeat forever.

mod apng;
mod beside;
mod dissolve;
mod gif;
mod palette;

use std::path::Path;

use image::RgbImage;

pub use apng::apng;
pub use beside::beside;
pub use dissolve::dissolve;
pub use gif::gif;

use crate::{Error, error};

/// A picture of an animation.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The picture.
    pub image: RgbImage,
    /// How long it is shown.
    pub milliseconds: u32,
}

/// Writes `frames` to `path`: as a GIF, or as an animated PNG (`.png`, `.apng`), by the extension.
///
/// # Errors
///
/// No frames, frames that differ in size or have no pixels, any other extension, and a file that cannot be written.
pub fn save(frames: &[Frame], path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    let bytes = match error::extension(path).as_str() {
        "gif" => gif(frames)?,
        "png" | "apng" => apng(frames)?,
        _ => {
            return Err(Error::Extension {
                path: path.to_owned(),
                needed: ".gif, .png or .apng",
            });
        }
    };
    error::write(path, &bytes)
}

/// The size that all frames have.
fn common_size(frames: &[Frame]) -> Result<(u32, u32), Error> {
    let first = frames
        .first()
        .ok_or(Error::Nothing { what: "frames" })?
        .image
        .dimensions();
    if first.0 == 0 || first.1 == 0 {
        return Err(Error::NoPixels {
            what: "frame 0".into(),
        });
    }
    match frames
        .iter()
        .position(|frame| frame.image.dimensions() != first)
    {
        None => Ok(first),
        Some(index) => Err(Error::FrameSize {
            index,
            size: frames[index].image.dimensions(),
            first,
        }),
    }
}

/// A rectangle of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rectangle {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Rectangle {
    /// What must be drawn to make `next` of `previous`: everything where there is none, one pixel where they agree.
    fn changed(previous: Option<&RgbImage>, next: &RgbImage) -> Self {
        let (width, height) = next.dimensions();
        let Some(previous) = previous else {
            return Self {
                left: 0,
                top: 0,
                width,
                height,
            };
        };
        let (mut left, mut top, mut right, mut bottom) = (width, height, 0, 0);
        for ((x, y, one), other) in previous.enumerate_pixels().zip(next.pixels()) {
            if one != other {
                (left, right) = (left.min(x), right.max(x));
                (top, bottom) = (top.min(y), bottom.max(y));
            }
        }
        if left > right {
            (left, top, right, bottom) = (0, 0, 0, 0);
        }
        Self {
            left,
            top,
            width: right - left + 1,
            height: bottom - top + 1,
        }
    }

    /// The pixels of `image` within it, row by row.
    fn pixels(self, image: &RgbImage) -> impl Iterator<Item = (u32, u32, [u8; 3])> {
        (self.top..self.top + self.height).flat_map(move |y| {
            (self.left..self.left + self.width).map(move |x| (x, y, image.get_pixel(x, y).0))
        })
    }
}

/// The frames, each with what changed since the one before.
fn changes(frames: &[Frame]) -> impl Iterator<Item = (&Frame, Rectangle)> {
    frames.iter().enumerate().map(|(index, frame)| {
        let previous = index.checked_sub(1).map(|before| &frames[before].image);
        (frame, Rectangle::changed(previous, &frame.image))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn the_changed_rectangle_is_the_smallest_that_holds_every_change() {
        let before = RgbImage::new(8, 6);
        let mut after = before.clone();
        assert_eq!(Rectangle::changed(Some(&before), &after).width, 1);
        after.put_pixel(2, 1, Rgb([1, 0, 0]));
        after.put_pixel(5, 4, Rgb([0, 0, 9]));
        let changed = Rectangle::changed(Some(&before), &after);
        assert_eq!(
            changed,
            Rectangle {
                left: 2,
                top: 1,
                width: 4,
                height: 4
            }
        );
        let pixels: Vec<_> = changed.pixels(&after).collect();
        assert_eq!((pixels.len(), pixels[0]), (16, (2, 1, [1, 0, 0])));
        assert_eq!(Rectangle::changed(None, &after).height, 6);
    }
}
