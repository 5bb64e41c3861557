//! The configuration of an arena, as read from its TOML file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chimle_core::data::{Dataset, DatasetConfig, Sizes};
use chimle_core::perceptual::Backbone;
use chimle_core::{DataSource, DistanceConfig, TaskHandle};
use serde::{Deserialize, Serialize};

use crate::context::BackboneConfig;
use crate::error::Error;
use crate::tasks::register_tasks;

/// The number of the first procedural test scene, which is above the numbers of all training scenes.
const FIRST_UNSEEN_SCENE: u64 = 1 << 32;

/// The largest CPU time of training in minutes: about two years.
const MOST_MINUTES: f64 = 1e6;
/// The largest number of training steps.
const MOST_STEPS: u64 = 1_000_000_000_000;
/// The largest value of a setting that only counts things, such as the inputs to measure.
const MOST: u64 = 10_000_000;
/// The largest number of images in a batch.
const MOST_ROWS: u64 = 65_536;
/// The largest number of samples for one input. All of them are held in memory.
const MOST_SAMPLES: u64 = 10_000;
/// The largest number of channels of a layer. A convolution with 4096 input and output channels has 600 MB of weights.
pub(crate) const MOST_CHANNELS: u64 = 4096;
/// The largest number of layers, of processes and of seeds.
const MOST_LAYERS: u64 = 1024;

/// All settings of an arena.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArenaConfig {
    /// The task: one of the paper's four, `simulated-night-to-day`, `tiles`, or one that the program has registered.
    pub task: TaskHandle,
    /// The seeds. Each method is trained once with each seed.
    pub seeds: Vec<u64>,
    /// The CPU time of training in minutes, for each method and seed.
    pub cpu_minutes: f64,
    /// The shares of the CPU time after which a method is sampled and measured, in increasing order. The last share is 1.
    #[serde(default = "usual_points")]
    pub points: Vec<f64>,
    /// The number of methods that are trained at the same time, each in its own process with one thread.
    #[serde(default = "usual_at_once")]
    pub at_once: usize,
    /// The images.
    pub data: ArenaData,
    /// The settings of the measures.
    #[serde(default)]
    pub measure: MeasureConfig,
    /// Files of weights.
    #[serde(default)]
    pub weights: WeightsConfig,
    /// The distance that methods of the IMLE family minimize.
    #[serde(default = "usual_distance")]
    pub distance: DistanceConfig,
    /// The shared generator, which CHIMLE, cIMLE, the GANs and the mean use.
    #[serde(default)]
    pub backbone: BackboneConfig,
    /// The methods by name, each with its settings.
    #[serde(default)]
    pub methods: BTreeMap<String, MethodConfig>,
    /// Folders of samples that other programs made, by the name shown in the report.
    #[serde(default)]
    pub foreign: BTreeMap<String, PathBuf>,
}

/// A method in a configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MethodConfig {
    /// The name of the method, if it differs from the section's name. One method can then take part twice with
    /// different settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The CPU time of training in minutes, if it differs from the arena's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_minutes: Option<f64>,
    /// The number of training steps, in place of a CPU time. A run with a number of steps can be repeated exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// The settings of the method itself.
    #[serde(flatten)]
    pub settings: toml::Table,
}

/// The images of an arena.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArenaData {
    /// The images that methods are trained on.
    pub train: DataSource,
    /// The images that methods are measured on. Procedural test scenes differ from the training scenes.
    pub test: DataSource,
    /// The side of the square outputs in pixels.
    pub size: usize,
    /// The smallest random crop, relative to the largest that fits the photograph.
    #[serde(default = "usual_crop")]
    pub smallest_crop: f32,
}

/// The settings of the measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeasureConfig {
    /// The number of inputs, spread evenly over the whole test set.
    pub inputs: usize,
    /// The numbers of samples for each input. The largest number is drawn, and all measures are computed for each number.
    pub samples: Vec<usize>,
    /// The number of inputs whose samples the page shows.
    pub shown: usize,
    /// The number of samples of an input that the page shows.
    pub shown_samples: usize,
}

