//! Animated GIF and PNG, images side by side in a frame, and images that dissolve into each other.
//!
//! A GIF has 256 colors. [`gif`] chooses them once for the whole animation, so pixels that do not change keep their
//! color in all frames. An animated PNG keeps all colors, but the file is several times larger. Both formats store
//! only the changed rectangle of each frame after the first, and both repeat forever.

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

/// A frame of an animation.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The image.
    pub image: RgbImage,
    /// The duration for which the frame is shown, in milliseconds.
    pub milliseconds: u32,
}

/// Writes `frames` to `path`, as a GIF (`.gif`) or as an animated PNG (`.png`, `.apng`), depending on the
/// extension.
///
/// # Errors
///
/// If there are no frames, frames differ in size or have no pixels, the extension is a different one, or the file
/// cannot be written.
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

/// Returns the size that all frames share.
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

/// A rectangle in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rectangle {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Rectangle {
    /// Returns the rectangle that must be redrawn to turn `previous` into `next`. It is the whole frame if there is
    /// no previous frame, and one pixel if both frames are equal.
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

    /// Returns the pixels of `image` within the rectangle, row by row.
    fn pixels(self, image: &RgbImage) -> impl Iterator<Item = (u32, u32, [u8; 3])> {
        (self.top..self.top + self.height).flat_map(move |y| {
            (self.left..self.left + self.width).map(move |x| (x, y, image.get_pixel(x, y).0))
        })
    }
}

/// Returns the frames, each with the rectangle that changed since the previous frame.
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
