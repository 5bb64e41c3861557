//! The generator's configuration, its presets, and what makes one invalid.

use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::generator::Generator;
use crate::level::LevelConfig;
use crate::mapping::MappingNetworkConfig;

/// How a level's parts join, by the kind of task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// Level 1 is conditioned on the low-resolution input, a level above on the raw image of the
    /// level below. A level enlarges, then shows: its image has twice its side.
    SuperResolution,
    /// Every level is conditioned on the lightness at its side. A level shows, then enlarges; the
    /// last refines in place of enlarging, before it shows.
    Colorization,
    /// Every level is conditioned on the input image at its side. A level shows, then enlarges;
    /// the last does not.
    ImageToImage,
}

impl Architecture {
    /// Channels of a conditioning image, and of the raw image a level puts out.
    pub fn channels(self) -> (usize, usize) {
        match self {
            Self::Colorization => (1, 2),
            Self::SuperResolution | Self::ImageToImage => (3, 3),
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
    /// The paper's: four levels, about 210 million parameters.
    Paper,
}

/// Configuration of a [`Generator`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorConfig {
    /// How a level's parts join.
    pub architecture: Architecture,
    /// Channels of a conditioning image.
    pub in_channels: usize,
    /// Channels of a level's raw image.
    pub out_channels: usize,
    /// Channels of the local part of a code.
    pub code_channels: usize,
    /// Residual channels of each level, coarse to fine; their number is the number of levels.
    pub residual_channels: Vec<usize>,
    /// Growth channels of each level.
    pub growth_channels: Vec<usize>,
    /// RRDBs in each level.
    pub rrdb_per_level: usize,
    /// Values in the global part of a code.
    pub map_code: usize,
    /// Length of a style vector.
    pub latent: usize,
    /// Linear layers start as Kaiming normal (fan in) times this; 0.1 in the authors' release.
    #[serde(default = "release_linear_scale")]
    pub linear_scale: f64,
}

fn release_linear_scale() -> f64 {
    0.1
}

impl GeneratorConfig {
    /// A preset for an architecture.
    pub fn preset(preset: Preset, architecture: Architecture) -> Self {
        let (in_channels, out_channels) = architecture.channels();
        let base = Self {
            architecture,
            in_channels,
            out_channels,
            code_channels: 5,
            residual_channels: vec![128, 64, 64, 64],
            growth_channels: vec![256, 192, 128, 64],
            rrdb_per_level: 6,
            map_code: 128,
            latent: 512,
            linear_scale: release_linear_scale(),
        };
        match preset {
            Preset::Paper => base,
            Preset::Small => Self {
                residual_channels: vec![32, 32, 24, 16],
                growth_channels: vec![16, 16, 12, 8],
                rrdb_per_level: 2,
                map_code: 64,
                latent: 128,
                ..base
            },
            Preset::Tiny => Self {
                residual_channels: vec![32, 24, 16],
                growth_channels: vec![16, 12, 8],
                rrdb_per_level: 1,
                map_code: 16,
                latent: 32,
                // At 0.1 the eight layers of a mapping network start 10^8 times too quiet for the
                // global code to be heard within a few hundred steps.
                linear_scale: 1.0,
                ..base
            },
        }
    }

    /// Levels in the chain.
    pub fn levels(&self) -> usize {
        self.residual_channels.len()
    }

    /// Images that [`Generator::begin`] takes.
    pub fn conditioning_images(&self) -> usize {
        match self.architecture {
            Architecture::SuperResolution => 1,
            Architecture::Colorization | Architecture::ImageToImage => self.levels(),
        }
    }

    /// How many times the side of the coarsest conditioning image the last level's image has.
    pub fn enlargement(&self) -> usize {
        match self.architecture {
            Architecture::SuperResolution => 1 << self.levels(),
            Architecture::Colorization | Architecture::ImageToImage => 1 << (self.levels() - 1),
        }
    }

    /// Height and width of each level's local code, coarse to fine, when the coarsest conditioning
    /// image has the given ones.
    pub fn code_sizes(&self, [height, width]: [usize; 2]) -> Vec<[usize; 2]> {
        (0..self.levels())
            .map(|level| [height << level, width << level])
            .collect()
    }

    /// Values in one level's code when its local part is `height` x `width`.
    pub fn code_len(&self, [height, width]: [usize; 2]) -> usize {
        self.map_code + self.code_channels * height * width
    }

    /// Whether a generator can be made from it.
    ///
    /// # Errors
    /// Names the field that is zero, or whose length is not the number of levels.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let sizes = [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("code_channels", self.code_channels),
            ("rrdb_per_level", self.rrdb_per_level),
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
        ];
        if let Some((field, _)) = sizes.into_iter().find(|&(_, size)| size == 0) {
            return Err(ConfigError::Zero { field });
        }
        if self.growth_channels.len() != self.levels() {
            return Err(ConfigError::Levels {
                levels: self.levels(),
                growth: self.growth_channels.len(),
            });
        }
        let (inputs, outputs) = self.architecture.channels();
        for (field, expected, found) in [
            ("in_channels", inputs, self.in_channels),
            ("out_channels", outputs, self.out_channels),
        ] {
            if expected != found {
                return Err(ConfigError::Channels {
                    field,
                    architecture: self.architecture,
                    expected,
                    found,
                });
            }
        }
        if !(self.linear_scale.is_finite() && self.linear_scale > 0.0) {
            return Err(ConfigError::LinearScale(self.linear_scale));
        }
        Ok(())
    }

    /// A generator with fresh weights: convolutions as PyTorch makes them, linear layers Kaiming
    /// normal times [`linear_scale`](Self::linear_scale), all biases zero. The weights follow from
    /// the backend's random state: seed it first (`B::seed`) to repeat them.
    ///
    /// # Panics
    /// If [`validate`](Self::validate) would return an error.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Generator<B> {
        self.validate().expect("a valid configuration");
        let levels = (0..self.levels())
            .map(|i| self.level(i).init(device))
            .collect();
        Generator::new(self.clone(), levels).with_fixed_ids()
    }

    fn level(&self, index: usize) -> LevelConfig {
        LevelConfig {
            channels_in: self.in_channels,
            channels_below: if index == 0 {
                0
            } else {
                self.residual_channels[index - 1]
            },
            residual_channels: self.residual_channels[index],
            growth_channels: self.growth_channels[index],
            channels_out: self.out_channels,
            code_channels: self.code_channels,
            rrdbs: self.rrdb_per_level,
            mapping: MappingNetworkConfig {
                map_code: self.map_code,
                latent: self.latent,
                levels_below: index,
                linear_scale: self.linear_scale,
            },
        }
    }
}