/// Files of weights. Without them, samples are measured with the Laplacian pyramid distance, and there is no Frechet
/// distance, precision or recall.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WeightsConfig {
    /// The weights of VGG16, which LPIPS, the Frechet distance and methods with a perceptual loss need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vgg16: Option<PathBuf>,
    /// The linear weights of LPIPS for VGG16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lpips: Option<PathBuf>,
}

impl Default for MeasureConfig {
    fn default() -> Self {
        Self {
            inputs: 64,
            samples: vec![8],
            shown: 8,
            shown_samples: 6,
        }
    }
}

fn usual_points() -> Vec<f64> {
    vec![0.3, 1.0]
}

fn usual_at_once() -> usize {
    2
}

fn usual_distance() -> DistanceConfig {
    DistanceConfig::LaplacianPyramid
}

fn usual_crop() -> f32 {
    0.75
}

impl ArenaConfig {
    /// Reads a configuration. Relative paths in it are relative to the current folder.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not TOML, has an unknown or missing key, or has an impossible value. The error names
    /// the file and the key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        register_tasks();
        let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| {
            let line = error
                .span()
                .map(|span| text[..span.start].matches('\n').count() + 1);
            let place = line
                .map(|line| format!("line {line}: "))
                .unwrap_or_default();
            Error::Config {
                path: path.to_owned(),
                reason: format!("{place}{}", error.message().replace('\n', " ")),
            }
        })?;
        config.validate().map_err(|error| Error::Config {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        config.make_absolute()?;
        Ok(config)
    }

    /// Returns the configuration as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a configuration is plain data")
    }

    /// Checks that the settings are possible.
    ///
    /// # Errors
    ///
    /// If a setting is impossible. The error names the field and the valid values.
    pub fn validate(&self) -> Result<(), Error> {
        let minutes = self
            .methods
            .values()
            .filter_map(|method| method.cpu_minutes);
        let mut minutes = minutes.chain([self.cpu_minutes]);
        if !minutes.all(|minutes| minutes > 0.0 && minutes <= MOST_MINUTES) {
            let reason = format!("must be above 0, and at most {MOST_MINUTES}");
            return Err(Error::setting("cpu_minutes", reason));
        }
        for (name, method) in &self.methods {
            if let Some(steps) = method.steps {
                check_count("steps", steps, 1, MOST_STEPS)?;
            }
            check_settings(&format!("methods.{name}"), &method.settings)?;
        }
        if self.seeds.is_empty() {
            return Err(Error::setting("seeds", "must name at least one seed"));
        }
        check_count(
            "the number of seeds",
            self.seeds.len() as u64,
            1,
            MOST_LAYERS,
        )?;
        let increases = self.points.windows(2).all(|pair| pair[0] < pair[1]);
        let first = self.points.first().copied().unwrap_or(0.0);
        if !increases || first <= 0.0 || self.points.last() != Some(&1.0) {
            let reason = "must be increasing shares of the time above 0, and the last must be 1.0";
            return Err(Error::setting("points", reason));
        }
        let mut percents: Vec<u32> = self.points.iter().map(|&point| percent(point)).collect();
        percents.dedup();
        if percents.len() < self.points.len() || percents[0] == 0 {
            return Err(Error::setting("points", "must differ by at least 0.01"));
        }
        check_count("at_once", self.at_once as u64, 1, MOST_LAYERS)?;
        let samples = &self.measure.samples;
        if samples.is_empty() || samples.iter().any(|&count| count < 2) {
            let reason =
                "must be numbers of samples, each at least 2, because diversity needs two samples";
            return Err(Error::setting("measure.samples", reason));
        }
        for (field, count, least, most) in [
            ("measure.samples", self.most_samples(), 2, MOST_SAMPLES),
            ("measure.inputs", self.measure.inputs, 1, MOST),
            ("measure.shown", self.measure.shown, 0, MOST_SAMPLES),
            (
                "measure.shown_samples",
                self.measure.shown_samples,
                0,
                MOST_SAMPLES,
            ),
        ] {
            check_count(field, count as u64, least, most)?;
        }
        let average = self.backbone.average;
        if average.is_some_and(|decay| !(0.0..1.0).contains(&decay)) {
            return Err(Error::setting(
                "backbone.average",
                "must be at least 0 and below 1",
            ));
        }
        if self.backbone.levels() == 0 {
            return Err(Error::setting(
                "backbone.residual_channels",
                "must name at least one level",
            ));
        }
        let generator = self.backbone.for_task(&self.task);
        generator.validate().map_err(chimle_core::Error::from)?;
        self.sizes()?;
        let names = self.methods.keys().chain(self.foreign.keys());
        for name in names {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
                let reason = format!("has the name {name:?}, which cannot be the name of a folder");
                return Err(Error::setting("methods", reason));
            }
            if self.methods.contains_key(name) && self.foreign.contains_key(name) {
                let reason = format!("has the name {name:?}, which is also the name of a method");
                return Err(Error::setting("foreign", reason));
            }
        }
        if self.methods.is_empty() && self.foreign.is_empty() {
            return Err(Error::setting("methods", "must name at least one method"));
        }
        Ok(())
    }

    fn make_absolute(&mut self) -> Result<(), Error> {
        let mut paths: Vec<&mut PathBuf> = self.foreign.values_mut().collect();
        paths.extend(self.weights.vgg16.as_mut());
        paths.extend(self.weights.lpips.as_mut());
        for source in [&mut self.data.train, &mut self.data.test] {
            match source {
                DataSource::Folder(folder) => paths.push(folder),
                DataSource::Pairs { input, output } => paths.extend([input, output]),
                DataSource::Procedural { .. } => {}
            }
        }
        if let DistanceConfig::Lpips {
            weights, linear, ..
        } = &mut self.distance
        {
            paths.push(weights);
            paths.extend(linear.as_mut());
        }
        for path in paths {
            *path = std::path::absolute(&*path).map_err(Error::file("find", &*path))?;
        }
        Ok(())
    }

    /// Computes the sizes of the images at the levels of the backbone.
    ///
    /// # Errors
    ///
    /// If the side cannot be halved as often as the number of levels requires.
    pub fn sizes(&self) -> Result<Sizes, Error> {
        let (levels, side) = (self.backbone.levels(), self.data.size);
        Ok(Sizes::new(&*self.task, levels, side, side)?)
    }

    /// Opens the images to train on, with augmentation.
    ///
    /// # Errors
    ///
    /// The errors of [`Dataset::open`].
    pub fn training_set(&self) -> Result<Dataset, Error> {
        self.dataset(&self.data.train, true)
    }

    /// Opens the images to measure on.
    ///
    /// # Errors
    ///
    /// The errors of [`Dataset::open`].
    pub fn test_set(&self) -> Result<Dataset, Error> {
        self.dataset(&self.data.test, false)
    }

    fn dataset(&self, source: &DataSource, is_training: bool) -> Result<Dataset, Error> {
        let (levels, side) = (self.backbone.levels(), self.data.size);
        let mut config = DatasetConfig::new(self.task.clone(), levels, side, side);
        config.augment = is_training;
        config.smallest_crop = self.data.smallest_crop;
        config.first_scene = if is_training { 0 } else { FIRST_UNSEEN_SCENE };
        Ok(Dataset::open(source.resolve(&*self.task)?, config)?)
    }

    /// Returns the distance that samples are measured with: LPIPS if there are weights, otherwise the Laplacian pyramid
    /// distance.
    pub fn measured_distance(&self) -> DistanceConfig {
        match &self.weights.vgg16 {
            Some(weights) => DistanceConfig::Lpips {
                backbone: Backbone::Vgg16,
                weights: weights.clone(),
                linear: self.weights.lpips.clone(),
            },
            None => DistanceConfig::LaplacianPyramid,
        }
    }

    /// Returns the largest number of samples per input.
    pub fn most_samples(&self) -> usize {
        self.measure.samples.iter().copied().max().unwrap_or(0)
    }
}

