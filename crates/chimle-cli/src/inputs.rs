//! The images to sample.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use chimle_core::data::list_images;

use crate::error::Failure;
use crate::output;

/// An image, and the name of its outputs.
pub struct Input {
    pub path: PathBuf,
    /// The path of the outputs below the output folder, without extension.
    pub name: PathBuf,
}

/// The images that `--input` names.
pub struct Inputs {
    pub images: Vec<Input>,
}

impl Inputs {
    /// Finds one image, or all images in a folder and its subfolders. The files are not read yet, so a file
    /// may turn out not to be an image.
    ///
    /// # Errors
    /// If the folder cannot be read or holds no file with the extension of an image.
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
            });
        }
        let below = |image: PathBuf| {
            image
                .strip_prefix(path)
                .map(Path::to_owned)
                .unwrap_or(image)
        };
        let found = list_images(path)?;
        for skipped in &found.skipped {
            output::complain("warning", format_args!("skipped: {}", skipped.reason));
        }
        let files: Vec<PathBuf> = found.files.into_iter().map(below).collect();
        let images = names(&files)
            .into_iter()
            .zip(&files)
            .map(|(name, file)| Input {
                path: path.join(file),
                name,
            });
        Ok(Self {
            images: images.collect(),
        })
    }
}

/// Returns the files' names without extension. Names that would then be the same keep their extension. Upper and lower
/// case count as the same, as they do on some file systems.
fn names(files: &[PathBuf]) -> Vec<PathBuf> {
    let folded = |path: &Path| match path.to_str() {
        Some(text) => text.to_lowercase().into_bytes(),
        None => path.as_os_str().as_encoded_bytes().to_ascii_lowercase(),
    };
    let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
    for file in files {
        *seen.entry(folded(&file.with_extension(""))).or_default() += 1;
        // A file `b.jpg.png` must not get the name that `b.jpg` needs.
        *seen.entry(folded(file)).or_default() += 1;
    }
    let name = |file: &PathBuf| {
        let name = file.with_extension("");
        if seen[&folded(&name)] > 1 {
            file.clone()
        } else {
            name
        }
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
        let files = ["b.jpg", "b.jpg.png", "b.png"].map(PathBuf::from);
        assert_eq!(names(&files), files);
        let files = ["A.jpg", "a.png"].map(PathBuf::from);
        assert_eq!(names(&files), files);
    }
}
