//! A generator's weights in files, under the names of the authors' release.
//!
//! Our own files are safetensors that carry the configuration beside the parameters, so that a
//! file alone makes a generator; the authors' `.pth` checkpoints hold parameters only.

use std::path::Path;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use chimle_weights::{WeightFile, WeightsError};

use crate::config::{Architecture, GeneratorConfig, Preset, RrdbCount};
use crate::generator::Generator;
use crate::names::{NamedMapper, NamedVisitor};

/// The key under which a safetensors file carries the configuration, as JSON.
const CONFIG_KEY: &str = "chimle.generator";

impl<B: Backend> Generator<B> {
    /// Writes the parameters under the release's names and shapes, with the configuration.
    ///
    /// # Errors
    /// If the file cannot be written; see [`chimle_weights::write`].
    ///
    /// # Panics
    /// If the generator is folded.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), WeightsError> {
        self.save_with_metadata(path, &[])
    }

    /// Writes the parameters and the configuration as [`save`](Self::save) does, with further
    /// metadata.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
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

    /// The same generator with the parameters of a file: safetensors, or the authors' `.pth`.
    ///
    /// # Errors
    /// Names the file, and the parameter that is missing or has another shape, with both shapes.
    ///
    /// # Panics
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
                    // Laid out as a fresh one is: a transposed view is multiplied in another order,
                    // and a resumed run would round differently.
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

    /// A folded generator has no lengths to write, and would take directions for weights.
    fn assert_not_folded(&self, to: &str) {
        let folded = self.levels.iter().any(|l| l.feature.weight_g.is_none());
        assert!(!folded, "{to} a generator before folding it");
    }
}

impl GeneratorConfig {
    /// The configuration of the generator whose parameters a file holds: the one written beside
    /// them, or, for a checkpoint of the authors', the one that `architecture` and the parameters'
    /// shapes imply. Every parameter is in the file, in the shape that the generator needs. So what a
    /// generator of the configuration allocates is what the file holds.
    ///
    /// # Errors
    ///
    /// If the file is not a generator's. The parameter that is missing or has another shape is named.
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
                    "they carry no configuration, and their parameters do not tell super-resolution from image to \
                     image: import them with their task first"
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

/// Between this library's layout and the release's: a linear layer's weight is transposed, all
/// else is the same.
fn release_layout<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, D> {
    if D == 2 { tensor.transpose() } else { tensor }
}