/// Returns a share in percent, as used in names of folders.
pub(crate) fn percent(share: f64) -> u32 {
    (100.0 * share).round() as u32
}

/// Checks that a count is within its bounds.
fn check_count(field: &str, count: u64, least: u64, most: u64) -> Result<(), Error> {
    if (least..=most).contains(&count) {
        return Ok(());
    }
    let reason = format!("must be from {least} to {most}, not {count}");
    Err(Error::setting(field, reason))
}

/// Checks that no whole number among the settings of a method is too large to work with. All other limits are checked
/// by the method itself.
fn check_settings(section: &str, settings: &toml::Table) -> Result<(), Error> {
    for (key, value) in settings {
        let field = format!("{section}.{key}");
        let most = match &key[..] {
            "width" | "growth" => MOST_CHANNELS,
            "depth" | "blocks" | "rrdbs" | "rrfdbs" | "scales" => MOST_LAYERS,
            "batch" => MOST_ROWS,
            _ => MOST,
        };
        let numbers = match value {
            toml::Value::Table(settings) => {
                check_settings(&field, settings)?;
                continue;
            }
            toml::Value::Array(numbers) => numbers.iter().collect(),
            number => vec![number],
        };
        for number in numbers.into_iter().filter_map(toml::Value::as_integer) {
            // Whether a number may be negative is decided by the type of the setting.
            if u64::try_from(number).is_ok_and(|number| number > most) {
                let reason = format!("must be at most {most}, not {number}");
                return Err(Error::setting(field, reason));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        task = "tiles"
        seeds = [0]
        cpu_minutes = 1.0
        [data]
        train = { procedural = { scenes = 8 } }
        test = { procedural = { scenes = 4 } }
        size = 16
        [backbone]
        residual_channels = [8, 8]
        growth_channels = [4, 4]
        rrdb_per_level = 1
        [methods.mean]
        [methods.slow-mean]
        kind = "mean"
        steps = 3
        rate = 1e-4
    "#;

    fn read(text: &str) -> Result<ArenaConfig, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arena.toml");
        std::fs::write(&path, text).unwrap();
        ArenaConfig::read(&path)
    }

    #[test]
    fn a_configuration_survives_the_way_to_its_file() {
        let config = read(SMALL).unwrap();
        let slow = &config.methods["slow-mean"];
        assert_eq!((slow.kind.as_deref(), slow.steps), (Some("mean"), Some(3)));
        assert_eq!(slow.settings.len(), 1);
        assert_eq!(read(&config.to_toml()).unwrap(), config);
    }

    #[test]
    fn errors_name_the_file_and_the_field() {
        for (from, to, field) in [
            ("seeds = [0]", "seeds = []", "`seeds`"),
            ("cpu_minutes = 1.0", "cpu_minutes = 0.0", "`cpu_minutes`"),
            (
                "cpu_minutes = 1.0",
                "cpu_minutes = 1.0\npoints = [0.5]",
                "`points`",
            ),
            ("size = 16", "size = 15", "multiple of 2"),
            ("size = 16", "sise = 16", "sise"),
            ("\"tiles\"", "\"tils\"", "tils"),
            ("[methods.mean]", "[methods.\"a/b\"]", "a/b"),
        ] {
            let error = read(&SMALL.replace(from, to)).unwrap_err().to_string();
            assert!(
                error.contains("arena.toml") && error.contains(field),
                "{error}"
            );
        }
    }
}
