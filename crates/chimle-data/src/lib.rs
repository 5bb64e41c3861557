//! From photographs to training examples for CHIMLE.
//!
//! A [`Source`] says where images come from: a folder of photographs, two folders of pairs, images side by
//! side, or [procedural scenes](procedural) that need no files and whose plausible outputs are all known. A
//! [`Dataset`] makes [`Example`]s of them for one [`Task`]: the conditioning images and the true image at each
//! level of the generator, as [`Planes`] of `f32`. A [`Loader`] makes examples ahead of time on threads, in a fixed
//! order, and [`Batch::collate`] stacks them into tensors of any Burn backend.
//!
//! The parts can be used alone: [`read_rgb`], the degradations [`downsample`], [`jpeg`] and
//! [`grayscale_lightness`], and, for an input of one's own, [`conditioning`].
//!
//! ```
//! use burn_flex::Flex;
//! use chimle_data::{Batch, Dataset, DatasetConfig, Loader, Source, Task};
//!
//! # fn main() -> Result<(), chimle_data::DataError> {
//! // Four levels: 8, 16, 32 and 64 pixels. For photographs: Source::detect(Task::Colorization, folder)?
//! let config = DatasetConfig::new(Task::Colorization, 4, 64, 64).with_augment(true);
//! let dataset = Dataset::open(Source::Procedural { scenes: 100 }, config)?;
//!
//! // Which examples, and the seed of each one's augmentation.
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
mod color;
mod compress;
mod dataset;
mod error;
mod example;
mod geometry;
mod jpeg_markers;
mod loader;
mod planes;
pub mod procedural;
mod read;
mod resample;
mod source;
mod task;
mod view;

pub use batch::{Batch, planes_from_tensor, stack};
pub use color::{gray_of_lightness, grayscale_lightness, lab};
pub use compress::{ChromaSubsampling, jpeg};
pub use dataset::{Dataset, DatasetConfig, Skipped};
pub use error::DataError;
pub use example::{DECOMPRESSION_QUALITY, Example, conditioning, targets, task_input};
pub use geometry::{check_sides, conditioning_sizes, side_multiple, target_sizes};
pub use loader::Loader;
pub use planes::Planes;
pub use procedural::{MODES, nearest_mode};
pub use read::{MAX_IMAGE_BYTES, read_rgb};
pub use resample::downsample;
pub use source::Source;
pub use task::Task;
