//! One picture turning into the next.

use image::{Rgb, RgbImage};

use super::Frame;

/// Pictures between one and the next.
const BETWEEN: u32 = 5;

/// Shows each image for `hold` milliseconds and lets it dissolve into the next within `change` milliseconds, the last
/// into the first, so that the film has no end.
///
/// Of one image there is one frame. Images that differ in size are refused by what writes the frames.
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

/// The picture `step / steps` of the way from one to another of the same size. (From one of another size, itself.)
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
