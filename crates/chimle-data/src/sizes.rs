//! The sizes of images at the levels of a generator.

use crate::{DataError, InputSize, Task};

/// The largest number of levels of a generator.
const MOST_LEVELS: usize = 16;

/// The largest side of an image in pixels.
const LARGEST_SIDE: usize = 65535;

/// The sizes of a task's images at the levels of a generator: input, conditioning and targets.
///
/// With L levels and an output of H x W pixels, the target of level i (counted from 1) has
/// H / 2^(L-i) x W / 2^(L-i) pixels.
///
/// - [`InputSize::SameAsOutput`]: each level has a conditioning image of its target's size.
/// - [`InputSize::Reduced`]: there is one conditioning image, the input, of H / 2^L x W / 2^L pixels.
///
/// # Examples
///
/// ```
/// use chimle_data::{Sizes, SuperResolution};
///
/// # fn main() -> Result<(), chimle_data::DataError> {
/// let sizes = Sizes::new(&SuperResolution, 2, 64, 32)?;
/// assert_eq!(sizes.input(), (16, 8));
/// assert_eq!(sizes.targets(), [(32, 16), (64, 32)]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    input_size: InputSize,
    levels: usize,
    height: usize,
    width: usize,
}

impl Sizes {
    /// Computes the sizes for an output of `height` x `width`.
    ///
    /// # Errors
    ///
    /// - [`DataError::Setting`] if a side is not in 1..=65535 or `levels` is not in 1..=16
    /// - [`DataError::Indivisible`] if a side is not a multiple of [`multiple`](Self::multiple)
    pub fn new(
        task: &dyn Task,
        levels: usize,
        height: usize,
        width: usize,
    ) -> Result<Self, DataError> {
        let multiple = Self::multiple(task, levels)?;
        for (side_name, side) in [("height", height), ("width", width)] {
            if side == 0 || side > LARGEST_SIDE {
                return Err(DataError::Setting {
                    field: side_name,
                    value: side.to_string(),
                    needed: "between 1 and 65535",
                });
            }
            if side % multiple != 0 {
                let nearest = (side + multiple / 2) / multiple * multiple;
                return Err(DataError::Indivisible {
                    side_name,
                    side,
                    levels,
                    multiple,
                    nearby: nearest.max(multiple),
                });
            }
        }
        Ok(Self {
            input_size: task.input_size(),
            levels,
            height,
            width,
        })
    }

    /// Computes the sizes for an input of `height` x `width`.
    ///
    /// # Errors
    ///
    /// The errors of [`new`](Self::new), for the size of the output.
    pub fn of_input(
        task: &dyn Task,
        levels: usize,
        height: usize,
        width: usize,
    ) -> Result<Self, DataError> {
        let times = Self::enlargement(task, levels)?;
        Self::new(
            task,
            levels,
            height.saturating_mul(times),
            width.saturating_mul(times),
        )
    }

    /// Returns the number that must divide the sides of an output.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if `levels` is not in 1..=16.
    pub fn multiple(task: &dyn Task, levels: usize) -> Result<usize, DataError> {
        if !(1..=MOST_LEVELS).contains(&levels) {
            return Err(DataError::Setting {
                field: "levels",
                value: levels.to_string(),
                needed: "between 1 and 16",
            });
        }
        Ok(match task.input_size() {
            InputSize::Reduced => 1 << levels,
            InputSize::SameAsOutput => 1 << (levels - 1),
        })
    }

    /// Returns the side of the output divided by the side of the input.
    ///
    /// # Errors
    ///
    /// The errors of [`multiple`](Self::multiple).
    pub fn enlargement(task: &dyn Task, levels: usize) -> Result<usize, DataError> {
        let multiple = Self::multiple(task, levels)?;
        Ok(match task.input_size() {
            InputSize::Reduced => multiple,
            InputSize::SameAsOutput => 1,
        })
    }

    /// Returns the number of levels.
    pub fn levels(&self) -> usize {
        self.levels
    }

    /// Returns (height, width) of the output.
    pub fn output(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// Returns (height, width) of the input.
    pub fn input(&self) -> (usize, usize) {
        match self.input_size {
            InputSize::Reduced => (self.height >> self.levels, self.width >> self.levels),
            InputSize::SameAsOutput => (self.height, self.width),
        }
    }

    /// Returns (height, width) of the conditioning images, coarse to fine.
    pub fn conditioning(&self) -> Vec<(usize, usize)> {
        match self.input_size {
            InputSize::Reduced => vec![self.input()],
            InputSize::SameAsOutput => self.targets(),
        }
    }

    /// Returns (height, width) of every level's target, coarse to fine.
    pub fn targets(&self) -> Vec<(usize, usize)> {
        (0..self.levels)
            .rev()
            .map(|halvings| (self.height >> halvings, self.width >> halvings))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Colorization, SuperResolution};

    #[test]
    fn sixteen_fold_super_resolution_starts_at_a_sixteenth() {
        let sizes = Sizes::new(&SuperResolution, 4, 512, 256).unwrap();
        assert_eq!(sizes.conditioning(), [(32, 16)]);
        assert_eq!(
            sizes.targets(),
            [(64, 32), (128, 64), (256, 128), (512, 256)]
        );
        assert_eq!(Sizes::of_input(&SuperResolution, 4, 32, 16).unwrap(), sizes);
    }

    #[test]
    fn a_task_of_one_size_is_conditioned_at_every_level() {
        let sizes = Sizes::new(&Colorization, 3, 32, 64).unwrap();
        assert_eq!(sizes.conditioning(), [(8, 16), (16, 32), (32, 64)]);
        assert_eq!(sizes.conditioning(), sizes.targets());
        assert_eq!(sizes.input(), sizes.output());
    }

    #[test]
    fn a_side_that_cannot_be_halved_is_refused_with_one_that_can() {
        let error = Sizes::new(&Colorization, 4, 64, 100).unwrap_err();
        assert_eq!(
            error.to_string(),
            "width 100 does not fit 4 levels: it must be a multiple of 8, for example 104"
        );
        assert!(Sizes::new(&Colorization, 4, 64, 104).is_ok());
        assert!(Sizes::new(&SuperResolution, 4, 8, 16).is_err());
        assert!(Sizes::new(&Colorization, 4, 0, 16).is_err());
        assert!(Sizes::new(&Colorization, 0, 16, 16).is_err());
    }
}
