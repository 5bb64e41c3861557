//! The generator's configuration, its presets, and its checks.

use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::encoder::EncoderConfig;
use crate::error::ConfigError;
use crate::generator::Generator;
use crate::level::LevelConfig;
use crate::mapping::MappingNetworkConfig;
use crate::shapes::{MOST, MOST_LEVELS, MOST_PARAMETERS};

/// How the parts of a level are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// Level 1 is conditioned on the low-resolution input. Each higher level is conditioned on the
    /// raw image of the level below. A level enlarges its features, then computes its image, which
    /// has twice the level's side. The conditioning and the output have the same channels.
    SuperResolution,
    /// Every level is conditioned on the lightness at its side. A level computes its image, then
    /// enlarges its features. The last level refines its features instead, before its image.
    Colorization,
    /// Every level is conditioned on the input image at its side. A level computes its image, then
    /// enlarges its features. The last level does not enlarge.
    ImageToImage,
}

/// The channels of colorization: lightness in, a' and b' out.
const COLORIZATION_CHANNELS: (usize, usize) = (1, 2);

/// The channels of RGB images in and out.
const RGB_CHANNELS: (usize, usize) = (3, 3);

impl Architecture {
    /// Returns the usual channels of a conditioning image and of a level's output.
    fn usual_channels(self) -> (usize, usize) {
        match self {
            Self::Colorization => COLORIZATION_CHANNELS,
            Self::SuperResolution | Self::ImageToImage => RGB_CHANNELS,
        }
    }
}

/// Sizes of networks that have been tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Three levels; trains in minutes on a CPU.
    Tiny,
    /// Four levels; trains in an hour or so on a CPU at 64 pixels.
    Small,
    /// The paper's network: four levels, about 210 million parameters.
    Paper,
}

/// Configuration of a [`Generator`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorConfig {
    /// How the parts of a level are joined.
    pub architecture: Architecture,
    /// The number of channels of a conditioning image. In colorization it is 1.
    pub in_channels: usize,
    /// The number of channels of the last convolution of a level. In colorization it is 2.
    pub out_channels: usize,
    /// The number of channels of the local part of a code.
    pub code_channels: usize,
    /// The residual channels per level, coarse to fine. The length is the number of levels.
    pub residual_channels: Vec<usize>,
    /// The growth channels per level.
    pub growth_channels: Vec<usize>,
    /// The number of RRDBs: one number for all levels, or one per level.
    pub rrdb_per_level: RrdbCount,
    /// The number of values in the global part of a code.
    pub map_code: usize,
    /// The length of a style vector.
    pub latent: usize,
    /// The scale of the linear layers' initialization, which is Kaiming normal (fan in) times this
    /// value. The authors' release uses 0.1.
    #[serde(default = "release_linear_scale")]
    pub linear_scale: f64,
    /// The channels per level, coarse to fine, of an [`Encoder`](crate::Encoder) of the conditioning
    /// image. `None` is the published architecture. Super-resolution takes no encoder, because its
    /// first level sees the whole input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder_channels: Option<Vec<usize>>,
}

/// The number of RRDBs in a level. A configuration holds one number, or a list of one per level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RrdbCount {
    /// The same number in every level.
    Same(usize),
    /// One number per level, coarse to fine.
    PerLevel(Vec<usize>),
}

impl RrdbCount {
    /// Returns the number of RRDBs in a level (from 0).
    ///
    /// # Panics
    ///
    /// If the list has no such level.
    pub fn of(&self, level: usize) -> usize {
        match self {
            Self::Same(count) => *count,
            Self::PerLevel(counts) => counts[level],
        }
    }

    fn largest(&self) -> usize {
        match self {
            Self::Same(count) => *count,
            Self::PerLevel(counts) => counts.iter().copied().max().unwrap_or(0),
        }
    }

    fn smallest(&self) -> usize {
        match self {
            Self::Same(count) => *count,
            Self::PerLevel(counts) => counts.iter().copied().min().unwrap_or(0),
        }
    }
}

fn release_linear_scale() -> f64 {
    0.1
}

impl GeneratorConfig {
    /// Returns a preset for an architecture, with the usual channels: lightness to a' and b' for
    /// colorization, RGB to RGB otherwise.
    pub fn preset(preset: Preset, architecture: Architecture) -> Self {
        let (in_channels, out_channels) = architecture.usual_channels();
        let base = Self {
            architecture,
            in_channels,
            out_channels,
            code_channels: 5,
            residual_channels: vec![128, 64, 64, 64],
            growth_channels: vec![256, 192, 128, 64],
            rrdb_per_level: RrdbCount::Same(6),
            map_code: 128,
            latent: 512,
            linear_scale: release_linear_scale(),
            encoder_channels: None,
        };
        match preset {
            Preset::Paper => base,
            Preset::Small => Self {
                residual_channels: vec![32, 32, 24, 16],
                growth_channels: vec![16, 16, 12, 8],
                rrdb_per_level: RrdbCount::Same(2),
                map_code: 64,
                latent: 128,
                ..base
            },
            Preset::Tiny => Self {
                residual_channels: vec![32, 24, 16],
                growth_channels: vec![16, 12, 8],
                rrdb_per_level: RrdbCount::Same(1),
                map_code: 16,
                latent: 32,
                // With the release's 0.1, the eight layers of a new mapping network scale the
                // global code down by a factor of about 10^8. It would have no visible effect
                // within a few hundred steps.
                linear_scale: 1.0,
                ..base
            },
        }
    }

    /// Returns the number of levels.
    pub fn levels(&self) -> usize {
        self.residual_channels.len()
    }

