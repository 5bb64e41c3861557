//! A generator's weights in files, under the names of the authors' release.
//!
//! The files that this library writes are safetensors. They contain the configuration next to the
//! parameters, so a generator can be made from the file alone. The authors' `.pth` checkpoints
//! contain only parameters.

use std::path::Path;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use chimle_weights::{WeightFile, WeightsError};

use crate::config::{Architecture, GeneratorConfig, Preset, RrdbCount};
use crate::generator::Generator;
use crate::names::{NamedMapper, NamedVisitor};

/// The metadata key of the configuration in a safetensors file. The value is JSON.
const CONFIG_KEY: &str = "chimle.generator";

impl<B: Backend> Generator<B> {
    /// Writes the parameters under the release's names and shapes, with the configuration.
    ///
    /// # Errors
    ///
    /// If the file cannot be written; see [`chimle_weights::write`].
    ///
    /// # Panics
    ///
    /// If the generator is folded.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), WeightsError> {
        self.save_with_metadata(path, &[])
    }

    /// Writes the parameters and the configuration as [`save`](Self::save) does, with further
    /// metadata.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`save`](Self::save).
    ///
    /// # Panics
    ///
    /// If the generator is folded.
    pub fn save_with_metadata(
        &self,
        path: impl AsRef<Path>,
        metadata: &[(&str, String)],
    ) -> Result<(), WeightsError> {
        self.assert_not_folded("save");
        struct Collect(Vec<(String, TensorData)>);
        impl<B: Backend> NamedVisitor<B> for Collect {
            fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
                self.0
                    .push((name.to_owned(), release_layout(param.val()).into_data()));
            }
        }
        let mut parameters = Collect(Vec::new());
        self.visit_named(&mut parameters);
        let config = serde_json::to_string(self.config()).expect("a configuration is plain data");
        let mut all = vec![(CONFIG_KEY, config)];
        all.extend(metadata.iter().map(|(key, value)| (*key, value.clone())));
        chimle_weights::write(path, &parameters.0, &all)
    }

    /// Replaces the parameters with those of a file: safetensors, or the authors' `.pth`.
    ///
    /// # Errors
    ///
    /// If a parameter is missing, has a different shape or cannot be read. The error names the file
    /// and the parameter, and the two shapes if they differ.
    ///
    /// # Panics
    ///
    /// If the generator is folded.
    pub fn load(self, file: &WeightFile) -> Result<Self, WeightsError> {
        self.assert_not_folded("load");
        struct Load<'a> {
            file: &'a WeightFile,
            error: Option<WeightsError>,
        }
        impl<B: Backend> NamedMapper<B> for Load<'_> {
            fn map<const D: usize>(
                &mut self,
                name: &str,
                param: Param<Tensor<B, D>>,
            ) -> Param<Tensor<B, D>> {
                if self.error.is_some() {
                    return param;
                }
                let (id, value, mapper) = param.consume();
                let (shape, device) = (release_layout(value.clone()).dims(), value.device());
                let value = match self.file.tensor::<B, D>(name, shape, &device) {
                    // The values are copied, so that their layout is that of a fresh parameter. A
                    // transposed view is multiplied in a different order, and a resumed run would
                    // round differently.
                    Ok(loaded) => Tensor::from_data(release_layout(loaded).into_data(), &device)
                        .set_require_grad(value.is_require_grad()),
                    Err(error) => {
                        self.error = Some(error);
                        value
                    }
                };
                Param::from_mapped_value(id, value, mapper)
            }
        }
        let mut load = Load { file, error: None };
        let loaded = self.map_named(&mut load);
        load.error.map_or(Ok(loaded), Err)
    }

    /// Panics if the generator is folded. A folded generator has no lengths to save, and it would
    /// use loaded directions as weights.
    fn assert_not_folded(&self, to: &str) {
        let folded = self.levels.iter().any(|l| l.feature.weight_g.is_none());
        assert!(!folded, "{to} a generator before folding it");
    }
}

