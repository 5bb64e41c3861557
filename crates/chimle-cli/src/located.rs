//! A model as the command line names it: a run's folder, or a file of weights.

use std::path::{Path, PathBuf};

use chimle_core::{Architecture, RunConfig, Task};

use crate::error::Failure;

/// Where a model lies, and what is known of it.
pub struct Located {
    path: PathBuf,
    /// Its run's configuration; a file of weights has none.
    pub run: Option<RunConfig>,
}

impl Located {
    /// Looks at `path`.
    ///
    /// # Errors
    /// If it is a folder that holds no run, or one whose configuration cannot be read.
    pub fn find(path: &Path) -> Result<Self, Failure> {
        let config = path.join("config.toml");
        if path.is_dir() && !config.is_file() {
            return Err(chimle_core::Error::NoRun {
                path: path.to_owned(),
                what: "run (no config.toml)",
            }
            .into());
        }
        let run = if path.is_dir() {
            Some(RunConfig::read(&config)?)
        } else {
            None
        };
        Ok(Self {
            path: path.to_owned(),
            run,
        })
    }

    /// The task: the run's, else the one given, else the only one that the architecture allows.
    ///
    /// # Errors
    /// If it is none of these, or the given one is another than the model was trained for.
    pub fn task(&self, given: Option<Task>, architecture: Architecture) -> Result<Task, Failure> {
        let known = self
            .run
            .as_ref()
            .map(|run| run.task)
            .or(match architecture {
                Architecture::SuperResolution => Some(Task::SuperResolution),
                Architecture::Colorization => Some(Task::Colorization),
                Architecture::ImageToImage => None,
            });
        let failed = |reason: String| Failure::Flag {
            flag: "--task",
            reason,
        };
        match (given, known) {
            (Some(given), None) if chimle_core::architecture(given) != architecture => {
                Err(failed(format!(
                    "{given}, but {} holds an image-to-image model",
                    self.path.display()
                )))
            }
            (Some(given), Some(known)) if given != known => Err(failed(format!(
                "{given}, but {} is a model for {known}",
                self.path.display()
            ))),
            (given, known) => given.or(known).ok_or_else(|| {
                failed(format!(
                    "is needed, as {} does not say: decompression or night-to-day",
                    self.path.display()
                ))
            }),
        }
    }
}
