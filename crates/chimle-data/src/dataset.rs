//! A data set: the examples of a source and a task, by index.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use image::{RgbImage, imageops};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::image_cache::ImageCache;
use crate::listing::Listing;
use crate::read::image_size;
use crate::source::{Files, InputFiles, NamedFiles, list_folder, list_pairs};
use crate::view::View;
use crate::{DataError, Example, InputId, Sizes, Source, TaskHandle, procedural};

/// The largest number of procedural scenes. Each scene takes a few bytes of memory.
const MOST_SCENES: usize = 10_000_000;

/// How a [`Dataset`] makes examples from its images.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetConfig {
    /// The task, which decides the conditioning.
    pub task: TaskHandle,
    /// The number of levels of the generator.
    pub levels: usize,
    /// The height of the output in pixels, a multiple of [`Sizes::multiple`].
    pub height: usize,
    /// The width of the output in pixels, with the same condition as `height`.
    pub width: usize,
    /// Whether images are cropped and flipped left to right at random. Square outputs are also
    /// transposed at random if `transpose` allows it. Without augmentation, an example shows the
    /// largest central region. Procedural scenes are never augmented.
    pub augment: bool,
    /// The side of the smallest random crop, relative to the largest region of the output's aspect
    /// ratio: above 0 and at most 1. A crop is never smaller than the output, so images of exactly
    /// the output's size are not cropped.
    pub smallest_crop: f32,
    /// Whether augmentation may transpose an example. Training is better without it for photographs
    /// that have an upright direction, such as landscapes.
    pub transpose: bool,
    /// The number of the first procedural scene. Sets whose scenes have different numbers share no
    /// scene.
    pub first_scene: u64,
    /// The size in bytes of the cache of decoded images. A cached image is not decoded again.
    pub cache_bytes: u64,
}

impl DatasetConfig {
    /// Creates a configuration for outputs of `height` x `width`, without augmentation. The default
    /// of [`smallest_crop`](Self::smallest_crop) is 0.75.
    pub fn new(task: impl Into<TaskHandle>, levels: usize, height: usize, width: usize) -> Self {
        Self {
            task: task.into(),
            levels,
            height,
            width,
            augment: false,
            smallest_crop: 0.75,
            transpose: true,
            first_scene: 0,
            cache_bytes: 0,
        }
    }

    /// Sets whether examples are augmented.
    pub fn with_augment(mut self, augment: bool) -> Self {
        self.augment = augment;
        self
    }

    /// Computes the sizes of the images of an example.
    ///
    /// # Errors
    ///
    /// The errors of [`Sizes::new`].
    pub fn sizes(&self) -> Result<Sizes, DataError> {
        Sizes::new(&*self.task, self.levels, self.height, self.width)
    }

    fn check(&self) -> Result<Sizes, DataError> {
        let sizes = self.sizes()?;
        if self.smallest_crop > 0.0 && self.smallest_crop <= 1.0 {
            return Ok(sizes);
        }
        Err(DataError::Setting {
            field: "smallest_crop",
            value: self.smallest_crop.to_string(),
            needed: "above 0 and at most 1",
        })
    }
}

/// A file (or pair, or subfolder) that [`Dataset::open`] skipped.
#[derive(Debug)]
pub struct Skipped {
    /// The entry's name, as [`Dataset::name`] would give it.
    pub name: String,
    /// The reason why the entry was skipped.
    pub reason: DataError,
}

/// The examples of a source and a task, by index. Each call of [`example`](Self::example) makes an
/// example from its files.
///
/// A data set is cheap to clone and can be shared among threads.
///
/// # Examples
///
/// ```
/// use chimle_data::{Dataset, DatasetConfig, Source, SuperResolution};
///
/// # fn main() -> Result<(), chimle_data::DataError> {
/// let config = DatasetConfig::new(SuperResolution, 2, 16, 16);
/// let dataset = Dataset::open(Source::Procedural { scenes: 3 }, config)?;
/// assert_eq!((dataset.len(), dataset.name(2).as_str()), (3, "scene-2"));
///
/// let example = dataset.example(2, 0)?;
/// assert_eq!((example.conditioning[0].width, example.truth().width), (4, 16));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Dataset {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: DatasetConfig,
    sizes: Sizes,
    entries: Entries,
    inputs: Vec<Input>,
    skipped: Vec<Skipped>,
    cache: ImageCache,
}