impl GeneratorConfig {
    /// Returns the configuration of the generator whose parameters a file holds.
    ///
    /// A file of this library contains its configuration. For a checkpoint of the authors, the
    /// configuration follows from `architecture` and the shapes of the parameters. In both cases
    /// the file is checked to hold every parameter in the shape that the generator needs. A
    /// generator of this configuration therefore allocates no more than the file holds.
    ///
    /// # Errors
    ///
    /// If the file does not hold a generator. The error names a parameter that is missing or has a
    /// different shape.
    pub fn of_file(
        file: &WeightFile,
        architecture: Option<Architecture>,
    ) -> Result<Self, WeightsError> {
        let unreadable = |reason: String| WeightsError::Unreadable {
            path: file.path().to_path_buf(),
            reason,
        };
        let unsuitable = |reason: String| WeightsError::Unsuitable {
            path: file.path().to_path_buf(),
            reason,
        };
        if let Some(json) = file.metadata(CONFIG_KEY) {
            let config: Self = serde_json::from_str(&json)
                .map_err(|e| unreadable(format!("its configuration: {e}")))?;
            config.validate().map_err(|e| unreadable(e.to_string()))?;
            config.check_shapes(file)?;
            return Ok(config);
        }
        let [map_code, latent] = {
            let shape = file.shape("level_1_map_0.0.weight")?;
            let [latent, map_code] = shape[..] else {
                return Err(unreadable(format!(
                    "`level_1_map_0.0.weight` has shape {shape:?}"
                )));
            };
            [map_code, latent]
        };
        let first = |name: String| {
            file.shape(&name)
                .map(|shape| shape.first().copied().unwrap_or(0))
        };
        let count = |name: &dyn Fn(usize) -> String| {
            (0..).take_while(|&k| file.shape(&name(k)).is_ok()).count()
        };
        let levels = count(&|k| format!("level_{}_out.0.bias", k + 1));
        let each = |name: &str| {
            (1..=levels)
                .map(|k| first(format!("level_{k}_{name}")))
                .collect::<Result<Vec<_>, _>>()
        };
        let out_channels = first("level_1_out.0.bias".to_owned())?;
        let architecture = match architecture {
            Some(architecture) => architecture,
            None if out_channels == 2 => Architecture::Colorization,
            None => {
                return Err(unsuitable(
                    "they contain no configuration, and super-resolution and image to image have the same \
                     parameters: import them with their task first"
                        .to_owned(),
                ));
            }
        };
        let usual = Self::preset(Preset::Paper, architecture);
        if out_channels != usual.out_channels {
            let expected = usual.out_channels;
            return Err(unsuitable(format!(
                "`level_1_out.0.bias` has shape [{out_channels}], expected [{expected}] for {architecture:?}"
            )));
        }
        let inputs = file
            .shape("level_1_feat.0.weight_v")?
            .get(1)
            .copied()
            .unwrap_or(0);
        let rrdbs: Vec<usize> = (1..=levels)
            .map(|level| count(&|k| format!("level_{level}_style.sub.{k}.RDB1.conv1.0.bias")))
            .collect();
        let rrdbs = match rrdbs[..] {
            [first, ref others @ ..] if others.iter().all(|&other| other == first) => {
                RrdbCount::Same(first)
            }
            _ => RrdbCount::PerLevel(rrdbs),
        };
        let config = Self {
            code_channels: inputs.saturating_sub(usual.in_channels),
            residual_channels: each("feat.0.bias")?,
            growth_channels: each("style.sub.0.RDB1.conv1.0.bias")?,
            rrdb_per_level: rrdbs,
            map_code,
            latent,
            ..usual
        };
        config.validate().map_err(|e| unreadable(e.to_string()))?;
        config.check_shapes(file)?;
        Ok(config)
    }
}

/// Converts a parameter between the layouts of this library and the release. The weight of a linear
/// layer is transposed, and every other parameter stays as it is.
fn release_layout<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, D> {
    if D == 2 { tensor.transpose() } else { tensor }
}
