//! The images that are to be sampled.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use chimle_core::Task;
use chimle_core::data::{Dataset, DatasetConfig, Skipped, Source};

use crate::error::Failure;
use crate::output;

/// An image, and what its outputs are called.
pub struct Input {
    pub path: PathBuf,
    /// A path without extension below the folder of outputs.
    pub name: PathBuf,
}

/// The images that `--input` names.
pub struct Inputs {
    pub images: Vec<Input>,
    /// Files of a folder that are no images; each has been warned of.
    pub skipped: usize,
}

impl Inputs {
    /// One image, or all in a folder and its subfolders.
    ///
    /// # Errors
    /// If the folder cannot be read or holds no image. (Whether a single file is one shows when it is read.)
    pub fn find(path: &Path) -> Result<Self, Failure> {
        if !path.is_dir() {
            let name = path
                .file_stem()
                .map_or_else(|| "image".into(), PathBuf::from);
            return Ok(Self {
                images: vec![Input {
                    path: path.to_owned(),
                    name,
                }],
                skipped: 0,
            });
        }
        // Which files of a folder are images is the data set's to say; as one of single pixels it asks nothing more.
        let any_image = DatasetConfig::new(Task::Colorization, 1, 1, 1);
        let dataset = Dataset::open(Source::Photographs(path.to_owned()), any_image)?;
        for Skipped { reason, .. } in dataset.skipped() {
            output::complain("warning", format_args!("skipped: {reason}"));
        }
        let files: Vec<PathBuf> = (0..dataset.len())
            .map(|index| dataset.name(index).into())
            .collect();
        let images = names(&files)
            .into_iter()
            .zip(&files)
            .map(|(name, file)| Input {
                path: path.join(file),
                name,
            });
        Ok(Self {
            images: images.collect(),
            skipped: dataset.skipped().len(),
        })
    }
}

/// The files' names without extension; with it where they would be the same.
fn names(files: &[PathBuf]) -> Vec<PathBuf> {
    let mut seen: HashMap<PathBuf, usize> = HashMap::new();
    for file in files {
        *seen.entry(file.with_extension("")).or_default() += 1;
    }
    let name = |file: &PathBuf| {
        let name = file.with_extension("");
        if seen[&name] > 1 { file.clone() } else { name }
    };
    files.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_of_one_name_keep_their_extensions() {
        let files = ["a.jpg", "b.jpg", "b.png", "sub/a.jpg"].map(PathBuf::from);
        assert_eq!(
            names(&files),
            ["a", "b.jpg", "b.png", "sub/a"].map(PathBuf::from)
        );
    }
}
