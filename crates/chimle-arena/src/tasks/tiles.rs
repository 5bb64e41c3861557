//! A mixture in two dimensions, as tiny images.

use chimle_core::Task;
use chimle_core::data::procedural::{MODES, Scene};
use chimle_core::data::{DataError, Planes, Sizes};
use image::{Rgb, RgbImage};

/// The level of the frame around the tiles.
const FRAME: u8 = 128;
/// How far the level of a tile is from the frame's, in the output and in the input.
const STEP: u8 = 64;
const STEP_OF_INPUT: u8 = 20;
/// The places where the two tiles can meet, in eighths of the width.
const SPLITS: [u32; 3] = [3, 4, 5];

/// Two tiles in a frame, each of which is light or dark: four equally likely modes, the corners of a square.
///
/// The input shows where the tiles are, and not how light they are. So each output is a point in two dimensions, drawn as
/// an image that any of the arena's networks can learn. Whoever covers all modes has learned that the tiles are independent.
/// There are only procedural scenes of it.
#[derive(Clone, Copy, Debug)]
pub struct Tiles;

impl Task for Tiles {
    fn name(&self) -> &str {
        "tiles"
    }

    /// The picture itself: only scenes have inputs of their own.
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