/// An input and its examples.
#[derive(Debug)]
struct Input {
    id: InputId,
    examples: Range<usize>,
    /// The smallest crop that enlarges neither the input nor any of its outputs.
    smallest_crop: f64,
}

#[derive(Debug)]
enum Entries {
    Files(Vec<NamedFiles>),
    Scenes(usize),
}

impl Dataset {
    /// Finds the images of `source` and reads their headers.
    ///
    /// An image that cannot be recognized or is smaller than the output is skipped and listed in
    /// [`skipped`](Self::skipped).
    ///
    /// # Errors
    ///
    /// - [`DataError::Indivisible`] or [`DataError::Setting`] if the configuration is impossible
    /// - [`DataError::WrongSource`] if the task is paired and the source is not, or the reverse
    /// - [`DataError::Unreadable`] or [`DataError::EmptyFolder`] if a folder cannot be read or has no
    ///   images
    /// - [`DataError::UnmatchedPairs`] or [`DataError::AmbiguousPair`] if the files of two folders do
    ///   not form pairs
    /// - [`DataError::NothingUsable`] if every image was skipped
    pub fn open(source: Source, config: DatasetConfig) -> Result<Self, DataError> {
        let sizes = config.check()?;
        if let Source::Procedural { scenes } = &source {
            if !(1..=MOST_SCENES).contains(scenes) {
                return Err(DataError::Setting {
                    field: "scenes",
                    value: scenes.to_string(),
                    needed: "from 1 to 10000000",
                });
            }
            return Ok(Self::of_scenes(config, sizes, *scenes));
        }
        let (found, lost) = list_source(&source, &config)?;
        Self::of_files(config, sizes, found, lost)
    }

    /// Creates a data set of the files that can be used. `lost` is what the listing skipped.
    fn of_files(
        config: DatasetConfig,
        sizes: Sizes,
        found: Vec<NamedFiles>,
        lost: Vec<Skipped>,
    ) -> Result<Self, DataError> {
        let checked: Vec<_> = found
            .par_iter()
            .map(|(_, files)| check_files(files, &config))
            .collect();
        let count = found.len() + lost.len();
        let (mut usable, mut skipped) = (Vec::new(), lost);
        let mut inputs: Vec<Input> = Vec::new();
        for ((name, files), checked) in found.into_iter().zip(checked) {
            let smallest_crop = match checked {
                Ok(smallest_crop) => smallest_crop,
                Err(reason) => {
                    skipped.push(Skipped { name, reason });
                    continue;
                }
            };
            let index = usable.len();
            let id = InputId::of_name(&files.input_name);
            match inputs.last_mut().filter(|input| input.id == id) {
                Some(input) => {
                    input.examples.end = index + 1;
                    input.smallest_crop = input.smallest_crop.max(smallest_crop);
                }
                None => inputs.push(Input {
                    id,
                    examples: index..index + 1,
                    smallest_crop,
                }),
            }
            usable.push((name, files));
        }
        if usable.is_empty() {
            return Err(DataError::NothingUsable {
                count,
                first: Box::new(skipped.swap_remove(0).reason),
            });
        }
        Ok(Self {
            inner: Arc::new(Inner {
                cache: ImageCache::new(config.cache_bytes),
                config,
                sizes,
                entries: Entries::Files(usable),
                inputs,
                skipped,
            }),
        })
    }

    fn of_scenes(config: DatasetConfig, sizes: Sizes, scenes: usize) -> Self {
        let input = |index: usize| {
            let number = config.first_scene.wrapping_add(index as u64);
            Input {
                id: InputId::of_name(&procedural::scene_name(number)),
                examples: index..index + 1,
                smallest_crop: 1.0,
            }
        };
        Self {
            inner: Arc::new(Inner {
                inputs: (0..scenes).map(input).collect(),
                cache: ImageCache::new(0),
                config,
                sizes,
                entries: Entries::Scenes(scenes),
                skipped: Vec::new(),
            }),
        }
    }

    /// Returns the configuration that the data set was opened with.
    pub fn config(&self) -> &DatasetConfig {
        &self.inner.config
    }

