//! The traits that a generator implements so that [`Trainer`](crate::Trainer) can train it and
//! [`Model`](crate::Model) can sample it.

use std::fmt::Debug;
use std::path::Path;

use burn::module::{AutodiffModule, Module, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use chimle_data::{Colorization, NightToDay, SuperResolution, Task, TaskHandle};
use chimle_imle::{Distance, StagedGenerator, TrainingDistance};
use chimle_nn::{
    Architecture, Compute, Generator, GeneratorConfig, Kernels, Precision, WeightFile,
    WeightsError, is_mapping,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::memory::level_bytes;
use crate::parameters;

/// The metadata key of a generator's configuration in a file of weights.
const CONFIG_KEY: &str = "chimle.generator";

/// The configuration of a generator: the section `[generator]` of a run's `config.toml`.
pub trait NetworkConfig:
    Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Returns the number of levels.
    fn levels(&self) -> usize;

    /// Checks that the generator fits a task. The default accepts every task.
    ///
    /// # Errors
    ///
    /// If the generator does not fit. The error names the field at fault.
    fn validate(&self, task: &dyn Task) -> Result<(), Error> {
        let _ = task;
        Ok(())
    }

    /// Returns the task that is assumed for a file of weights that names no task. The default is `None`.
    fn usual_task(&self) -> Option<TaskHandle> {
        None
    }

    /// Returns the number of global values, which stand at the beginning of each code and act on the whole
    /// image. The other values are local. The default is 0, for codes without a global part.
    fn global_values(&self) -> usize {
        0
    }

    /// Estimates how many bytes each level takes, coarse to fine, to make one output of this size
    /// without gradients.
    ///
    /// The estimate limits the batches of the search and of the sampler to the available memory. The default
    /// is an empty list, which means that nothing is known. Batches then have the configured size.
    fn level_bytes(&self, precision: Precision, height: usize, width: usize) -> Vec<u64> {
        let _ = (precision, height, width);
        Vec::new()
    }

    /// Estimates how many bytes the generator takes, at its peak, to make one output of this size without
    /// gradients. The estimate is that of the largest level, or 0 if nothing is known.
    fn bytes_per_output(&self, precision: Precision, height: usize, width: usize) -> u64 {
        let bytes = self.level_bytes(precision, height, width);
        bytes.into_iter().max().unwrap_or(0)
    }
}

/// A generator of images that can be trained and sampled.
///
/// The generator is a Burn module and a [`StagedGenerator`]. Its conditioning is a list of images. Its outputs
/// are RGB images in [0, 1], `[batch, 3, height, width]`, at the sizes of
/// [`Sizes::targets`](chimle_data::Sizes::targets). `chimle_nn::Generator` implements this trait, and the
/// example `own_generator` shows how another network does.
pub trait ImageGenerator<B: Backend>:
    StagedGenerator<B, Conditioning = Vec<Tensor<B, 4>>, Output = Tensor<B, 4>> + Module<B>
{
    /// The configuration that the generator is created from.
    type Config: NetworkConfig;

    /// Creates a generator with random weights, drawn from the random state of the backend.
    fn from_config(config: &Self::Config, device: &B::Device) -> Self;

    /// Returns the configuration that the generator was created from.
    fn config(&self) -> &Self::Config;

    /// Prepares the generator for faster evaluation. The outputs must stay the same. The result is never
    /// trained or saved. The default changes nothing.
    fn prepared(self) -> Self {
        self
    }

    /// Sets the precision, and whether the backward pass recomputes feature maps. The default ignores both
    /// settings.
    fn with_compute(self, compute: Compute) -> Self {
        let _ = compute;
        self
    }

    /// Returns the precision that the generator computes in.
    fn precision(&self) -> Precision {
        Precision::F32
    }

    /// Returns the shape `[channels, height, width]` of the local values in a code of the next level, in
    /// row-major order. Overlapping tiles of a large picture can then share their local values. The default is
    /// `None`, for codes whose local values do not belong to positions of the image.
    fn local_shape(&self, state: &Self::State) -> Option<[usize; 3]> {
        let _ = state;
        None
    }

    /// Returns the parameters that learn at `mapping_rate` times the learning rate. The default is an empty
    /// list.
    fn slow_parameters(&self) -> Vec<ParamId> {
        Vec::new()
    }

    /// Writes the parameters, the configuration and `metadata` to a safetensors file.
    ///
    /// The default names each parameter by its path in the module, such as `down.0.weight`.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    fn save(&self, path: &Path, metadata: &[(&str, String)]) -> Result<(), WeightsError> {
        let config = serde_json::to_string(self.config()).expect("a configuration is plain data");
        let mut all = vec![(CONFIG_KEY, config)];
        all.extend(metadata.iter().map(|(key, value)| (*key, value.clone())));
        parameters::save(self, path, &all)
    }

    /// Replaces the parameters with those of a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    ///
    /// If a parameter is missing or has a wrong shape. The error names the file and the parameter.
    fn load(self, file: &WeightFile) -> Result<Self, WeightsError> {
        parameters::load(self, file)
    }

    /// Reads the generator's configuration from a file of weights.
    ///
    /// The default reads the metadata that [`save`](Self::save) writes. `task` can help to recognize files
    /// that carry no configuration.
    ///
    /// # Errors
    ///
    /// If the file holds no configuration, or the configuration cannot be used.
    fn config_of_file(file: &WeightFile, task: Option<&dyn Task>) -> Result<Self::Config, Error> {
        let _ = task;
        let error = |reason| Error::Config {
            path: file.path().to_owned(),
            reason,
        };
        let json = file.metadata(CONFIG_KEY);
        let json = json.ok_or_else(|| error("it holds no generator's configuration".to_owned()))?;
        serde_json::from_str(&json).map_err(|e| error(format!("its configuration: {e}")))
    }
}

