//! Procedural scenes whose plausible outputs are known: [`MODES`] for each input, all equally likely.
//!
//! A data set of photographs has one output for each input, so it is unknown how many of the plausible
//! outputs a model produces. With procedural scenes they can be counted. [`Example::modes`] holds all
//! plausible outputs, and one of them is drawn as the target. [`nearest_mode`] finds the mode
//! nearest to a sample.
//!
//! | task | the input shows | the modes differ in |
//! |---|---|---|
//! | colorization | the lightness of a few shapes | the palette: all hues turned by a quarter of the circle |
//! | night-to-day | a village by night | the daylight: noon, overcast, evening, dawn |
//! | super-resolution, decompression | a few shapes | the direction of a fine pattern, which the degradation removes |
//! | any other | the task's degradation of a picture of shapes | (not known) |
//!
//! If the task makes the input from the output, the conditioning is the mean over the conditioning
//! images of all modes, so it does not reveal which mode was drawn. (The inputs of the modes differ
//! only by rounding and at softened contours.) A scene depends only on its number and its size. The
//! size can be any that the task allows.

mod canvas;
mod palette;
mod shapes;
mod texture;
mod village;

use image::RgbImage;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::planes::mean;
use crate::{DataError, Example, InputId, Planes, Sizes, Task};

pub use texture::Texture;

/// The number of equally likely outputs of a scene whose outputs are known.
pub const MODES: usize = 4;

/// A scene at full size.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The input, if it is a separate image (night-to-day). Otherwise the task makes it from the output.
    pub input: Option<RgbImage>,
    /// The equally likely outputs, always in the same order.
    pub outputs: Vec<RgbImage>,
}

/// Draws shapes in [`MODES`] palettes that have the same lightness.
pub fn palettes(sizes: &Sizes, number: u64) -> Scene {
    let (height, width) = sizes.output();
    let outputs = shapes::draw(&mut scene_rng(number), height, width).palettes();
    Scene {
        input: None,
        outputs: outputs.into(),
    }
}

/// Draws shapes in one palette, in place of a photograph.
pub fn picture(sizes: &Sizes, number: u64) -> Scene {
    Scene {
        input: None,
        outputs: vec![one_palette(sizes, &mut scene_rng(number))],
    }
}

/// Draws shapes with a fine pattern, once in each of [`MODES`] directions.
pub fn textures(sizes: &Sizes, number: u64, texture: Texture) -> Scene {
    let plain = one_palette(sizes, &mut scene_rng(number));
    Scene {
        input: None,
        outputs: texture.directions(&plain).into(),
    }
}

/// Draws a village by night (the input) and in [`MODES`] kinds of daylight (the outputs).
pub fn villages(sizes: &Sizes, number: u64) -> Scene {
    let (height, width) = sizes.output();
    village::draw(&mut scene_rng(number), height, width)
}

fn one_palette(sizes: &Sizes, rng: &mut ChaCha8Rng) -> RgbImage {
    let (height, width) = sizes.output();
    let palettes = shapes::draw(rng, height, width).palettes();
    palettes[rng.random_range(0..MODES)].clone()
}

/// Makes the example of scene `number`. `rng` draws its target from the scene's outputs.
pub(crate) fn example(
    task: &dyn Task,
    sizes: &Sizes,
    number: u64,
    rng: &mut ChaCha8Rng,
) -> Result<Example, DataError> {
    let scene = task.scene(sizes, number)?;
    let drawn = rng.random_range(0..scene.outputs.len());
    let conditioning = match &scene.input {
        Some(input) => task.conditioning(&task.input_of_picture(input)?, sizes)?,
        None => mean_conditioning(task, sizes, &scene.outputs, rng.next_u64())?,
    };
    let name = scene_name(number);
    let modes = if scene.outputs.len() > 1 {
        scene.outputs.iter().map(Planes::from_rgb).collect()
    } else {
        Vec::new()
    };
    Ok(Example {
        input: InputId::of_name(&name),
        name,
        conditioning,
        targets: task.targets(&scene.outputs[drawn], sizes)?,
        modes,
    })
}

/// Returns the name of a scene.
pub(crate) fn scene_name(number: u64) -> String {
    format!("scene-{number}")
}

fn mean_conditioning(
    task: &dyn Task,
    sizes: &Sizes,
    outputs: &[RgbImage],
    seed: u64,
) -> Result<Vec<Planes>, DataError> {
    let of_outputs = outputs
        .iter()
        .map(|output| task.conditioning(&task.degrade(output, sizes, seed)?, sizes))
        .collect::<Result<Vec<_>, _>>()?;
    let images = of_outputs[0].len();
    Ok((0..images)
        .map(|i| mean(&of_outputs.iter().map(|c| c[i].clone()).collect::<Vec<_>>()))
        .collect())
}

/// Finds the mode nearest to an image by mean squared difference, and returns the mode's index and the
/// difference.
///
/// # Errors
///
/// [`DataError::Shape`] if the image differs in shape from a mode, [`DataError::Setting`] if there
/// are no modes.
///
/// # Examples
///
/// ```
/// use chimle_data::{Planes, nearest_mode};
///
/// # fn main() -> Result<(), chimle_data::DataError> {
/// let image = |value: f32| Planes::from_fn(3, 4, 4, |_, _, _| value);
/// let modes = [image(0.0), image(1.0)];
/// assert_eq!(nearest_mode(&modes, &image(0.75))?, (1, 0.0625));
/// # Ok(())
/// # }
/// ```
pub fn nearest_mode(modes: &[Planes], image: &Planes) -> Result<(usize, f32), DataError> {
    let mut nearest = None;
    for (i, mode) in modes.iter().enumerate() {
        let distance = mode.mean_squared_distance(image)?;
        if nearest.is_none_or(|(_, smallest)| distance < smallest) {
            nearest = Some((i, distance));
        }
    }
    nearest.ok_or(DataError::Setting {
        field: "modes",
        value: "empty".into(),
        needed: "at least one image",
    })
}

/// Creates the random number generator that composes a scene. The mode is drawn from a different
/// generator.
fn scene_rng(number: u64) -> ChaCha8Rng {
    let mut key = *b"a procedural scene of CHIMLE    ";
    key[24..].copy_from_slice(&number.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}
