//! Checkpoints: all data that a run needs to continue as if it had never stopped.
//!
//! A checkpoint is a folder, such as `checkpoints/step-00000400`, with the weights, the optimizer's state, the
//! position and the checksums of these files. The folder is written under a temporary name and renamed when it
//! is complete, so a folder with a final name was complete when it was written.
//!
//! When a checkpoint of the same step is written again, there is a complete checkpoint at every moment: the new
//! folder is called `step-00000400.1` until the old folder is removed.

use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use burn::optim::Optimizer;
use burn::record::{FullPrecisionSettings, NamedMpkBytesRecorder, Recorder};
use burn::tensor::backend::Backend;
use chimle_nn::TrainingBackend;
use chimle_weights::WeightFile;

use crate::checksums;
use crate::error::Error;
use crate::generator::{ImageGenerator, TrainableGenerator};
use crate::model_file::{TrainedFor, save_generator};
use crate::optimizer::ModuleAdam;
use crate::parameters::all_finite;
use crate::position::Position;

const PREFIX: &str = "step-";
/// The beginning of the name of a folder that is being written.
const WRITING: &str = ".writing-";
/// The beginning of the name of a checkpoint that was found to be damaged.
const DAMAGED: &str = "damaged-";
const GENERATOR: &str = "generator.safetensors";
const AVERAGE: &str = "average.safetensors";
const OPTIMIZER: &str = "adam.mpk";
const POSITION: &str = "position.json";

