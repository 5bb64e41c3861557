//! Values of flags that more than one command has.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use chimle_core::{DataSource, TaskHandle, Vary};

use crate::error::Failure;

/// Made-up scenes in a set of them.
const SCENES: usize = 512;

/// A task by any of its names, with hyphens or underscores.
pub fn task(name: &str) -> Result<TaskHandle, String> {
    name.replace('_', "-")
        .parse()
        .map_err(|e: chimle_core::data::DataError| e.to_string())
}

/// A length of time, in minutes.
pub fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text
        .parse()
        .map_err(|_| "not a number of minutes".to_owned())?;
    Duration::try_from_secs_f64(60.0 * minutes).map_err(|_| "must be 0 or more".to_owned())
}

/// A count that must not be 0.
pub fn at_least_one<T: FromStr + Default + PartialEq>(text: &str) -> Result<T, String> {
    match text.parse() {
        Ok(number) if number != T::default() => Ok(number),
        _ => Err("must be a whole number, at least 1".to_owned()),
    }
}

/// What varies between samples: `global`, `local` or `level:K`.
pub fn vary(text: &str) -> Result<Vary, String> {
    match (text, text.strip_prefix("level:").map(str::parse)) {
        ("global", _) => Ok(Vary::Global),
        ("local", _) => Ok(Vary::Local),
        (_, Some(Ok(level))) => Ok(Vary::Level(level)),
        _ => Err("must be global, local, or level:K with K from 1".to_owned()),
    }
}

/// What `--data` or `--pairs` names: made-up scenes, a folder, or a folder of inputs and one of outputs.
///
/// # Errors
/// If neither is given, or there is no current folder.
pub fn data(data: Option<&Path>, pairs: Option<&[PathBuf]>) -> Result<DataSource, Failure> {
    Ok(match (data, pairs) {
        (_, Some([input, output])) => DataSource::Pairs {
            input: absolute(input)?,
            output: absolute(output)?,
        },
        (Some(data), _) if data == "procedural" => DataSource::Procedural { scenes: SCENES },
        (Some(data), _) => DataSource::Folder(absolute(data)?),
        (None, _) => {
            return Err(Failure::Flag {
                flag: "--data",
                reason: "is needed".to_owned(),
            });
        }
    })
}

/// Returns the absolute form of a path, so that a run can be resumed from any folder.
pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(Failure::file("find", path))
}
