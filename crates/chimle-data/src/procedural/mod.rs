//! Made-up scenes whose plausible outputs are known: [`MODES`] for each input, all equally likely.
//!
//! Photographs come with one output for each input, so that it can never be counted how many of the possible
//! ones a model produces. Here it can: [`Example::modes`] holds all of them, one drawn as the target, and
//! [`nearest_mode`] says which one a sample has found.
//!
//! | task | the input shows | the modes differ in |
//! |---|---|---|
//! | colorization | the lightness of a few shapes | the palette: all hues turned by a quarter of the circle |
//! | night-to-day | a village by night | the daylight: noon, overcast, evening, dawn |
//! | super-resolution, decompression | a few shapes | the direction of a fine pattern, which the degradation hides |
//!
//! The conditioning is the mean of what the task makes of each mode, and thus cannot give away which one was
//! drawn. (The four differ only by rounding and where contours are softened.) Scenes are functions of their number
//! and size; the size may be any that the task allows.

mod canvas;
mod palette;
mod shapes;
mod texture;
mod village;

use image::RgbImage;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::example::{conditioning, targets, task_input};
use crate::geometry::check_sides;
use crate::planes::mean;
use crate::{DataError, DatasetConfig, Example, Planes, Task};

/// Number of equally likely outputs for each input.
pub const MODES: usize = 4;

/// A scene at full size.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The input, where it is an image of its own (night-to-day).
    pub input: Option<RgbImage>,
    /// The equally likely outputs, always in the same order.
    pub modes: [RgbImage; MODES],
}

/// Draws scene `number` for a task, at `height` x `width`.
///
/// # Errors
///
/// [`DataError::Indivisible`] or [`DataError::Setting`] if the sides do not fit the levels.
pub fn scene(
    task: Task,
    levels: usize,
    height: usize,
    width: usize,
    number: u64,
) -> Result<Scene, DataError> {
    check_sides(task, levels, height, width)?;
    let mut rng = scene_rng(number);
    Ok(match task {
        Task::Colorization => Scene {
            input: None,
            modes: shapes::draw(&mut rng, height, width).palettes(),
        },
        Task::NightToDay => village::draw(&mut rng, height, width),
        Task::SuperResolution | Task::Decompression => {
            let palettes = shapes::draw(&mut rng, height, width).palettes();
            let plain = &palettes[rng.random_range(0..MODES)];
            Scene {
                input: None,
                modes: texture::directions(task, levels, plain),
            }
        }
    })
}

/// The example of scene `number`, its target drawn from the modes by `rng`.
pub(crate) fn example(
    config: &DatasetConfig,
    number: u64,
    rng: &mut ChaCha8Rng,
) -> Result<Example, DataError> {
    let (task, levels) = (config.task, config.levels);
    let scene = scene(task, levels, config.height, config.width, number)?;
    let conditioning = match &scene.input {
        Some(input) => conditioning(task, levels, input)?,
        None => mean_conditioning(task, levels, &scene.modes)?,
    };
    let drawn = rng.random_range(0..MODES);
    Ok(Example {
        name: format!("scene-{number}"),
        conditioning,
        targets: targets(levels, &scene.modes[drawn])?,
        modes: scene.modes.iter().map(Planes::from_rgb).collect(),
    })
}

fn mean_conditioning(
    task: Task,
    levels: usize,
    modes: &[RgbImage],
) -> Result<Vec<Planes>, DataError> {
    let of_modes = modes
        .iter()
        .map(|mode| conditioning(task, levels, &task_input(task, levels, mode)?))
        .collect::<Result<Vec<_>, _>>()?;
    let images = of_modes[0].len();
    Ok((0..images)
        .map(|i| mean(&of_modes.iter().map(|c| c[i].clone()).collect::<Vec<_>>()))
        .collect())
}

/// The mode nearest to an image of the same shape, by mean squared distance: (its index, the distance).
///
/// # Errors
///
/// [`DataError::Shape`] if an image differs in shape from a mode, [`DataError::Setting`] if there are no modes.
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

/// Random numbers for a scene, apart from those that draw a mode.
fn scene_rng(number: u64) -> ChaCha8Rng {
    let mut key = *b"a procedural scene of CHIMLE    ";
    key[24..].copy_from_slice(&number.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}