/// An [`ImageGenerator`] that can be trained.
///
/// The trait is implemented for every `ImageGenerator` whose counterpart without autodiff is also an
/// `ImageGenerator`. Burn's `Module` derive provides this counterpart.
pub trait TrainableGenerator<B: AutodiffBackend>:
    ImageGenerator<B> + AutodiffModule<B, InnerModule = <Self as TrainableGenerator<B>>::Evaluated>
{
    /// The generator without autodiff.
    type Evaluated: ImageGenerator<B::InnerBackend, Config = <Self as ImageGenerator<B>>::Config>;
}

impl<B, G> TrainableGenerator<B> for G
where
    B: AutodiffBackend,
    G: ImageGenerator<B> + AutodiffModule<B>,
    G::InnerModule: ImageGenerator<B::InnerBackend, Config = <G as ImageGenerator<B>>::Config>,
{
    type Evaluated = G::InnerModule;
}

/// A [`TrainingDistance`] between images.
///
/// The trait is implemented for every `TrainingDistance` whose outputs are images on both backends.
pub trait TrainableDistance<B: AutodiffBackend>:
    TrainingDistance<B, Output = Tensor<B, 4>, Valid = <Self as TrainableDistance<B>>::Evaluated> + Send
{
    /// The distance without autodiff.
    type Evaluated: Distance<B::InnerBackend, Output = Tensor<B::InnerBackend, 4>> + Send;

    /// Returns the distance without autodiff.
    fn evaluated(&self) -> <Self as TrainableDistance<B>>::Evaluated {
        self.valid()
    }

    /// Returns the distance with which the search compares candidates, without autodiff.
    fn searched(&self) -> <Self as TrainableDistance<B>>::Evaluated {
        self.for_search()
    }
}

