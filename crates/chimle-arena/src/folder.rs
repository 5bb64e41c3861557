//! The layout of an arena's folder.

use std::path::{Path, PathBuf};

use crate::config::percent;

/// The folder that `chimle arena run` writes.
///
/// | path | content |
/// |---|---|
/// | `arena.toml` | the configuration |
/// | `inputs/NAME.png`, `truths/NAME.png` | the measured inputs, and their true outputs |
/// | `runs/METHOD/seed-S/` | checkpoints, `log.jsonl` with the loss, `output.txt` with the output of the process |
/// | `samples/METHOD/seed-S/at-P/NAME/0.png ...` | samples after P percent of the time |
/// | `measures/METHOD/seed-S/at-P.json` | the measures of these samples. The file is written last, so a point with this file is done |
/// | `results.json`, `arena.html` | all results |
#[derive(Clone, Debug)]
pub struct ArenaFolder {
    path: PathBuf,
}

impl ArenaFolder {
    /// Creates the layout of a folder, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the configuration.
    pub fn config_path(&self) -> PathBuf {
        self.path.join("arena.toml")
    }

    /// Returns the folder of a method's training.
    pub fn run_path(&self, method: &str, seed: u64) -> PathBuf {
        self.path.join("runs").join(method).join(seed_name(seed))
    }

    /// Returns the folder of a method's checkpoints.
    pub fn checkpoints_path(&self, method: &str, seed: u64) -> PathBuf {
        self.run_path(method, seed).join("checkpoints")
    }

    /// Returns the folder of a method's samples after a share of the time.
    pub fn samples_path(&self, method: &str, seed: u64, point: f64) -> PathBuf {
        let folder = self.path.join("samples").join(method);
        folder.join(seed_name(seed)).join(point_name(point))
    }

    /// Returns the folder of the measures.
    pub fn measures_path(&self) -> PathBuf {
        self.path.join("measures")
    }

    /// Returns the file of the measures of a method's samples after a share of the time.
    pub fn measure_path(&self, method: &str, seed: u64, point: f64) -> PathBuf {
        let folder = self.measures_path().join(method).join(seed_name(seed));
        folder.join(format!("{}.json", point_name(point)))
    }

    /// Returns the file of the measures of a folder of foreign samples.
    pub fn foreign_measure_path(&self, name: &str) -> PathBuf {
        self.measures_path().join(name).join("foreign.json")
    }

    /// Returns the path of an input's PNG file. `name` is a path without extension.
    pub fn input_path(&self, name: &str) -> PathBuf {
        self.path.join("inputs").join(format!("{name}.png"))
    }

    /// Returns the path of the PNG file of an input's true output.
    pub fn truth_path(&self, name: &str) -> PathBuf {
        self.path.join("truths").join(format!("{name}.png"))
    }

    /// Returns the path of the results.
    pub fn results_path(&self) -> PathBuf {
        self.path.join("results.json")
    }

    /// Returns the path of the page.
    pub fn page_path(&self) -> PathBuf {
        self.path.join("arena.html")
    }
}

fn seed_name(seed: u64) -> String {
    format!("seed-{seed}")
}

fn point_name(point: f64) -> String {
    format!("at-{}", percent(point))
}
