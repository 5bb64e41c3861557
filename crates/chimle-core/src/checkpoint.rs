//! Checkpoints: all that a run needs to go on as if it had never stopped.
//!
//! A checkpoint is a folder `checkpoints/step-00000400` with the weights, the optimizer's state
//! and the position. It is written under a temporary name and renamed when complete, so that a
//! folder of that name is always whole.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::module::AutodiffModule;
use burn::optim::Optimizer;
use burn::record::{FullPrecisionSettings, NamedMpkBytesRecorder, Recorder};
use burn::tensor::backend::AutodiffBackend;
use chimle_nn::{Generator, WeightFile};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::optimizer::GeneratorAdam;
use crate::share::Share;

const PREFIX: &str = "step-";
const GENERATOR: &str = "generator.safetensors";
const OPTIMIZER: &str = "adam.mpk";
const POSITION: &str = "position.json";

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Steps done.
    pub(crate) step: u64,
    /// The round of the share in hand, if any.
    pub(crate) round: u64,
    /// Steps done on that share.
    pub(crate) steps_on_share: u64,
    /// For each member of the share its slot and its chosen candidates.
    pub(crate) chosen: Vec<(usize, Vec<usize>)>,
}

impl Position {
    /// The position after `step` steps, with the share in hand.
    pub(crate) fn of(step: u64, share: Option<&Share>) -> Self {
        let chosen = |share: &Share| {
            share
                .members
                .iter()
                .map(|m| (m.loaded.slot, m.candidates.clone()))
                .collect()
        };
        Self {
            step,
            round: share.map_or(0, |share| share.round),
            steps_on_share: share.map_or(0, |share| share.steps),
            chosen: share.map(chosen).unwrap_or_default(),
        }
    }
}

/// The folder of a run's checkpoints.
pub(crate) fn folder(run: &Path) -> PathBuf {
    run.join("checkpoints")
}

/// The newest checkpoint of a run.
pub(crate) fn newest(run: &Path) -> Result<PathBuf, Error> {
    let missing = || Error::NoRun {
        path: run.to_owned(),
        what: "checkpoint",
    };
    list(run)?.pop().map(|(_, path)| path).ok_or_else(missing)
}

/// The weights in a checkpoint.
pub(crate) fn weights(checkpoint: &Path) -> PathBuf {
    checkpoint.join(GENERATOR)
}

/// Complete checkpoints by step, oldest first.
fn list(run: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let folder = folder(run);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).map_err(Error::file("read", &folder))? {
        let path = entry.map_err(Error::file("read", &folder))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if let Some(step) = name
            .strip_prefix(PREFIX)
            .and_then(|digits| digits.parse().ok())
        {
            found.push((step, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Writes a checkpoint, and then removes all but the newest `keep`. Returns its folder.
pub(crate) fn save<B: AutodiffBackend>(
    run: &Path,
    generator: &Generator<B>,
    optimizer: &GeneratorAdam<B>,
    position: &Position,
    keep: usize,
) -> Result<PathBuf, Error> {
    let parent = folder(run);
    fs::create_dir_all(&parent).map_err(Error::file("make", &parent))?;
    let path = parent.join(format!("{PREFIX}{:08}", position.step));
    // Removed on drop, should anything below fail.
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let writing = builder
        .prefix(".writing-")
        .tempdir_in(&parent)
        .map_err(Error::file("write", &parent))?;

    generator.valid().save(weights(writing.path()))?;
    let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::default();
    let state = Recorder::<B>::record(&recorder, optimizer.to_record(), ()).map_err(|e| {
        Error::Checkpoint {
            path: path.join(OPTIMIZER),
            reason: e.to_string(),
        }
    })?;
    write_synced(&writing.path().join(OPTIMIZER), &state)?;
    let position = serde_json::to_vec(position).expect("a position is plain data");
    write_synced(&writing.path().join(POSITION), &position)?;

    if path.exists() {
        fs::remove_dir_all(&path).map_err(Error::file("replace", &path))?;
    }
    fs::rename(writing.keep(), &path).map_err(Error::file("write", &path))?;
    sync_folder(&parent);

    let old = list(run)?;
    for (_, path) in old.iter().take(old.len().saturating_sub(keep)) {
        fs::remove_dir_all(path).map_err(Error::file("remove", path))?;
    }
    Ok(path)
}

/// A checkpoint's position, and its weights and optimizer state put into those given.
pub(crate) fn load<B: AutodiffBackend>(
    checkpoint: &Path,
    generator: Generator<B>,
    optimizer: GeneratorAdam<B>,
    device: &B::Device,
) -> Result<(Generator<B>, GeneratorAdam<B>, Position), Error> {
    let damaged = |file: &str, reason: String| Error::Checkpoint {
        path: checkpoint.join(file),
        reason,
    };
    let read = |file: &str| {
        fs::read(checkpoint.join(file)).map_err(Error::file("read", checkpoint.join(file)))
    };

    let position: Position =
        serde_json::from_slice(&read(POSITION)?).map_err(|e| damaged(POSITION, e.to_string()))?;
    let generator = generator.load(&WeightFile::open(weights(checkpoint))?)?;
    let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::default();
    let state = Recorder::<B>::load(&recorder, read(OPTIMIZER)?, device)
        .map_err(|_| damaged(OPTIMIZER, "it is damaged or truncated".to_owned()))?;
    Ok((generator, optimizer.load_record(state), position))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::File::create(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(Error::file("write", path))
}

/// So that the rename survives a power cut; systems that cannot sync a folder go without.
fn sync_folder(path: &Path) {
    let _ = fs::File::open(path).and_then(|folder| folder.sync_all());
}
