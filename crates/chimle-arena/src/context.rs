//! The task, the shared settings and the device that a method is made for.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::backend::Backend;
use chimle_core::data::Sizes;
use chimle_core::nn::{GeneratorConfig, RrdbCount};
use chimle_core::perceptual::{ImageDistance, Vgg16};
use chimle_core::{Architecture, DistanceConfig, Kernels, Preset, TaskHandle, architecture};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::space::Space;

/// The task, the shared settings and the device that a method is made for.
#[derive(Clone, Debug)]
pub struct Context<B: Backend> {
    /// The task.
    pub task: TaskHandle,
    /// The sizes of the task's images.
    pub sizes: Sizes,
    /// The shared generator, which CHIMLE, cIMLE, the GANs and the mean use.
    pub backbone: BackboneConfig,
    /// The distance that methods of the IMLE family minimize.
    pub distance: DistanceConfig,
    /// The weights of VGG16, for methods that compare its features.
    pub vgg16: Option<PathBuf>,
    /// The device.
    pub device: B::Device,
    /// The seed of the initial weights and of training.
    pub seed: u64,
}

impl<B: Backend> Context<B> {
    /// Returns the space of the values that networks read and write.
    pub fn space(&self) -> Space {
        Space::of(&*self.task)
    }

    /// Returns the shorter side of an output in pixels.
    pub fn side(&self) -> usize {
        let (height, width) = self.sizes.output();
        height.min(width)
    }

    /// Returns the configuration of the shared generator for the task.
    pub fn generator(&self) -> GeneratorConfig {
        self.backbone.for_task(&self.task)
    }

    /// Loads the distance of the IMLE family.
    ///
    /// # Errors
    ///
    /// If a file of weights is missing or damaged. The error names the file.
    pub fn load_distance(&self) -> Result<ImageDistance<B>, Error>
    where
        B: Kernels,
    {
        Ok(self.distance.load(&self.device)?)
    }

    /// Loads VGG16.
    ///
    /// # Errors
    ///
    /// If the configuration names no weights, or the file is missing or damaged.
    pub fn load_vgg16(&self, method: &str) -> Result<Vgg16<B>, Error> {
        let path = self.vgg16.as_ref().ok_or_else(|| {
            Error::setting(
                "weights.vgg16",
                format!("is missing, but {method} compares features of VGG16"),
            )
        })?;
        Ok(Vgg16::load(path, &self.device)?)
    }

    /// Seeds the backend's random numbers, from which initial weights are drawn.
    ///
    /// All threads of a process share the backend's random state. While the guard is held, no other method
    /// of the process is made, so the initial weights depend only on the seed.
    #[must_use = "hold the guard while the weights are made"]
    pub fn seed_weights(&self) -> MutexGuard<'static, ()> {
        static BEGINNING: Mutex<()> = Mutex::new(());
        let alone = BEGINNING.lock().unwrap_or_else(PoisonError::into_inner);
        B::seed(&self.device, self.seed);
        alone
    }
}

/// The size of the shared generator, which CHIMLE, cIMLE, the GANs and the mean use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackboneConfig {
    /// The residual channels per level, coarse to fine. The length is the number of levels.
    pub residual_channels: Vec<usize>,
    /// The growth channels per level.
    pub growth_channels: Vec<usize>,
    /// The number of RRDBs per level.
    pub rrdb_per_level: RrdbCount,
    /// The number of values in the global part of a code.
    pub map_code: usize,
    /// The number of channels of the local part of a code.
    pub code_channels: usize,
    /// The length of a style vector.
    pub latent: usize,
    /// The scale of the linear layers' initialization (see [`GeneratorConfig::linear_scale`]).
    pub linear_scale: f64,
    /// The channels per level of the encoder of the conditioning image (see
    /// [`GeneratorConfig::encoder_channels`]). `None` is the published architecture.
    pub encoder_channels: Option<Vec<usize>>,
    /// The decay of the moving average of the weights. If it is set, samples come from the average.
    /// Otherwise, they come from the newest weights.
    pub average: Option<f64>,
}

impl Default for BackboneConfig {
    /// Four levels, for outputs of 64 pixels.
    fn default() -> Self {
        Self {
            residual_channels: vec![48, 32, 16, 12],
            growth_channels: vec![24, 16, 8, 6],
            rrdb_per_level: RrdbCount::PerLevel(vec![2, 1, 1, 1]),
            map_code: 8,
            code_channels: 8,
            latent: 32,
            linear_scale: GeneratorConfig::preset(Preset::Tiny, Architecture::Colorization)
                .linear_scale,
            encoder_channels: None,
            average: Some(0.99),
        }
    }
}

impl BackboneConfig {
    /// Returns the number of levels.
    pub fn levels(&self) -> usize {
        self.residual_channels.len()
    }

    /// Returns the configuration of the generator for a task.
    pub fn for_task(&self, task: &TaskHandle) -> GeneratorConfig {
        GeneratorConfig {
            in_channels: task.conditioning_channels(),
            residual_channels: self.residual_channels.clone(),
            growth_channels: self.growth_channels.clone(),
            rrdb_per_level: self.rrdb_per_level.clone(),
            map_code: self.map_code,
            code_channels: self.code_channels,
            latent: self.latent,
            linear_scale: self.linear_scale,
            encoder_channels: self.encoder_channels.clone(),
            ..GeneratorConfig::preset(Preset::Tiny, architecture(&**task))
        }
    }
}
