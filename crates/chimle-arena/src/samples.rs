//! Folders of samples from the arena's methods and from other programs, with several images for each input.
//!
//! The samples of the input `forest/12.jpg` are `forest/12/0.png`, `forest/12/1.png` and so on, below the folder of a method.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use chimle_core::data::{Example, Planes, read_rgb};
use image::{ImageFormat, RgbImage};

use crate::error::Error;

/// Returns the name of an input's folder: the input's name in the data set without extension, with `/` between
/// folders.
pub fn input_name(example: &Example) -> String {
    let name = Path::new(&example.name).with_extension("");
    let parts: Vec<_> = name
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}

/// Returns the path of a sample below the folder of a method.
fn sample_path(input: &str, sample: usize) -> PathBuf {
    Path::new(input).join(format!("{sample}.png"))
}

/// Writes the samples of an input below the folder of a method.
///
/// # Errors
///
/// If a file cannot be written.
pub fn write_samples(folder: &Path, example: &Example, samples: &[Planes]) -> Result<(), Error> {
    let input = input_name(example);
    for (k, sample) in samples.iter().enumerate() {
        write_png(&sample.to_rgb(), &folder.join(sample_path(&input, k)))?;
    }
    Ok(())
}

/// Reads the first `count` samples of an input from the folder of a method: RGB in [0, 1].
///
/// # Errors
///
/// [`Error::MissingSample`] if there are fewer than `count` samples, or another error if a file cannot be read.
pub fn read_samples(folder: &Path, example: &Example, count: usize) -> Result<Vec<Planes>, Error> {
    let input = input_name(example);
    let samples = (0..count).map(|k| {
        let file = sample_path(&input, k);
        let path = folder.join(&file);
        if !path.is_file() {
            return Err(Error::MissingSample {
                folder: folder.to_owned(),
                file,
                last: count - 1,
            });
        }
        Ok(Planes::from_rgb(&read_rgb(path)?))
    });
    samples.collect()
}

/// Writes an image as PNG, completely or not at all, and creates the parent folders.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_png(picture: &RgbImage, path: &Path) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
    }
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| Error::File {
            action: "write",
            path: path.to_owned(),
            source: std::io::Error::other(error),
        })?;
    chimle_files::write(path, bytes.get_ref()).map_err(Error::file("write", path))
}