    /// Returns the number of images in the generator's conditioning.
    pub fn conditioning_images(&self) -> usize {
        match self.architecture {
            Architecture::SuperResolution => 1,
            Architecture::Colorization | Architecture::ImageToImage => self.levels(),
        }
    }

    /// Checks that a generator can be made from the configuration.
    ///
    /// # Errors
    ///
    /// If a field is zero or too large, has the wrong length, or does not fit the architecture. The
    /// error names the field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let sizes = [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("code_channels", self.code_channels),
            ("rrdb_per_level", self.rrdb_per_level.smallest()),
            ("map_code", self.map_code),
            ("latent", self.latent),
            (
                "residual_channels",
                self.residual_channels.iter().copied().min().unwrap_or(0),
            ),
            (
                "growth_channels",
                self.growth_channels.iter().copied().min().unwrap_or(0),
            ),
            (
                "encoder_channels",
                self.encoder_channels
                    .as_ref()
                    .map_or(1, |channels| channels.iter().copied().min().unwrap_or(0)),
            ),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|&(_, size)| size == 0) {
            return Err(ConfigError::Zero { field });
        }
        let largest = |sizes: &[usize]| sizes.iter().copied().max().unwrap_or(0);
        let bounded = [
            ("in_channels", self.in_channels, MOST),
            ("out_channels", self.out_channels, MOST),
            ("code_channels", self.code_channels, MOST),
            ("rrdb_per_level", self.rrdb_per_level.largest(), MOST),
            ("map_code", self.map_code, MOST),
            ("latent", self.latent, MOST),
            ("residual_channels", largest(&self.residual_channels), MOST),
            ("growth_channels", largest(&self.growth_channels), MOST),
            (
                "encoder_channels",
                largest(self.encoder_channels.as_deref().unwrap_or_default()),
                MOST,
            ),
            ("levels", self.levels(), MOST_LEVELS),
        ];
        if let Some((field, found, most)) = bounded.into_iter().find(|&(_, size, most)| size > most)
        {
            return Err(ConfigError::TooLarge { field, most, found });
        }
        let mut lists = vec![("growth_channels", self.growth_channels.len())];
        if let RrdbCount::PerLevel(counts) = &self.rrdb_per_level {
            lists.push(("rrdb_per_level", counts.len()));
        }
        if let Some(channels) = &self.encoder_channels {
            lists.push(("encoder_channels", channels.len()));
        }
        if let Some(&(field, found)) = lists.iter().find(|(_, len)| *len != self.levels()) {
            return Err(ConfigError::Levels {
                levels: self.levels(),
                field,
                found,
            });
        }
        let channels = (self.in_channels, self.out_channels);
        let fits = match self.architecture {
            Architecture::Colorization => channels == COLORIZATION_CHANNELS,
            // Each level is conditioned on the image of the level below.
            Architecture::SuperResolution => self.in_channels == self.out_channels,
            Architecture::ImageToImage => true,
        };
        if !fits {
            return Err(ConfigError::Channels {
                architecture: self.architecture,
                in_channels: self.in_channels,
                out_channels: self.out_channels,
                needed: match self.architecture {
                    Architecture::Colorization => "1 and 2",
                    Architecture::SuperResolution | Architecture::ImageToImage => "equal",
                },
            });
        }
        if self.encoder_channels.is_some() && self.architecture == Architecture::SuperResolution {
            return Err(ConfigError::Encoder);
        }
        if !(self.linear_scale.is_finite() && self.linear_scale > 0.0) {
            return Err(ConfigError::LinearScale(self.linear_scale));
        }
        match self.parameters_within_limit() {
            Some(_) => Ok(()),
            None => Err(ConfigError::TooManyParameters {
                most: MOST_PARAMETERS,
            }),
        }
    }

    /// Creates a generator with fresh weights: convolutions initialized as in PyTorch, linear
    /// layers Kaiming normal times [`linear_scale`](Self::linear_scale), all biases zero.
    ///
    /// The weights depend on the random state of the backend. Seed it first (`B::seed`) to repeat
    /// them.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would return an error.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Generator<B> {
        self.validate().expect("a valid configuration");
        let levels = (0..self.levels())
            .map(|i| self.level(i).init(device))
            .collect();
        let encoder = self.encoder_channels.as_ref().map(|channels| {
            let encoder = EncoderConfig::new(self.in_channels, channels.clone());
            encoder.init(device)
        });
        Generator::new(self.clone(), encoder, levels).with_fixed_ids()
    }

    /// Returns the number of channels that enter a level (from 0): its conditioning image, the encoder's
    /// features, the local code, and the features handed up from the level below.
    ///
    /// # Panics
    ///
    /// If there is no such level.
    pub fn level_channels_in(&self, level: usize) -> usize {
        let LevelConfig {
            channels_in,
            code_channels,
            channels_below,
            ..
        } = self.level(level);
        channels_in + code_channels + channels_below
    }

    fn level(&self, index: usize) -> LevelConfig {
        LevelConfig {
            channels_in: self.in_channels
                + self
                    .encoder_channels
                    .as_ref()
                    .map_or(0, |channels| channels[index]),
            channels_below: if index == 0 {
                0
            } else {
                self.residual_channels[index - 1]
            },
            residual_channels: self.residual_channels[index],
            growth_channels: self.growth_channels[index],
            channels_out: self.out_channels,
            code_channels: self.code_channels,
            rrdbs: self.rrdb_per_level.of(index),
            mapping: MappingNetworkConfig {
                map_code: self.map_code,
                latent: self.latent,
                levels_below: index,
                linear_scale: self.linear_scale,
            },
        }
    }
}
