//! Examples by index.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use image::{RgbImage, imageops};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::example::task_input;
use crate::geometry::check_sides;
use crate::read::{read_rgb, read_size};
use crate::source::{Files, NamedFiles, list_folder, list_pairs};
use crate::view::View;
use crate::{DataError, Example, Source, Task, procedural};

/// What examples a [`Dataset`] makes of its images.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetConfig {
    /// The task, which decides the conditioning.
    pub task: Task,
    /// Levels of the generator.
    pub levels: usize,
    /// Height of the output; a multiple of 2^(levels - 1), for super-resolution of 2^levels.
    pub height: usize,
    /// Width of the output; as `height`.
    pub width: usize,
    /// Whether examples of photographs are cropped, flipped and (where square) transposed at random. Without, the
    /// largest central region is shown. Procedural scenes are never augmented.
    pub augment: bool,
    /// The smallest random crop, as a share in (0, 1] of the largest region of the right aspect ratio. A crop is
    /// never smaller than the output whatever this says, so images of exactly the output's size are not cropped.
    pub smallest_crop: f32,
    /// Number of the first procedural scene, so that two sets can hold different scenes.
    pub first_scene: u64,
}

impl DatasetConfig {
    /// An output of `height` x `width`, without augmentation; crops down to 0.75 once it is switched on.
    pub fn new(task: Task, levels: usize, height: usize, width: usize) -> Self {
        Self {
            task,
            levels,
            height,
            width,
            augment: false,
            smallest_crop: 0.75,
            first_scene: 0,
        }
    }

    /// The same with or without augmentation.
    pub fn with_augment(mut self, augment: bool) -> Self {
        self.augment = augment;
        self
    }

    fn check(&self) -> Result<(), DataError> {
        check_sides(self.task, self.levels, self.height, self.width)?;
        if self.smallest_crop > 0.0 && self.smallest_crop <= 1.0 {
            return Ok(());
        }
        Err(DataError::Setting {
            field: "smallest_crop",
            value: self.smallest_crop.to_string(),
            needed: "above 0 and at most 1",
        })
    }
}

/// A file (or pair) that [`Dataset::open`] passed over.
#[derive(Debug)]
pub struct Skipped {
    /// The entry's name, as [`Dataset::name`] would give it.
    pub name: String,
    /// Why.
    pub reason: DataError,
}

/// Examples by index, made anew from their files whenever asked for.
///
/// Cheap to clone, and to be shared among threads.
#[derive(Clone, Debug)]
pub struct Dataset {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: DatasetConfig,
    entries: Entries,
    /// Where the examples of each input begin, and at last their number.
    inputs: Vec<usize>,
    skipped: Vec<Skipped>,
}

#[derive(Debug)]
enum Entries {
    Files(Vec<NamedFiles>),
    Scenes(usize),
}

