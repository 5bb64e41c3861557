//! One example: what the generator is given and what it should make of it, at every level.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::resample::downsample;
use crate::{DataError, Planes, Sizes, Task};

/// The identity of an input, computed from its name.
///
/// It stays the same when other files come, go or cannot be read.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct InputId(pub u64);

impl InputId {
    /// Computes the identity of the input of this name: its 64-bit FNV-1a hash.
    pub fn of_name(name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(hash)
    }
}

/// An example for training or evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Where it comes from: the file's path below the data set's folder, or the scene's number.
    pub name: String,
    /// The input. Observed outputs of one input share it, and their conditioning is the same.
    pub input: InputId,
    /// What the generator is given, `[conditioning_channels, h, w]`, coarse to fine: the sizes are
    /// those of [`Sizes::conditioning`].
    pub conditioning: Vec<Planes>,
    /// The true image at each level, coarse to fine: RGB in [0, 1], `[3, h, w]`.
    pub targets: Vec<Planes>,
    /// The equally likely outputs of a procedural scene at full size (RGB in [0, 1]). Empty if they
    /// are not known.
    pub modes: Vec<Planes>,
}

impl Example {
    /// Makes an example from an input and a full-size output.
    ///
    /// # Errors
    ///
    /// As [`Task::conditioning`] and [`Task::targets`].
    pub fn new(
        name: String,
        input_id: InputId,
        task: &dyn Task,
        sizes: &Sizes,
        input: &Planes,
        output: &RgbImage,
    ) -> Result<Self, DataError> {
        Ok(Self {
            name,
            input: input_id,
            conditioning: task.conditioning(input, sizes)?,
            targets: task.targets(output, sizes)?,
            modes: Vec::new(),
        })
    }

    /// Returns the outputs known to be right, at full size: the modes of a procedural scene,
    /// otherwise the true output alone.
    pub fn truths(&self) -> &[Planes] {
        if self.modes.is_empty() {
            std::slice::from_ref(self.truth())
        } else {
            &self.modes
        }
    }

    /// Returns the true output at full size, RGB in [0, 1].
    pub fn truth(&self) -> &Planes {
        &self.targets[self.targets.len() - 1]
    }
}

/// Brings a full-size output down to every level, coarse to fine, each from the full size at once:
/// RGB in [0, 1].
///
/// # Errors
///
/// If the output cannot be resized.
pub fn targets(output: &RgbImage, sizes: &Sizes) -> Result<Vec<Planes>, DataError> {
    let sizes = sizes.targets().into_iter();
    sizes
        .map(|(height, width)| {
            downsample(output, width as u32, height as u32).map(|image| Planes::from_rgb(&image))
        })
        .collect()
}
