//! Turns photographs into training examples for CHIMLE.
//!
//! Use this crate to train, sample or evaluate a generator on images. It decodes images and makes
//! batches of tensors; it has no networks.
//!
//! - A [`Source`] says where images come from: a folder of photographs, two folders of pairs, images
//!   side by side, or [procedural scenes](procedural) that need no files and whose plausible outputs
//!   are all known.
//! - A [`Task`] says how a photograph becomes an input: the paper's four tasks, or one of your own
//!   (see [`register`]). [`Sizes`] are the sizes of a task's images at the levels of a generator.
//! - A [`Dataset`] makes the [`Example`]s of one task. An example holds the conditioning images and
//!   the true image at each level, as [`Planes`] of `f32`.
//! - A [`Loader`] makes examples ahead of time on threads, in a fixed order.
//! - [`Batch::collate`] stacks examples into tensors of any Burn backend.
//!
//! The parts can be used alone: [`read_rgb`], [`list_images`], and the degradations [`downsample`],
//! [`jpeg`] and [`grayscale_lightness`].
//!
//! # Examples
//!
//! ```
//! use burn_flex::Flex;
//! use chimle_data::{Batch, Colorization, Dataset, DatasetConfig, Loader, Source};
//!
//! # fn main() -> Result<(), chimle_data::DataError> {
//! // Four levels: 8, 16, 32 and 64 pixels. For photographs: Source::detect(&Colorization, folder)?
//! let config = DatasetConfig::new(Colorization, 4, 64, 64).with_augment(true);
//! let dataset = Dataset::open(Source::Procedural { scenes: 100 }, config)?;
//!
//! // The index of each example, and the seed of its augmentation.
//! let jobs = (0..2).map(|step| (step % dataset.len(), step as u64));
//! let examples = Loader::new(dataset.clone(), jobs, 2, 8).collect::<Result<Vec<_>, _>>()?;
//!
//! let batch = Batch::<Flex>::collate(&examples.iter().collect::<Vec<_>>(), &Default::default());
//! assert_eq!(batch.conditioning[0].dims(), [2, 1, 8, 8]);
//! assert_eq!(batch.targets[3].dims(), [2, 3, 64, 64]);
//! # Ok(())
//! # }
//! ```

mod batch;
mod budget;
mod color;
mod compress;
mod dataset;
mod error;
mod example;
mod image_cache;
mod jpeg_markers;
mod listing;
mod loader;
mod planes;
pub mod procedural;
mod read;
mod recolor;
mod resample;
mod sizes;
mod source;
mod task;
mod tasks;
mod view;

pub use batch::{Batch, planes_from_tensor, stack};
pub use color::{gray_of_lightness, grayscale_lightness, lab};
pub use compress::{ChromaSubsampling, jpeg};
pub use dataset::{Dataset, DatasetConfig, Skipped};
pub use error::DataError;
pub use example::{Example, InputId, targets};
pub use listing::Listing;
pub use loader::Loader;
pub use planes::Planes;
pub use procedural::{MODES, nearest_mode};
pub use read::{MAX_IMAGE_BYTES, decode_rgb, image_size, read_rgb};
pub use recolor::Recoloring;
pub use resample::{downsample, downsample_planes, size_within};
pub use sizes::Sizes;
pub use source::{ImageList, Source, list_images};
pub use task::{InputSize, OutputSpace, Task, TaskHandle, register};
pub use tasks::{Colorization, DECOMPRESSION_QUALITY, Decompression, NightToDay, SuperResolution};