    /// Returns the number of examples.
    pub fn len(&self) -> usize {
        match &self.inner.entries {
            Entries::Files(files) => files.len(),
            Entries::Scenes(count) => *count,
        }
    }

    /// Returns whether there are no examples. This is always false, because opening a data set
    /// without examples is an error.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of distinct inputs. It is below the number of examples only if an input of
    /// a paired task has several outputs.
    pub fn inputs(&self) -> usize {
        self.inner.inputs.len()
    }

    /// Lists the files of the examples with their sizes. A procedural set has one entry, with the
    /// number of scenes.
    ///
    /// # Errors
    ///
    /// [`DataError::Unreadable`] if the size of a file cannot be read.
    pub fn listing(&self) -> Result<Listing, DataError> {
        let mut listing = Listing::default();
        match &self.inner.entries {
            Entries::Scenes(count) => {
                listing
                    .0
                    .insert("procedural scenes".to_owned(), *count as u64);
            }
            Entries::Files(files) => {
                for (name, files) in files {
                    let mut size = 0;
                    for path in files.files.paths() {
                        let metadata = std::fs::metadata(path);
                        size += metadata.map_err(|e| DataError::unreadable(path, e))?.len();
                    }
                    listing.0.insert(name.clone(), size);
                }
            }
        }
        Ok(listing)
    }

    /// Returns the identity of an input.
    ///
    /// # Panics
    ///
    /// If `input` is not below [`inputs`](Self::inputs).
    pub fn input_id(&self, input: usize) -> InputId {
        self.inner.inputs[input].id
    }

    /// Returns the indices of the examples of an input, one per observed output.
    ///
    /// With the same seed, these examples are augmented in the same way and have the same
    /// conditioning.
    ///
    /// # Panics
    ///
    /// If `input` is not below [`inputs`](Self::inputs).
    pub fn observed(&self, input: usize) -> Range<usize> {
        self.inner.inputs[input].examples.clone()
    }

    /// Returns the images that [`open`](Self::open) skipped.
    pub fn skipped(&self) -> &[Skipped] {
        &self.inner.skipped
    }

    /// Returns the name of an example: its path below the folder (without the extension for a pair),
    /// or a scene's name such as `scene-17`.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn name(&self, index: usize) -> String {
        match &self.inner.entries {
            Entries::Files(files) => files[index].0.clone(),
            Entries::Scenes(count) => {
                assert!(index < *count, "scene {index} of {count}");
                procedural::scene_name(self.scene(index))
            }
        }
    }

    fn scene(&self, index: usize) -> u64 {
        self.inner.config.first_scene.wrapping_add(index as u64)
    }

    /// Makes the example `index`. Its augmentation, its random degradation and (for a procedural
    /// scene) its mode depend only on its input's identity and `seed`.
    ///
    /// # Errors
    ///
    /// - the errors of [`read_rgb`](crate::read_rgb). Opening a data set reads only headers, so a
    ///   damaged or truncated file is found here. The error names the file.
    /// - the errors of the task, if the image cannot be degraded
    /// - [`DataError::Setting`] if `index` is not below [`len`](Self::len)
    pub fn example(&self, index: usize, seed: u64) -> Result<Example, DataError> {
        if index >= self.len() {
            return Err(DataError::Setting {
                field: "index",
                value: index.to_string(),
                needed: "below the number of examples",
            });
        }
        let Inner { config, sizes, .. } = &*self.inner;
        let inputs = &self.inner.inputs;
        let input = &inputs[inputs.partition_point(|input| input.examples.end <= index)];
        let mut rng = example_rng(input.id, seed);
        let files = match &self.inner.entries {
            Entries::Files(files) => &files[index].1,
            Entries::Scenes(_) => {
                return procedural::example(&*config.task, sizes, self.scene(index), &mut rng);
            }
        };

        let (height, width) = (config.height, config.width);
        // All outputs of an input get the same crop as the input.
        let mut view_of = |image_size| {
            if config.augment {
                let smallest = f64::from(config.smallest_crop).max(input.smallest_crop);
                View::random(
                    image_size,
                    height,
                    width,
                    smallest,
                    config.transpose,
                    &mut rng,
                )
            } else {
                View::center(image_size, height, width)
            }
        };
        let cache = &self.inner.cache;
        // `picture` is the input of a paired task. The images are decoded one after another, so only
        // one is in memory at a time.
        let (picture, output) = match &files.files {
            Files::Photograph(path) => {
                let output = cache.with(path, |image| {
                    view_of(image.dimensions()).of(image, height, width)
                })??;
                (None, output)
            }
            Files::Pair {
                input: of_input,
                output: of_output,
            } => {
                let (view, picture) = cache.with(of_input, |image| {
                    let view = view_of(image.dimensions());
                    view.of(image, height, width).map(|seen| (view, seen))
                })??;
                let output = cache.with(of_output, |image| view.of(image, height, width))??;
                (Some(picture), output)
            }
            Files::SideBySide(path) => cache.with(path, |both| {
                let (left, right) = halves(both);
                let view = view_of(left.dimensions());
                let picture = view.of(&left, height, width)?;
                let output = view.of(&right, height, width)?;
                Ok::<_, DataError>((Some(picture), output))
            })??,
        };
        let degraded = match picture {
            Some(picture) => config.task.input_of_picture(&picture)?,
            None => config.task.degrade(&output, sizes, rng.next_u64())?,
        };
        Example::new(
            self.name(index),
            input.id,
            &*config.task,
            sizes,
            &degraded,
            &output,
        )
    }
}

