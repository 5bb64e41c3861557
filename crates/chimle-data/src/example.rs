//! One example: what the generator is given and what it should make of it, at every level.

use image::RgbImage;

use crate::compress::{ChromaSubsampling, jpeg};
use crate::geometry::{check_sides, conditioning_sizes, side_multiple, target_sizes};
use crate::resample::downsample;
use crate::{DataError, Planes, Task, gray_of_lightness, grayscale_lightness};

/// JPEG quality of the decompression task's inputs, on libjpeg's scale of 1 to 100.
pub const DECOMPRESSION_QUALITY: u8 = 1;

/// What one training or evaluation example is.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Where it comes from: the file's path below the data set's folder, or the scene's number.
    pub name: String,
    /// What the generator is given, values in [0, 1], `[conditioning_channels, h, w]`: in super-resolution one
    /// image (the low-resolution input), else one a level, coarse to fine.
    pub conditioning: Vec<Planes>,
    /// The true image at each level, coarse to fine: RGB in [0, 1], `[3, h, w]`.
    pub targets: Vec<Planes>,
    /// Of a procedural scene, its equally likely outputs at full size (RGB in [0, 1]); empty for photographs.
    pub modes: Vec<Planes>,
}

impl Example {
    /// The example made from a full-size input and output. `input` is as for [`conditioning`].
    ///
    /// # Errors
    ///
    /// As [`conditioning`] and [`targets`].
    pub fn from_images(
        name: String,
        task: Task,
        levels: usize,
        input: &RgbImage,
        output: &RgbImage,
    ) -> Result<Self, DataError> {
        Ok(Self {
            name,
            conditioning: conditioning(task, levels, input)?,
            targets: targets(levels, output)?,
            modes: Vec::new(),
        })
    }
}

impl Example {
    /// The input as a picture, RGB in [0, 1]: the finest conditioning image, lightness as gray.
    pub fn input_picture(&self) -> Planes {
        let finest = &self.conditioning[self.conditioning.len() - 1];
        match finest.channels {
            1 => gray_of_lightness(finest),
            _ => finest.clone(),
        }
    }

    /// The outputs known to be right, at full size: a procedural scene's modes, else the true one alone.
    pub fn truths(&self) -> &[Planes] {
        if self.modes.is_empty() {
            std::slice::from_ref(self.truth())
        } else {
            &self.modes
        }
    }

    /// The true output at full size, RGB in [0, 1].
    pub fn truth(&self) -> &Planes {
        &self.targets[self.targets.len() - 1]
    }
}

/// The input that a task derives from a full-size photograph: brought down by 2^`levels` (super-resolution),
/// the photograph itself (colorization, which sees its lightness alone), or compressed (decompression).
///
/// A paired task derives nothing: the photograph comes back unchanged.
///
/// # Errors
///
/// [`DataError::Indivisible`], [`DataError::Setting`], [`DataError::Jpeg`].
pub fn task_input(task: Task, levels: usize, photograph: &RgbImage) -> Result<RgbImage, DataError> {
    let (width, height) = photograph.dimensions();
    check_sides(task, levels, height as usize, width as usize)?;
    match task {
        Task::SuperResolution => downsample(photograph, width >> levels, height >> levels),
        Task::Colorization | Task::NightToDay => Ok(photograph.clone()),
        Task::Decompression => jpeg(photograph, DECOMPRESSION_QUALITY, ChromaSubsampling::Half),
    }
}

/// What the generator is given for an input image: the images of [`Example::conditioning`].
///
/// `input` is the low-resolution image (super-resolution), an image in color or gray (colorization), one that
/// has been compressed (decompression), or the input of a pair; but for super-resolution it has the output's
/// size. To sample from an image of one's own, bring it to that size and call this.
///
/// # Errors
///
/// [`DataError::Indivisible`] or [`DataError::Setting`] if `input` cannot be brought down to every level.
pub fn conditioning(task: Task, levels: usize, input: &RgbImage) -> Result<Vec<Planes>, DataError> {
    let enlargement = match task {
        Task::SuperResolution => side_multiple(task, levels)?,
        Task::Colorization | Task::Decompression | Task::NightToDay => 1,
    };
    let height = input.height() as usize * enlargement;
    let width = input.width() as usize * enlargement;
    check_sides(task, levels, height, width)?;
    conditioning_sizes(task, levels, height, width)
        .into_iter()
        .map(|(height, width)| {
            let image = downsample(input, width as u32, height as u32)?;
            Ok(match task {
                Task::Colorization => grayscale_lightness(&image),
                Task::SuperResolution | Task::Decompression | Task::NightToDay => {
                    Planes::from_rgb(&image)
                }
            })
        })
        .collect()
}

/// A full-size output at every level, coarse to fine, each brought down from the full size at once.
///
/// # Errors
///
/// [`DataError::Indivisible`] or [`DataError::Setting`] if it cannot be brought down to every level.
pub fn targets(levels: usize, output: &RgbImage) -> Result<Vec<Planes>, DataError> {
    let (height, width) = (output.height() as usize, output.width() as usize);
    check_sides(Task::NightToDay, levels, height, width)?;
    target_sizes(levels, height, width)
        .into_iter()
        .map(|(height, width)| {
            downsample(output, width as u32, height as u32).map(|image| Planes::from_rgb(&image))
        })
        .collect()
}
