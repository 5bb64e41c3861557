//! One reference network: its configuration, parameters and inputs.

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, backend::Backend};
use chimle_nn::{Architecture, Generator, GeneratorConfig, LatentCode, WeightFile};
use serde::Deserialize;

use super::folder::name_of;
use crate::error::Error;
use crate::peer_config::PeerConfig;

/// Endings of the files without which nothing can be checked.
const PARAMETERS: &str = ".pth";
const INPUTS: &str = "_io.safetensors";

/// The largest side of a reference image; beyond it a configuration is taken for damaged.
const LARGEST_SIDE: usize = 1 << 13;

/// What a `tim_*.json` says.
pub(super) struct Setup {
    json: PathBuf,
    network: GeneratorConfig,
    batch: usize,
    side: usize,
    /// Candidates of the search at each level.
    pub(super) pools: Vec<usize>,
    pub(super) adam: AdamSettings,
}

/// The optimizer's settings.
#[derive(Deserialize)]
pub(super) struct AdamSettings {
    pub(super) lr: f64,
    /// The mapping networks learn at this share of the rate.
    pub(super) map_lr_multiplier: f64,
    pub(super) betas: (f32, f32),
}

impl Setup {
    pub(super) fn read(json: &Path) -> Result<Self, Error> {
        let peer = PeerConfig::read(json)?;
        let task: String = peer.get("task")?;
        let architecture = architecture(&task)
            .ok_or_else(|| peer.error(format!("`task`: {task:?} is not known")))?;
        let setup = Self {
            json: json.to_owned(),
            network: peer.network(architecture)?,
            batch: peer.get("batch")?,
            side: peer.get("input_side")?,
            pools: peer.get("pool")?,
            adam: peer.get("adam")?,
        };
        setup.validate().map_err(|reason| peer.error(reason))?;
        Ok(setup)
    }

    fn validate(&self) -> Result<(), String> {
        let (levels, side, pools) = (self.network.levels(), self.side, &self.pools);
        let enlargement = 1usize.checked_shl(levels as u32);
        let largest = enlargement.and_then(|times| side.checked_mul(times));
        if side == 0 || largest.is_none_or(|largest| largest > LARGEST_SIDE) {
            return Err(format!(
                "`input_side` is {side}: not from 1 to {LARGEST_SIDE} pixels at all of {levels} levels"
            ));
        }
        if self.batch == 0 {
            return Err("`batch` must be at least 1".to_owned());
        }
        if pools.len() != levels || pools.contains(&0) {
            return Err(format!(
                "`pool` is {pools:?}: not a number above 0 for each of {levels} levels"
            ));
        }
        Ok(())
    }

    /// The name that the files share, as in "tim_generic".
    pub(super) fn name(&self) -> String {
        name_of(&self.json.with_extension(""))
    }

    /// A file beside the configuration.
    pub(super) fn file(&self, ending: &str) -> PathBuf {
        self.json.with_file_name(format!("{}{ending}", self.name()))
    }

    /// The first missing file of those without which nothing can be checked.
    pub(super) fn missing(&self) -> Option<String> {
        let needed = [PARAMETERS, INPUTS].map(|ending| self.file(ending));
        needed
            .iter()
            .find(|path| !path.exists())
            .map(|p| name_of(p))
    }

    /// The network with its parameters, and its inputs.
    pub(super) fn open<B: Backend>(self, device: &B::Device) -> Result<Case<B>, Error> {
        let network = &self.network;
        let parameters = WeightFile::open(self.file(PARAMETERS))?;
        // Asked before a network is made: a damaged configuration may describe a huge one.
        if &GeneratorConfig::of_file(&parameters, Some(network.architecture))? != network {
            let name = name_of(parameters.path());
            return Err(Error::Config {
                path: self.json,
                reason: format!("describes another network than the one in {name}"),
            });
        }
        let generator = network.init(device).load(&parameters)?;

        let io = WeightFile::open(self.file(INPUTS))?;
        let image = |name: String, channels, side| {
            io.tensor::<B, 4>(&name, [self.batch, channels, side, side], device)
        };
        let conditioning = (0..network.conditioning_images())
            .map(|i| image(format!("input.{i}"), network.in_channels, self.side << i))
            .collect::<Result<_, _>>()?;
        // Super-resolution shows a level at twice its side.
        let shown = usize::from(network.architecture == Architecture::SuperResolution);
        let targets = (0..network.levels())
            .map(|i| image(format!("target.{i}"), 3, self.side << (i + shown)))
            .collect::<Result<_, _>>()?;

        let (mut codes, mut pools) = (Vec::new(), Vec::new());
        for (i, size) in network.code_sizes([self.side; 2]).into_iter().enumerate() {
            let len = network.code_len(size);
            let code = io.tensor(&format!("code.{i}"), [self.batch, len], device)?;
            codes.push(split(network, code, size));
            let shape = [self.batch, self.pools[i], len];
            pools.push(io.tensor(&format!("search.pool.{i}"), shape, device)?);
        }
        Ok(Case {
            generator,
            io,
            conditioning,
            codes,
            targets,
            pools,
            setup: self,
        })
    }
}

/// A reference network on a device.
pub(super) struct Case<B: Backend> {
    pub(super) setup: Setup,
    pub(super) generator: Generator<B>,
    /// Inputs and what they should lead to, by name.
    pub(super) io: WeightFile,
    pub(super) conditioning: Vec<Tensor<B, 4>>,
    pub(super) codes: Vec<LatentCode<B>>,
    /// The true image at each level, `[batch, 3, h, w]`.
    pub(super) targets: Vec<Tensor<B, 4>>,
    /// Candidates of each level, `[batch, candidates, code]`.
    pub(super) pools: Vec<Tensor<B, 3>>,
}

/// The global part of a flat code `[batch, code]`, and its local part of the given size.
fn split<B: Backend>(
    network: &GeneratorConfig,
    code: Tensor<B, 2>,
    [height, width]: [usize; 2],
) -> LatentCode<B> {
    let [batch, len] = code.dims();
    let local = code
        .clone()
        .narrow(1, network.map_code, len - network.map_code);
    LatentCode {
        global: code.narrow(1, 0, network.map_code),
        local: local.reshape([batch, network.code_channels, height, width]),
    }
}

/// The architecture that a task of the authors' release takes, by its name there.
fn architecture(task: &str) -> Option<Architecture> {
    let letters: String = task.chars().filter(|c| c.is_alphanumeric()).collect();
    match letters.to_lowercase().as_str() {
        "colourization" | "colorization" => Some(Architecture::Colorization),
        "superresolution" => Some(Architecture::SuperResolution),
        "generic" => Some(Architecture::ImageToImage),
        _ => None,
    }
}
