//! JSON files that describe a network, in the format that other implementations of the method use.

use std::fs;
use std::path::{Path, PathBuf};

use chimle_core::nn::{Architecture, GeneratorConfig, Preset};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::Error;

/// Reads a network's configuration from a JSON file.
///
/// The fields are `levels`, `code_channels`, `residual_channels`, `growth_channels`,
/// `rrdb_per_level`, `map_code`, `latent`, `in_channels` and `out_channels`. Other fields are ignored.
///
/// # Errors
///
/// If the file cannot be read or does not describe a valid network. The error names the file and the field.
pub fn read_network(path: &Path, architecture: Architecture) -> Result<GeneratorConfig, Error> {
    NetworkFile::read(path)?.network(architecture)
}

/// A JSON object whose fields are read one by one. Fields that are never read are ignored.
pub(crate) struct NetworkFile {
    path: PathBuf,
    fields: Map<String, Value>,
}

impl NetworkFile {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(Error::read(path))?;
        let fields = serde_json::from_str(&text).map_err(|e| error(path, e.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            fields,
        })
    }

    /// Returns the value of a field.
    pub(crate) fn get<T: DeserializeOwned>(&self, field: &str) -> Result<T, Error> {
        self.get_optional(field)?
            .ok_or_else(|| self.error(format!("missing field `{field}`")))
    }

    /// Returns the value of a field, or `None` if the file does not have the field.
    pub(crate) fn get_optional<T: DeserializeOwned>(
        &self,
        field: &str,
    ) -> Result<Option<T>, Error> {
        self.fields
            .get(field)
            .map(|value| serde_json::from_value(value.clone()))
            .transpose()
            .map_err(|e| self.error(format!("`{field}`: {e}")))
    }

    /// Returns the network that the file describes.
    pub(crate) fn network(&self, architecture: Architecture) -> Result<GeneratorConfig, Error> {
        let config = GeneratorConfig {
            in_channels: self.get("in_channels")?,
            out_channels: self.get("out_channels")?,
            code_channels: self.get("code_channels")?,
            residual_channels: self.get("residual_channels")?,
            growth_channels: self.get("growth_channels")?,
            rrdb_per_level: self.get("rrdb_per_level")?,
            map_code: self.get("map_code")?,
            latent: self.get("latent")?,
            ..GeneratorConfig::preset(Preset::Paper, architecture)
        };
        config.validate().map_err(|e| self.error(e.to_string()))?;
        let levels: usize = self.get("levels")?;
        if levels != config.levels() {
            let listed = config.levels();
            return Err(self.error(format!(
                "`levels` is {levels}, but `residual_channels` lists {listed}"
            )));
        }
        Ok(config)
    }

    /// Returns an error that names the file.
    pub(crate) fn error(&self, reason: String) -> Error {
        error(&self.path, reason)
    }
}

fn error(path: &Path, reason: String) -> Error {
    Error::Contents {
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = r#"{"levels": 2, "code_channels": 5, "residual_channels": [8, 4],
        "growth_channels": [4, 4], "rrdb_per_level": 1, "map_code": 6, "latent": 7,
        "in_channels": 1, "out_channels": 2, "pool": [3, 2]}"#;

    fn network(json: &str) -> Result<GeneratorConfig, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.json");
        fs::write(&path, json).unwrap();
        read_network(&path, Architecture::Colorization)
    }

    #[test]
    fn other_fields_are_ignored() {
        let config = network(TINY).unwrap();
        assert_eq!(config.residual_channels, [8, 4]);
        assert_eq!((config.map_code, config.latent), (6, 7));
    }

    #[test]
    fn an_error_names_the_file_and_the_field() {
        for (from, to, field) in [
            (
                r#""latent": 7"#,
                r#""lateral": 7"#,
                "missing field `latent`",
            ),
            (
                r#""latent": 7"#,
                r#""latent": -7"#,
                "`latent`: invalid value",
            ),
            (
                r#""latent": 7"#,
                r#""latent": 0"#,
                "`latent` must be at least 1",
            ),
            ("[8, 4]", r#"[8, "x"]"#, "`residual_channels`: invalid type"),
            (r#""levels": 2"#, r#""levels": 3"#, "`levels` is 3"),
            (
                r#""out_channels": 2"#,
                r#""out_channels": 3"#,
                "`in_channels` and `out_channels` must be 1 and 2",
            ),
            ("{", "[", "expected"),
        ] {
            let message = network(&TINY.replacen(from, to, 1))
                .unwrap_err()
                .to_string();
            assert!(message.contains("net.json: "), "{message}");
            assert!(message.contains(field), "{message}");
        }
    }
}
