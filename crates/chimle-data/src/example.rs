//! One example: the conditioning images of a generator, and the true image at each level.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::resample::downsample;
use crate::{DataError, Planes, Sizes, Task};

/// The identity of an input, computed from its name.
///
/// It does not change if other files are added, removed or damaged.
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
    /// The example's name: the file's path below the data set's folder, or the scene's name.
    pub name: String,
    /// The identity of the input. The observed outputs of one input share it, and have the same
    /// conditioning.
    pub input: InputId,
    /// The conditioning images, coarse to fine: `[conditioning_channels, height, width]`, with the
    /// sizes of [`Sizes::conditioning`].
    pub conditioning: Vec<Planes>,
    /// The true image at each level, coarse to fine: RGB in [0, 1], `[3, height, width]`.
    pub targets: Vec<Planes>,
    /// The equally likely outputs of a procedural scene at full size, RGB in [0, 1]. Empty if they
    /// are not known.
    pub modes: Vec<Planes>,
}

impl Example {
    /// Makes an example from an input and a full-size output.
    ///
    /// # Errors
    ///
    /// The errors of [`Task::conditioning`] and [`Task::targets`].
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

    /// Returns the known correct outputs at full size: the modes of a procedural scene, or else only
    /// the true output.
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

/// Downsamples a full-size output to the size of every level, coarse to fine: RGB in [0, 1].
///
/// Each target is resized directly from the full-size output, not from the next finer target.
///
/// # Errors
///
/// The errors of [`downsample`](crate::downsample).
pub fn targets(output: &RgbImage, sizes: &Sizes) -> Result<Vec<Planes>, DataError> {
    let sizes = sizes.targets().into_iter();
    sizes
        .map(|(height, width)| {
            downsample(output, width as u32, height as u32).map(|image| Planes::from_rgb(&image))
        })
        .collect()
}
