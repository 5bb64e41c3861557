//! A mixture distribution in two dimensions, drawn as tiny images.

use chimle_core::Task;
use chimle_core::data::procedural::{MODES, Scene};
use chimle_core::data::{DataError, Planes, Sizes};
use image::{Rgb, RgbImage};

/// The gray value of the frame around the tiles.
const FRAME: u8 = 128;
/// The difference between the gray values of a tile and the frame, in the output and in the input.
const STEP: u8 = 64;
const STEP_OF_INPUT: u8 = 20;
/// The places where the two tiles can meet, in eighths of the width.
const SPLITS: [u32; 3] = [3, 4, 5];

/// A task with two tiles in a frame, each of which is light or dark. The four equally likely modes are the corners of a
/// square.
///
/// The input shows the positions of the tiles, but not whether they are light or dark. So each output is a point in two
/// dimensions, drawn as an image that every network of the arena can learn. A method that covers all modes has learned
/// that the tiles are independent. The task has only procedural scenes.
#[derive(Clone, Copy, Debug)]
pub struct Tiles;

impl Task for Tiles {
    fn name(&self) -> &str {
        "tiles"
    }

    /// Returns the image itself, because only procedural scenes have inputs.
    fn degrade(&self, picture: &RgbImage, _: &Sizes, _: u64) -> Result<Planes, DataError> {
        Ok(Planes::from_rgb(picture))
    }

    fn scene(&self, sizes: &Sizes, number: u64) -> Result<Scene, DataError> {
        let (height, width) = sizes.output();
        let split = SPLITS[(number % SPLITS.len() as u64) as usize] * width as u32 / 8;
        let margin = (height.min(width) / 8).max(1) as u32;
        let draw = |left: u8, right: u8| {
            RgbImage::from_fn(width as u32, height as u32, |x, y| {
                let inside = |at: u32, side: usize| (margin..side as u32 - margin).contains(&at);
                let level = match (inside(x, width) && inside(y, height), x < split) {
                    (false, _) => FRAME,
                    (true, true) => left,
                    (true, false) => right,
                };
                Rgb([level; 3])
            })
        };
        let level = |bit: usize| if bit == 0 { FRAME - STEP } else { FRAME + STEP };
        let outputs = (0..MODES).map(|mode| draw(level(mode & 1), level(mode >> 1)));
        Ok(Scene {
            input: Some(draw(FRAME - STEP_OF_INPUT, FRAME + STEP_OF_INPUT)),
            outputs: outputs.collect(),
        })
    }
}
