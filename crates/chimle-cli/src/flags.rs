//! Parsers for values of flags that several commands share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chimle_core::{DataSource, Scale, TaskHandle, Vary};

use crate::error::Failure;

/// The number of procedural scenes in a data set.
const SCENES: usize = 512;

/// Parses any name of a task, with hyphens or underscores.
pub fn task(name: &str) -> Result<TaskHandle, String> {
    name.replace('_', "-")
        .parse()
        .map_err(|e: chimle_core::data::DataError| e.to_string())
}

/// Parses a duration in minutes.
pub fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text
        .parse()
        .map_err(|_| "not a number of minutes".to_owned())?;
    Duration::try_from_secs_f64(60.0 * minutes).map_err(|_| "must be 0 or more".to_owned())
}

/// The maximum number of samples of one input. All of them are held in memory.
pub const SAMPLES: u64 = 10_000;
/// The maximum side of an image in pixels.
pub const SIDE: u64 = 65_535;
/// The maximum number of rows of a batch.
pub const ROWS: u64 = 65_536;
/// The maximum of all other counts, such as the number of images.
pub const MANY: u64 = 1_000_000_000;

/// Returns a parser for whole numbers from 1 to `most`.
pub fn count<T: TryFrom<u64>>(most: u64) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse().ok();
        let number = number.filter(|number| (1..=most).contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("must be a whole number from 1 to {most}"))
    }
}

/// Parses what varies between samples: `global`, `local` or `level:K`.
pub fn vary(text: &str) -> Result<Vary, String> {
    match (text, text.strip_prefix("level:").map(str::parse)) {
        ("global", _) => Ok(Vary::Global),
        ("local", _) => Ok(Vary::Local),
        (_, Some(Ok(level))) => Ok(Vary::Level(level)),
        _ => Err("must be global, local, or level:K with K from 1".to_owned()),
    }
}

/// Parses how images larger than those of training are sampled: `whole`, `reduced` or `tiles`.
pub fn scale(text: &str) -> Result<Scale, String> {
    match text.parse() {
        Ok(Scale::Automatic) | Err(_) => Err("must be whole, reduced or tiles".to_owned()),
        Ok(scale) => Ok(scale),
    }
}

/// Returns the data that `--data` or `--pairs` names: procedural scenes, a folder, or a folder of inputs and a folder
/// of outputs.
///
/// # Errors
/// If neither flag is given, or if there is no current folder.
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
