//! Checkpoints: everything a run needs to continue as if it had never stopped.
//!
//! A checkpoint is a folder `checkpoints/step-00000400` with the weights, the optimizer's state, the
//! position and the checksums of these files. It is written under a temporary name and renamed when
//! complete, so a folder of that name was whole once. A checkpoint of the same step is replaced
//! without a moment at which there is none: the new one is called `step-00000400.1` until the old one
//! is removed.

use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use burn::optim::Optimizer;
use burn::record::{FullPrecisionSettings, NamedMpkBytesRecorder, Recorder};
use burn::tensor::backend::{AutodiffBackend, Backend};
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
    /// The number behind the step in the folder's name. Of two checkpoints of a step, the one with
    /// the higher number is newer.
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

    /// Writes a checkpoint into the folder `parent`, and then removes all but the newest `keep`.
    ///
    /// Returns what could not be removed, too: it does not stop a run.
    pub(crate) fn save<B: AutodiffBackend, G: TrainableGenerator<B>>(
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
        // Removed on drop, should anything below fail.
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
        // It has another name now, so there is nothing left to remove.
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

    /// Removes all checkpoints of `step`, and of the other steps all but the newest `keep`. Returns what
    /// could not be removed.
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

    /// Removes all checkpoints in the folder `parent` but this one and the newest `keep - 1` others, as
    /// a process that was killed may not have done. Returns what could not be removed.
    pub(crate) fn remove_others(&self, parent: &Path, keep: usize) -> Vec<Error> {
        let mut others = Self::list(parent).unwrap_or_default();
        others.retain(|other| other.path != self.path);
        Self::remove_old(&others, self.step, keep.saturating_sub(1))
    }

    /// Removes what processes that were killed left in the folder `parent`. No other process may be
    /// writing there. Returns what could not be removed.
    pub(crate) fn remove_unfinished(parent: &Path) -> Vec<Error> {
        // A folder that is missing or cannot be read is reported when it is needed.
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

    /// Renames a damaged checkpoint, so that it is neither loaded nor counted. Returns its new path.
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

    /// Reads the position, and puts the weights and the optimizer's state into those given.
    pub(crate) fn load<B: AutodiffBackend, G: TrainableGenerator<B>>(
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
        // Burn panics at numbers whose count is not what their shape says.
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

/// The name of the folder of a checkpoint.
fn folder_name(step: u64, revision: u64) -> String {
    match revision {
        0 => format!("{PREFIX}{step:08}"),
        _ => format!("{PREFIX}{step:08}.{revision}"),
    }
}

/// Makes a folder that survives a power failure.
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