impl<B, D> TrainableDistance<B> for D
where
    B: AutodiffBackend,
    D: TrainingDistance<B, Output = Tensor<B, 4>> + Send,
    D::Valid: Distance<B::InnerBackend, Output = Tensor<B::InnerBackend, 4>> + Send,
{
    type Evaluated = D::Valid;
}

impl NetworkConfig for GeneratorConfig {
    fn levels(&self) -> usize {
        self.levels()
    }

    fn global_values(&self) -> usize {
        self.map_code
    }

    fn validate(&self, task: &dyn Task) -> Result<(), Error> {
        self.validate()?;
        let setting = |field, reason| Err(Error::Setting { field, reason });
        let architecture = architecture(task);
        if self.architecture != architecture {
            let reason = format!("must be {architecture:?} for {}", task.name());
            return setting("generator.architecture", reason);
        }
        if self.in_channels != task.conditioning_channels() {
            let needed = task.conditioning_channels();
            let reason = format!(
                "must be {needed} for {}, not {}",
                task.name(),
                self.in_channels
            );
            return setting("generator.in_channels", reason);
        }
        Ok(())
    }

    fn usual_task(&self) -> Option<TaskHandle> {
        Some(match self.architecture {
            Architecture::SuperResolution => SuperResolution.into(),
            Architecture::Colorization => Colorization.into(),
            // Both decompression and night-to-day fit. Night-to-day takes an input as it is.
            Architecture::ImageToImage => NightToDay.into(),
        })
    }

    fn level_bytes(&self, precision: Precision, height: usize, width: usize) -> Vec<u64> {
        level_bytes(self, precision, height, width)
    }
}

/// Returns the architecture of [`GeneratorConfig`] that fits a task.
pub fn architecture(task: &dyn Task) -> Architecture {
    use chimle_data::{InputSize, OutputSpace};
    match (task.input_size(), task.output_space()) {
        (InputSize::Reduced, _) => Architecture::SuperResolution,
        (InputSize::SameAsOutput, OutputSpace::Lab) => Architecture::Colorization,
        (InputSize::SameAsOutput, OutputSpace::Rgb) => Architecture::ImageToImage,
    }
}

impl<B: Kernels> ImageGenerator<B> for Generator<B> {
    type Config = GeneratorConfig;

    fn from_config(config: &GeneratorConfig, device: &B::Device) -> Self {
        config.init(device)
    }

    fn config(&self) -> &GeneratorConfig {
        self.config()
    }

    fn prepared(self) -> Self {
        self.fold()
    }

    fn with_compute(self, compute: Compute) -> Self {
        self.with_compute(compute)
    }

    fn precision(&self) -> Precision {
        self.compute().precision
    }

    fn local_shape(&self, state: &Self::State) -> Option<[usize; 3]> {
        let [height, width] = state.code_size()?;
        Some([self.config().code_channels, height, width])
    }

    /// Returns the parameters of the mapping networks.
    fn slow_parameters(&self) -> Vec<ParamId> {
        struct Mapping(Vec<ParamId>);
        impl<B: Backend> chimle_nn::NamedVisitor<B> for Mapping {
            fn visit<const D: usize>(
                &mut self,
                name: &str,
                param: &burn::module::Param<Tensor<B, D>>,
            ) {
                if is_mapping(name) {
                    self.0.push(param.id);
                }
            }
        }
        let mut mapping = Mapping(Vec::new());
        self.visit_named(&mut mapping);
        mapping.0
    }

    /// Writes the parameters with the names and shapes of the authors' release.
    fn save(&self, path: &Path, metadata: &[(&str, String)]) -> Result<(), WeightsError> {
        self.save_with_metadata(path, metadata)
    }

    fn load(self, file: &WeightFile) -> Result<Self, WeightsError> {
        self.load(file)
    }

    fn config_of_file(file: &WeightFile, task: Option<&dyn Task>) -> Result<Self::Config, Error> {
        Ok(GeneratorConfig::of_file(file, task.map(architecture))?)
    }
}
