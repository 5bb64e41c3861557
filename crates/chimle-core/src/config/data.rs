//! The settings of a run's data, and its split into training and held-out inputs.

use std::path::PathBuf;

use chimle_data::{Dataset, Source, Task};
use serde::{Deserialize, Serialize};

use super::training::{MOST_EXAMPLES, check_count};
use crate::error::Error;
use crate::seed::{Stream, derive};

/// The settings of the data: where examples come from, and their size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Where examples come from: photographs, pairs, or procedural scenes.
    pub source: DataSource,
    /// The height of the output in pixels.
    pub height: usize,
    /// The width of the output in pixels.
    pub width: usize,
    /// Whether photographs are cropped, flipped and, with `transpose`, transposed at random.
    pub augment: bool,
    /// The smallest random crop, relative to the largest crop that fits the photograph: above 0 and
    /// at most 1.
    pub smallest_crop: f32,
    /// Whether augmentation may transpose an example, as the authors' release does. Photographs that
    /// have an upright direction, such as landscapes, train better without it.
    #[serde(default = "transposes")]
    pub transpose: bool,
    /// Separate data to validate on. Without it, some inputs of `source` are held out for validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<DataSource>,
    /// The largest number of inputs to validate on. At most a tenth of the inputs of `source` is held
    /// out.
    pub held_out: usize,
    /// The number of threads that decode and degrade images ahead of training.
    pub threads: usize,
    /// The size of the cache of decoded images in MiB. Images in the cache are not decoded again.
    #[serde(default = "usual_cache")]
    pub cache_mib: u64,
}

fn usual_cache() -> u64 {
    256
}

/// The largest number of threads that load examples.
const MOST_THREADS: u64 = 1024;

/// The largest cache of decoded images in MiB: 1 PiB.
const MOST_CACHE: u64 = 1 << 30;

impl DataConfig {
    /// Checks that all numbers are within their bounds.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        check_count("data.threads", self.threads as u64, 1, MOST_THREADS)?;
        check_count("data.cache_mib", self.cache_mib, 0, MOST_CACHE)?;
        for source in [Some(&self.source), self.validation.as_ref()] {
            if let Some(DataSource::Procedural { scenes }) = source {
                let field = "data.source.procedural.scenes";
                check_count(field, *scenes as u64, 1, MOST_EXAMPLES)?;
            }
        }
        Ok(())
    }
}

fn transposes() -> bool {
    true
}

/// Where examples come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DataSource {
    /// A folder of photographs. For a paired task, a folder of pairs (see [`Source::detect`]).
    Folder(#[serde(with = "crate::path_text")] PathBuf),
    /// Two folders whose files correspond by name.
    Pairs {
        /// The folder of inputs.
        #[serde(with = "crate::path_text")]
        input: PathBuf,
        /// The folder of outputs.
        #[serde(with = "crate::path_text")]
        output: PathBuf,
    },
    /// Procedural scenes with known modes.
    Procedural {
        /// The number of scenes.
        scenes: usize,
    },
}

impl DataSource {
    /// Returns the source as a [`Source`] of `chimle-data`.
    ///
    /// # Errors
    ///
    /// As [`Source::detect`].
    pub fn resolve(&self, task: &dyn Task) -> Result<Source, Error> {
        Ok(match self {
            Self::Folder(folder) => Source::detect(task, folder)?,
            Self::Pairs { input, output } => Source::PairedFolders {
                input: input.clone(),
                output: output.clone(),
            },
            Self::Procedural { scenes } => Source::Procedural { scenes: *scenes },
        })
    }
}

/// The split of a data set's inputs into training inputs and held-out inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// Inputs to train on, in the data set's order.
    pub(crate) training: Vec<usize>,
    /// Inputs to validate on, in the data set's order. If the data set is too small to hold any input
    /// out, this is its first input, which is also trained on.
    pub(crate) held_out: Vec<usize>,
}

impl Split {
    /// Draws the held-out inputs from the whole data set with a seed.
    ///
    /// Whether an input is held out depends on its identity. Adding an input to the data set or removing
    /// one therefore changes the split of few other inputs.
    pub(crate) fn draw(dataset: &Dataset, most: usize, seed: u64) -> Self {
        let count = (dataset.inputs() / 10).min(most);
        let mut by_chance: Vec<(u64, usize)> = (0..dataset.inputs())
            .map(|input| {
                let id = dataset.input_id(input).0;
                (derive(seed, Stream::HeldOut, id), input)
            })
            .collect();
        by_chance.sort_unstable();
        Self::of(by_chance.into_iter().map(|(_, input)| input), count)
    }

    /// Holds out the inputs at the end of the data set, as runs of format 1 did.
    pub(crate) fn at_end(dataset: &Dataset, most: usize) -> Self {
        let count = (dataset.inputs() / 10).min(most);
        Self::of((0..dataset.inputs()).rev(), count)
    }

    /// Trains on all inputs, because the run has separate data to validate on.
    pub(crate) fn none_held_out(dataset: &Dataset) -> Self {
        Self {
            training: (0..dataset.inputs()).collect(),
            held_out: Vec::new(),
        }
    }

    /// Holds out the first `count` inputs of the iterator.
    fn of(inputs: impl Iterator<Item = usize>, count: usize) -> Self {
        let mut held_out: Vec<usize> = inputs.collect();
        let mut training = held_out.split_off(count);
        training.sort_unstable();
        held_out.sort_unstable();
        if held_out.is_empty() {
            held_out.push(0);
        }
        Self { training, held_out }
    }
}