impl Dataset {
    /// Finds the images of `source` and reads their headers.
    ///
    /// An image that cannot be recognized or is smaller than the output is passed over and listed in
    /// [`skipped`](Self::skipped).
    ///
    /// # Errors
    ///
    /// - [`DataError::Indivisible`] or [`DataError::Setting`] for a configuration that cannot work,
    /// - [`DataError::WrongSource`] if the task is paired and the source is not, or the reverse,
    /// - [`DataError::Unreadable`] or [`DataError::EmptyFolder`] for a folder,
    /// - [`DataError::UnmatchedPairs`] or [`DataError::AmbiguousPair`] for two folders of pairs,
    /// - [`DataError::NothingUsable`] if every image was passed over.
    pub fn open(source: Source, config: DatasetConfig) -> Result<Self, DataError> {
        config.check()?;
        let wrong = |source_kind, needed| DataError::WrongSource {
            task: config.task,
            source_kind,
            needed,
        };
        let photographs = "it makes its inputs from a folder of photographs";
        let found = match (&source, config.task.is_paired()) {
            (Source::Procedural { scenes: 0 }, _) => {
                return Err(DataError::Setting {
                    field: "scenes",
                    value: "0".into(),
                    needed: "at least 1",
                });
            }
            (Source::Procedural { scenes }, _) => {
                return Ok(Self::from_entries(
                    config,
                    Entries::Scenes(*scenes),
                    Vec::new(),
                ));
            }
            (Source::Photographs(folder), false) => list_folder(folder, Files::Photograph)?,
            (Source::SideBySide(folder), true) => list_folder(folder, Files::SideBySide)?,
            (Source::PairedFolders { input, output }, true) => list_pairs(input, output)?,
            (Source::Photographs(_), true) => {
                return Err(wrong("single photographs", "it needs pairs of images"));
            }
            (Source::PairedFolders { .. }, false) => {
                return Err(wrong("pairs of folders", photographs));
            }
            (Source::SideBySide(_), false) => {
                return Err(wrong("images side by side", photographs));
            }
        };

        let reasons: Vec<_> = found
            .par_iter()
            .map(|(_, files)| check_files(files, &config).err())
            .collect();
        let count = found.len();
        let (mut usable, mut skipped) = (Vec::new(), Vec::new());
        for (entry, reason) in found.into_iter().zip(reasons) {
            match reason {
                None => usable.push(entry),
                Some(reason) => skipped.push(Skipped {
                    name: entry.0,
                    reason,
                }),
            }
        }
        if usable.is_empty() {
            return Err(DataError::NothingUsable {
                count,
                first: Box::new(skipped.swap_remove(0).reason),
            });
        }
        Ok(Self::from_entries(config, Entries::Files(usable), skipped))
    }

    fn from_entries(config: DatasetConfig, entries: Entries, skipped: Vec<Skipped>) -> Self {
        let inputs = match &entries {
            Entries::Files(files) => first_of_each_input(files),
            Entries::Scenes(count) => (0..=*count).collect(),
        };
        Self {
            inner: Arc::new(Inner {
                config,
                entries,
                inputs,
                skipped,
            }),
        }
    }

    /// The configuration it was opened with.
    pub fn config(&self) -> &DatasetConfig {
        &self.inner.config
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        match &self.inner.entries {
            Entries::Files(files) => files.len(),
            Entries::Scenes(count) => *count,
        }
    }

    /// Always false: a data set without examples does not open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of distinct inputs. Only where an input of a pair has several outputs is it below the
    /// number of examples.
    pub fn inputs(&self) -> usize {
        self.inner.inputs.len() - 1
    }

    /// The examples of an input: its observed outputs.
    ///
    /// Two of them asked for with one seed are augmented alike, so that their conditioning is the
    /// same if their outputs are of one size.
    ///
    /// # Panics
    ///
    /// If there is no input `input`.
    pub fn observed(&self, input: usize) -> Range<usize> {
        self.inner.inputs[input]..self.inner.inputs[input + 1]
    }

    /// The images passed over on opening.
    pub fn skipped(&self) -> &[Skipped] {
        &self.inner.skipped
    }

    /// The name of an example: a path below the folder (of a pair without extension), or `scene-17`.
    ///
    /// # Panics
    ///
    /// If there is no example `index`.
    pub fn name(&self, index: usize) -> String {
        match &self.inner.entries {
            Entries::Files(files) => files[index].0.clone(),
            Entries::Scenes(count) => {
                assert!(index < *count, "scene {index} of {count}");
                format!(
                    "scene-{}",
                    self.inner.config.first_scene.wrapping_add(index as u64)
                )
            }
        }
    }