/// A complete checkpoint of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    step: u64,
    /// The number after the step in the folder's name. If a step has two checkpoints, the checkpoint with the
    /// higher number is newer.
    revision: u64,
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
            let numbers = name.and_then(|name| {
                let name = name.strip_prefix(PREFIX)?;
                let (step, revision) = name.split_once('.').unwrap_or((name, "0"));
                Some((step.parse().ok()?, revision.parse().ok()?))
            });
            found.extend(numbers.map(|(step, revision)| Self {
                step,
                revision,
                path,
            }));
        }
        found.sort_by_key(|checkpoint| (checkpoint.step, checkpoint.revision));
        Ok(found)
    }

    /// Writes a checkpoint into the folder `parent`, and then removes all checkpoints except the newest `keep`.
    ///
    /// Returns the checkpoint, and an error for each old checkpoint that could not be removed. These errors do
    /// not stop a run.
    pub(crate) fn save<B: TrainingBackend, G: TrainableGenerator<B>>(
        parent: &Path,
        generator: &G,
        average: Option<&G::Evaluated>,
        trained_for: &TrainedFor,
        optimizer: &ModuleAdam<B, G>,
        position: &Position,
        keep: usize,
    ) -> Result<(Self, Vec<Error>), Error> {
        let newest = generator.valid();
        if !all_finite(&newest) {
            return Err(Error::NotFinite {
                step: position.step,
            });
        }
        make_folder(parent)?;
        // The folder is removed on drop if anything below fails.
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let writing = builder
            .prefix(WRITING)
            .tempdir_in(parent)
            .map_err(Error::file("write", parent))?;
        let folder = writing.path();

        let mut files = vec![GENERATOR, OPTIMIZER, POSITION];
        save_generator(&newest, trained_for, &folder.join(GENERATOR))?;
        if let Some(average) = average {
            save_generator(average, trained_for, &folder.join(AVERAGE))?;
            files.push(AVERAGE);
        }
        let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::default();
        let state = Recorder::<B>::record(&recorder, optimizer.to_record(), ()).map_err(|e| {
            Error::Checkpoint {
                path: folder.join(OPTIMIZER),
                reason: e.to_string(),
            }
        })?;
        write(&folder.join(OPTIMIZER), &state)?;
        let json = serde_json::to_vec(position).expect("a position is plain data");
        write(&folder.join(POSITION), &json)?;
        checksums::write(folder, &files)?;

        let step = position.step;
        let before = Self::list(parent)?;
        let of_step = before.iter().rev().find(|before| before.step == step);
        let revision = of_step.map_or(0, |before| before.revision.saturating_add(1));
        let mut saved = Self {
            step,
            revision,
            path: parent.join(folder_name(step, revision)),
        };
        fs::rename(folder, &saved.path).map_err(Error::file("write", &saved.path))?;
        // The folder was renamed, so it must not be removed on drop.
        let _ = writing.keep();
        // The new checkpoint must be on the disk before an old one is removed.
        sync(parent)?;

        let warnings = Self::remove_old(&before, step, keep.saturating_sub(1));
        let usual = parent.join(folder_name(step, 0));
        if revision > 0 && !usual.exists() && fs::rename(&saved.path, &usual).is_ok() {
            (saved.revision, saved.path) = (0, usual);
        }
        Ok((saved, warnings))
    }

    /// Removes all checkpoints of `step`, and all checkpoints of other steps except the newest `keep`. Returns
    /// an error for each checkpoint that could not be removed.
    fn remove_old(checkpoints: &[Self], step: u64, keep: usize) -> Vec<Error> {
        let is_replaced = |old: &&Self| old.step == step;
        let (replaced, others): (Vec<&Self>, Vec<&Self>) =
            checkpoints.iter().partition(is_replaced);
        let too_many = others.len().saturating_sub(keep);
        let old = others.into_iter().take(too_many).chain(replaced);
        let failures = old.filter_map(|old| {
            let removed = fs::remove_dir_all(&old.path);
            removed.map_err(Error::file("remove", &old.path)).err()
        });
        failures.collect()
    }

    /// Removes all checkpoints in the folder `parent` except this one and the newest `keep - 1` others. A
    /// killed process may have left more. Returns an error for each checkpoint that could not be removed.
    pub(crate) fn remove_others(&self, parent: &Path, keep: usize) -> Vec<Error> {
        let mut others = Self::list(parent).unwrap_or_default();
        others.retain(|other| other.path != self.path);
        Self::remove_old(&others, self.step, keep.saturating_sub(1))
    }

    /// Removes incomplete checkpoints that killed processes left in the folder `parent`. No other process may
    /// be writing there. Returns an error for each folder that could not be removed.
    pub(crate) fn remove_unfinished(parent: &Path) -> Vec<Error> {
        // An error here is ignored: it is reported when the folder is needed.
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let unfinished = entries.filter(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes().starts_with(WRITING.as_bytes())
        });
        let failures = unfinished.filter_map(|entry| {
            let path = entry.path();
            let removed = fs::remove_dir_all(&path);
            removed.map_err(Error::file("remove", path)).err()
        });
        failures.collect()
    }

    /// Renames a damaged checkpoint, so that it is neither loaded nor counted. Returns the new path.
    pub(crate) fn set_aside(&self) -> Result<PathBuf, Error> {
        let name = folder_name(self.step, self.revision);
        let path = self.path.with_file_name(format!("{DAMAGED}{name}"));
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::file("remove", path)(error));
            }
            _ => {}
        }
        fs::rename(&self.path, &path).map_err(Error::file("rename", &self.path))?;
        sync(path.parent().unwrap_or(&path))?;
        Ok(path)
    }

    /// Checks the checksums of all files.
    pub(crate) fn check(&self) -> Result<(), Error> {
        checksums::check(&self.path)
    }

    /// Checks the checksum of the weights to sample.
    pub(crate) fn check_model(&self) -> Result<(), Error> {
        checksums::check_first(&self.path, &[AVERAGE, GENERATOR])
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

    /// Loads the weights into `generator` and the state into `optimizer`, and reads the position.
    pub(crate) fn load<B: TrainingBackend, G: TrainableGenerator<B>>(
        &self,
        generator: G,
        optimizer: ModuleAdam<B, G>,
        device: &B::Device,
    ) -> Result<(G, ModuleAdam<B, G>, Position), Error> {
        let position = Position::from_json(&self.read(POSITION)?)
            .map_err(|reason| self.damaged(POSITION, reason))?;
        let file = WeightFile::open(self.generator_path())?;
        let generator = ImageGenerator::load(generator, &file)?;
        let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::default();
        let bytes = self.read(OPTIMIZER)?;
        // Burn panics if the count of numbers does not match their shape.
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            let state = Recorder::<B>::load(&recorder, bytes, device).ok()?;
            Some(optimizer.load_record(state))
        }));
        let optimizer = loaded
            .ok()
            .flatten()
            .ok_or_else(|| self.damaged(OPTIMIZER, "it is damaged or truncated".to_owned()))?;
        Ok((generator, optimizer, position))
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

/// Returns the name of a checkpoint's folder.
fn folder_name(step: u64, revision: u64) -> String {
    match revision {
        0 => format!("{PREFIX}{step:08}"),
        _ => format!("{PREFIX}{step:08}.{revision}"),
    }
}

/// Creates a folder and syncs its parent, so that the folder survives a power failure.
fn make_folder(folder: &Path) -> Result<(), Error> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
    sync(folder.parent().unwrap_or(folder))
}

fn sync(folder: &Path) -> Result<(), Error> {
    chimle_files::sync_folder(folder).map_err(Error::file("write", folder))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    chimle_files::write(path, bytes).map_err(Error::file("write", path))
}