/// Creates the random number generator of an input and a seed.
fn example_rng(input: InputId, seed: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&input.0.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// Returns the left and the right half of an image.
fn halves(both: &RgbImage) -> (RgbImage, RgbImage) {
    let (width, height) = both.dimensions();
    // If the number of columns is odd, the middle one belongs to neither half.
    let half = width / 2;
    let part = |left| imageops::crop_imm(both, left, 0, half, height).to_image();
    (part(0), part(width - half))
}

/// Lists the files of a source that is not procedural. Returns the usable names, and what was skipped.
fn list_source(
    source: &Source,
    config: &DatasetConfig,
) -> Result<(Vec<NamedFiles>, Vec<Skipped>), DataError> {
    let wrong = |source_kind, needed| {
        Err(DataError::WrongSource {
            task: config.task.to_string(),
            source_kind,
            needed,
        })
    };
    let photographs = "the task makes its inputs from a folder of photographs";
    match (source, config.task.is_paired()) {
        (Source::Photographs(folder), false) => list_folder(folder, Files::Photograph),
        (Source::SideBySide(folder), true) => list_folder(folder, Files::SideBySide),
        (Source::PairedFolders { input, output }, true) => list_pairs(input, output),
        (Source::Photographs(_), true) => {
            wrong("single photographs", "the task needs pairs of images")
        }
        (Source::PairedFolders { .. }, false) => wrong("pairs of folders", photographs),
        (Source::SideBySide(_), false) => wrong("images side by side", photographs),
        (Source::Procedural { .. }, _) => unreachable!("procedural scenes have no files"),
    }
}

/// Checks from the headers alone that examples can be made from an entry. Returns its smallest crop.
fn check_files(files: &InputFiles, config: &DatasetConfig) -> Result<f64, DataError> {
    let smallest_crop = |size| View::smallest_crop(size, config.height, config.width);
    match &files.files {
        Files::Photograph(path) => check_size(path, 1, config).map(smallest_crop),
        Files::SideBySide(path) => {
            let (width, height) = check_size(path, 2, config)?;
            Ok(smallest_crop((width / 2, height)))
        }
        Files::Pair { input, output } => {
            let input_size = check_size(input, 1, config)?;
            let output_size = check_size(output, 1, config)?;
            let aspect = |(width, height): (u32, u32)| f64::from(width) / f64::from(height);
            // The rounded sides of a scaled image change its aspect ratio a little.
            if (aspect(input_size) / aspect(output_size) - 1.0).abs() > 0.02 {
                let shown = |(width, height): (u32, u32)| format!("{width}x{height}");
                return Err(DataError::PairShapes {
                    input: input.clone(),
                    output: output.clone(),
                    input_size: shown(input_size),
                    output_size: shown(output_size),
                });
            }
            Ok(smallest_crop(input_size).max(smallest_crop(output_size)))
        }
    }
}

/// Returns the size of an image, or an error if it is too small for `columns` outputs side by side.
fn check_size(path: &Path, columns: u32, config: &DatasetConfig) -> Result<(u32, u32), DataError> {
    let (width, height) = image_size(path)?;
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
