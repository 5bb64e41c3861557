//! The sides of images at the levels of the generator.
//!
//! With L levels and an output of H x W, the target of level i (counted from 1) is H / 2^(L-i) by W / 2^(L-i).
//! The conditioning image of level i has the same sides, except in super-resolution, where there is one
//! conditioning image, of H / 2^L by W / 2^L.

use crate::{DataError, Task};

/// What a side must be a multiple of, for `levels` levels.
///
/// # Errors
///
/// [`DataError::Setting`] if `levels` is not in 1..=16.
pub fn side_multiple(task: Task, levels: usize) -> Result<usize, DataError> {
    if !(1..=16).contains(&levels) {
        return Err(DataError::Setting {
            field: "levels",
            value: levels.to_string(),
            needed: "between 1 and 16",
        });
    }
    Ok(match task {
        Task::SuperResolution => 1 << levels,
        Task::Colorization | Task::Decompression | Task::NightToDay => 1 << (levels - 1),
    })
}

/// Checks that an output of `height` x `width` can be brought down to every level.
///
/// # Errors
///
/// [`DataError::Setting`] for a side of 0 or an impossible number of levels, [`DataError::Indivisible`].
pub fn check_sides(
    task: Task,
    levels: usize,
    height: usize,
    width: usize,
) -> Result<(), DataError> {
    let multiple = side_multiple(task, levels)?;
    for (side_name, side) in [("height", height), ("width", width)] {
        if side == 0 || side > 65535 {
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
    Ok(())
}

/// (height, width) of every level's target, coarse to fine. The sides must pass [`check_sides`].
pub fn target_sizes(levels: usize, height: usize, width: usize) -> Vec<(usize, usize)> {
    (0..levels)
        .rev()
        .map(|halvings| (height >> halvings, width >> halvings))
        .collect()
}

/// (height, width) of the conditioning images, coarse to fine: one for super-resolution, else one a level.
pub fn conditioning_sizes(
    task: Task,
    levels: usize,
    height: usize,
    width: usize,
) -> Vec<(usize, usize)> {
    match task {
        Task::SuperResolution => vec![(height >> levels, width >> levels)],
        Task::Colorization | Task::Decompression | Task::NightToDay => {
            target_sizes(levels, height, width)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_fold_super_resolution_starts_at_a_sixteenth() {
        let task = Task::SuperResolution;
        assert_eq!(conditioning_sizes(task, 4, 512, 256), [(32, 16)]);
        assert_eq!(
            target_sizes(4, 512, 256),
            [(64, 32), (128, 64), (256, 128), (512, 256)]
        );
    }

    #[test]
    fn a_side_that_cannot_be_halved_is_refused_with_one_that_can() {
        let error = check_sides(Task::Colorization, 4, 64, 100).unwrap_err();
        assert_eq!(
            error.to_string(),
            "width 100 does not fit 4 levels: it must be a multiple of 8, for example 104"
        );
        assert!(check_sides(Task::Colorization, 4, 64, 104).is_ok());
        assert!(check_sides(Task::SuperResolution, 4, 8, 16).is_err());
        assert!(check_sides(Task::Colorization, 4, 0, 16).is_err());
        assert!(check_sides(Task::Colorization, 0, 16, 16).is_err());
    }
}
