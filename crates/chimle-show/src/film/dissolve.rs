//! Cross-dissolves between images.

use image::{Rgb, RgbImage};

use super::Frame;

/// The number of blended frames between two images.
const BETWEEN: u32 = 5;

/// Shows each image for `hold` milliseconds and dissolves it into the next image within `change` milliseconds. The
/// last image dissolves into the first, so the film can repeat without a jump.
///
/// For one image, the result is one frame. Images of different sizes are not rejected here, but when the frames
/// are encoded.
pub fn dissolve(images: &[RgbImage], hold: u32, change: u32) -> Vec<Frame> {
    let held = |image: &RgbImage| Frame {
        image: image.clone(),
        milliseconds: hold,
    };
    if let [image] = images {
        return vec![held(image)];
    }
    let next = images.iter().cycle().skip(1);
    let shown = images.iter().zip(next).flat_map(|(image, next)| {
        let between = (1..=BETWEEN).map(|step| Frame {
            image: blend(image, next, step, BETWEEN + 1),
            milliseconds: change / BETWEEN,
        });
        [held(image)].into_iter().chain(between)
    });
    shown.collect()
}

/// Returns the image that is `step / steps` of the way from one image to the other. If their sizes differ, the
/// first image is returned.
fn blend(from: &RgbImage, to: &RgbImage, step: u32, steps: u32) -> RgbImage {
    let mut blended = from.clone();
    if from.dimensions() != to.dimensions() {
        return blended;
    }
    for (Rgb(from), Rgb(to)) in blended.pixels_mut().zip(to.pixels()) {
        for (from, &to) in from.iter_mut().zip(to) {
            let sum = u32::from(*from) * (steps - step) + u32::from(to) * step;
            *from = ((sum + steps / 2) / steps) as u8;
        }
    }
    blended
}
