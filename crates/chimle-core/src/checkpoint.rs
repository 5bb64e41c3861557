//! Checkpoints: everything a run needs to continue as if it had never stopped.
//!
//! A checkpoint is a folder `checkpoints/step-00000400` with the weights, the optimizer's state and
//! the position. It is written under a temporary name and renamed when complete, so a folder of that
//! name is always whole.

use std::fs;
use std::path::{Path, PathBuf};

use burn::optim::Optimizer;
use burn::record::{FullPrecisionSettings, NamedMpkBytesRecorder, Recorder};
use burn::tensor::backend::{AutodiffBackend, Backend};
use chimle_data::TaskHandle;
use chimle_weights::WeightFile;

use crate::error::Error;
use crate::generator::{ImageGenerator, TrainableGenerator};
use crate::model_file::save_generator;
use crate::optimizer::ModuleAdam;
use crate::parameters::all_finite;
use crate::position::Position;

const PREFIX: &str = "step-";
const GENERATOR: &str = "generator.safetensors";
const AVERAGE: &str = "average.safetensors";
const OPTIMIZER: &str = "adam.mpk";
const POSITION: &str = "position.json";

/// A complete checkpoint of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    step: u64,
    path: PathBuf,
}

impl Checkpoint {
    /// Returns the step after which the checkpoint was made.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Returns the checkpoint's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the newest weights, from which training continues.
    pub fn generator_path(&self) -> PathBuf {
        self.path.join(GENERATOR)
    }

    /// Returns the path of the weights to sample: the moving average if there is one, otherwise the
    /// newest weights.
    pub fn model_path(&self) -> PathBuf {
        let average = self.path.join(AVERAGE);
        if average.exists() {
            average
        } else {
            self.generator_path()
        }
    }

    /// Lists the complete checkpoints in a folder, oldest first.
    pub(crate) fn list(folder: &Path) -> Result<Vec<Self>, Error> {
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(Error::file("read", folder))? {
            let path = entry.map_err(Error::file("read", folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let step = name.and_then(|name| name.strip_prefix(PREFIX)?.parse().ok());
            found.extend(step.map(|step| Self { step, path }));
        }
        found.sort_by_key(|checkpoint| checkpoint.step);
        Ok(found)
    }

    /// Writes a checkpoint into the folder `parent`, and then removes all but the newest `keep`.
    pub(crate) fn save<B: AutodiffBackend, G: TrainableGenerator<B>>(
        parent: &Path,
        generator: &G,
        average: Option<&G::Evaluated>,
        task: &TaskHandle,
        optimizer: &ModuleAdam<B, G>,
        position: &Position,
        keep: usize,
    ) -> Result<Self, Error> {
        let newest = generator.valid();
        if !all_finite(&newest) {
            return Err(Error::NotFinite {
                step: position.step,
            });
        }
        fs::create_dir_all(parent).map_err(Error::file("make", parent))?;
        let step = position.step;
        let path = parent.join(format!("{PREFIX}{step:08}"));
        // Removed on drop, should anything below fail.
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let writing = builder
            .prefix(".writing-")
            .tempdir_in(parent)
            .map_err(Error::file("write", parent))?;

        save_generator(&newest, task, &writing.path().join(GENERATOR))?;
        if let Some(average) = average {
            save_generator(average, task, &writing.path().join(AVERAGE))?;
        }
        let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::default();
        let state = Recorder::<B>::record(&recorder, optimizer.to_record(), ()).map_err(|e| {
            Error::Checkpoint {
                path: path.join(OPTIMIZER),
                reason: e.to_string(),
            }
        })?;
        write(&writing.path().join(OPTIMIZER), &state)?;
        let position = serde_json::to_vec(position).expect("a position is plain data");
        write(&writing.path().join(POSITION), &position)?;

        if path.exists() {
            fs::remove_dir_all(&path).map_err(Error::file("replace", &path))?;
        }
        fs::rename(writing.keep(), &path).map_err(Error::file("write", &path))?;
        // Some systems cannot sync a folder. There the rename may not survive a power cut.
        let _ = chimle_files::sync_folder(parent);

        let old = Self::list(parent)?;
        for old in old.iter().take(old.len().saturating_sub(keep)) {
            fs::remove_dir_all(&old.path).map_err(Error::file("remove", &old.path))?;
        }
        Ok(Self { step, path })
    }

    /// Reads the moving average of the weights into a generator, if the checkpoint has one.
    pub(crate) fn load_average<B: Backend, G: ImageGenerator<B>>(
        &self,
        generator: G,
    ) -> Result<Option<G>, Error> {
        let path = self.path.join(AVERAGE);
        if !path.exists() {
            return Ok(None);
        }
        let file = WeightFile::open(path)?;
        Ok(Some(ImageGenerator::load(generator, &file)?))
    }

    /// Reads the position, and puts the weights and the optimizer's state into those given.
    pub(crate) fn load<B: AutodiffBackend, G: TrainableGenerator<B>>(
        &self,
        generator: G,
        optimizer: ModuleAdam<B, G>,
        device: &B::Device,
    ) -> Result<(G, ModuleAdam<B, G>, Position), Error> {
        let position: Position = serde_json::from_slice(&self.read(POSITION)?)
            .map_err(|e| self.damaged(POSITION, e.to_string()))?;
        let file = WeightFile::open(self.generator_path())?;
        let generator = ImageGenerator::load(generator, &file)?;
        let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::default();
        let state = Recorder::<B>::load(&recorder, self.read(OPTIMIZER)?, device)
            .map_err(|_| self.damaged(OPTIMIZER, "it is damaged or truncated".to_owned()))?;
        Ok((generator, optimizer.load_record(state), position))
    }

    fn read(&self, file: &str) -> Result<Vec<u8>, Error> {
        let path = self.path.join(file);
        fs::read(&path).map_err(Error::file("read", &path))
    }

    fn damaged(&self, file: &str, reason: String) -> Error {
        Error::Checkpoint {
            path: self.path.join(file),
            reason,
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    chimle_files::write(path, bytes).map_err(Error::file("write", path))
}
