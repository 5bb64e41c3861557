//! The configuration of a reference network: a file `tim_*.json`.

use std::path::{Path, PathBuf};

use chimle_core::nn::{Architecture, GeneratorConfig};
use serde::Deserialize;

use super::folder::name_of;
use crate::error::Error;
use crate::network_file::NetworkFile;

/// The endings of the two files that every check of a network needs.
pub(super) const PARAMETERS: &str = ".pth";
pub(super) const INPUTS: &str = "_io.safetensors";

/// The largest side of a reference image. A configuration with a larger one is rejected as damaged.
const LARGEST_SIDE: usize = 1 << 13;

/// The contents of a `tim_*.json`.
pub(super) struct Setup {
    /// The file itself.
    pub(super) json: PathBuf,
    pub(super) network: GeneratorConfig,
    pub(super) batch: usize,
    /// The side of the coarsest conditioning image, in pixels.
    pub(super) side: usize,
    /// The number of candidates of the search, per level.
    pub(super) pools: Vec<usize>,
    pub(super) adam: AdamSettings,
    /// The distance of the losses, the gradients and the search.
    pub(super) loss: Loss,
}

/// A distance that a `tim_*.json` can name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Loss {
    /// LPIPS on VGG16 with its learned weights.
    #[default]
    Lpips,
    /// The mean squared difference.
    L2,
}

/// The settings of the optimizer.
#[derive(Deserialize)]
pub(super) struct AdamSettings {
    pub(super) lr: f64,
    /// The learning rate of the mapping networks, relative to `lr`.
    pub(super) map_lr_multiplier: f64,
    pub(super) betas: (f32, f32),
}

impl AdamSettings {
    /// Returns the learning rate of the mapping networks.
    pub(super) fn mapping_rate(&self) -> f64 {
        self.lr * self.map_lr_multiplier
    }
}

impl Setup {
    /// Reads and validates the file.
    pub(super) fn read(json: &Path) -> Result<Self, Error> {
        let file = NetworkFile::read(json)?;
        let task: String = file.get("task")?;
        let architecture = architecture(&task)
            .ok_or_else(|| file.error(format!("`task`: {task:?} is not known")))?;
        let setup = Self {
            json: json.to_owned(),
            network: file.network(architecture)?,
            batch: file.get("batch")?,
            side: file.get("input_side")?,
            pools: file.get("pool")?,
            adam: file.get("adam")?,
            loss: file.get_optional("loss")?.unwrap_or_default(),
        };
        setup.validate().map_err(|reason| file.error(reason))?;
        Ok(setup)
    }

    fn validate(&self) -> Result<(), String> {
        let (levels, side, pools) = (self.network.levels(), self.side, &self.pools);
        let enlargement = 1usize.checked_shl(levels as u32);
        let largest = enlargement.and_then(|times| side.checked_mul(times));
        if side == 0 || largest.is_none_or(|largest| largest > LARGEST_SIDE) {
            return Err(format!(
                "`input_side` is {side}: the sides of all {levels} levels must be from 1 to {LARGEST_SIDE} pixels"
            ));
        }
        if self.batch == 0 {
            return Err("`batch` must be at least 1".to_owned());
        }
        if pools.len() != levels || pools.contains(&0) {
            return Err(format!(
                "`pool` is {pools:?}: it must have a number above 0 for each of {levels} levels"
            ));
        }
        Ok(())
    }

    /// Returns the beginning of the names of all files of the network, such as "tim_generic".
    pub(super) fn name(&self) -> String {
        name_of(&self.json.with_extension(""))
    }

    /// Returns the path of the network's file with the given ending.
    pub(super) fn file(&self, ending: &str) -> PathBuf {
        self.json.with_file_name(format!("{}{ending}", self.name()))
    }

    /// Returns the name of the first missing file among those that every check needs.
    pub(super) fn missing(&self) -> Option<String> {
        let needed = [PARAMETERS, INPUTS].map(|ending| self.file(ending));
        needed
            .iter()
            .find(|path| !path.exists())
            .map(|p| name_of(p))
    }
}

/// Returns the architecture of a task, by the task's name in the authors' release.
fn architecture(task: &str) -> Option<Architecture> {
    let letters: String = task.chars().filter(|c| c.is_alphanumeric()).collect();
    match letters.to_lowercase().as_str() {
        "colourization" | "colorization" => Some(Architecture::Colorization),
        "superresolution" => Some(Architecture::SuperResolution),
        "generic" => Some(Architecture::ImageToImage),
        _ => None,
    }
}