    /// The example `index`, augmented (or, of a procedural scene, its mode drawn) as a pure function of its input
    /// and `seed`.
    ///
    /// # Errors
    ///
    /// As [`read_rgb`]: opening a data set reads only headers, so that a file found to be damaged or truncated
    /// here is an error naming it. [`DataError::Setting`] if there is no example `index`.
    pub fn example(&self, index: usize, seed: u64) -> Result<Example, DataError> {
        if index >= self.len() {
            return Err(DataError::Setting {
                field: "index",
                value: index.to_string(),
                needed: "below the number of examples",
            });
        }
        let config = &self.inner.config;
        let input = self.inner.inputs.partition_point(|&first| first <= index) - 1;
        let mut rng = example_rng(input, seed);
        let files = match &self.inner.entries {
            Entries::Files(files) => &files[index].1,
            Entries::Scenes(_) => {
                let scene = config.first_scene.wrapping_add(index as u64);
                return procedural::example(config, scene, &mut rng);
            }
        };

        let (input, output) = read_files(files)?;
        let (height, width) = (config.height, config.width);
        let image_size = output.dimensions();
        let view = if config.augment {
            View::random(image_size, height, width, config.smallest_crop, &mut rng)
        } else {
            View::center(image_size, height, width)
        };
        let output = view.of(&output, height, width)?;
        let input = match input {
            Some(input) => view.of(&input, height, width)?,
            None => task_input(config.task, config.levels, &output)?,
        };
        Example::from_images(
            self.name(index),
            config.task,
            config.levels,
            &input,
            &output,
        )
    }
}

/// Where the entries of each input begin, and at last their number.
fn first_of_each_input(files: &[NamedFiles]) -> Vec<usize> {
    let input = |index: usize| match &files[index].1 {
        Files::Pair { input, .. } | Files::Photograph(input) | Files::SideBySide(input) => input,
    };
    let begins = |index: &usize| *index == 0 || input(*index) != input(index - 1);
    let first = (0..files.len()).filter(begins);
    first.chain([files.len()]).collect()
}

/// Random numbers of their own for each (input, seed).
fn example_rng(input: usize, seed: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(input as u64).to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// The input, if it is an image of its own, and the output.
fn read_files(files: &Files) -> Result<(Option<RgbImage>, RgbImage), DataError> {
    Ok(match files {
        Files::Photograph(path) => (None, read_rgb(path)?),
        Files::Pair { input, output } => (Some(read_rgb(input)?), read_rgb(output)?),
        Files::SideBySide(path) => {
            let both = read_rgb(path)?;
            let (width, height) = both.dimensions();
            // Of an odd number of columns the middle one belongs to neither half.
            let half = width / 2;
            let part = |left| imageops::crop_imm(&both, left, 0, half, height).to_image();
            (Some(part(0)), part(width - half))
        }
    })
}

/// Whether examples can be made of an entry, as far as headers tell.
fn check_files(files: &Files, config: &DatasetConfig) -> Result<(), DataError> {
    match files {
        Files::Photograph(path) => check_size(path, 1, config).map(|_| ()),
        Files::SideBySide(path) => check_size(path, 2, config).map(|_| ()),
        Files::Pair { input, output } => {
            let (input_width, input_height) = check_size(input, 1, config)?;
            let (output_width, output_height) = check_size(output, 1, config)?;
            let input_aspect = f64::from(input_width) / f64::from(input_height);
            let output_aspect = f64::from(output_width) / f64::from(output_height);
            // Rounding of a scaled image's sides changes its aspect ratio a little.
            if (input_aspect / output_aspect - 1.0).abs() > 0.02 {
                return Err(DataError::PairShapes {
                    input: input.clone(),
                    output: output.clone(),
                    input_size: format!("{input_width}x{input_height}"),
                    output_size: format!("{output_width}x{output_height}"),
                });
            }
            Ok(())
        }
    }
}

/// The size of an image that holds `columns` outputs side by side, if it is large enough.
fn check_size(path: &Path, columns: u32, config: &DatasetConfig) -> Result<(u32, u32), DataError> {
    let (width, height) = read_size(path)?;
    let (needed_width, needed_height) = (config.width as u32 * columns, config.height as u32);
    if width < needed_width || height < needed_height {
        return Err(DataError::TooSmall {
            path: path.to_owned(),
            width,
            height,
            needed_width,
            needed_height,
        });
    }
    Ok((width, height))
}
