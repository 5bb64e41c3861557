//! The sources of images, and the search for image files in folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::{DataError, Skipped, Task};

/// The extensions of image files, in lower case.
const EXTENSIONS: [&str; 7] = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp"];

/// The names of the two subfolders that identify a folder of pairs: inputs, then outputs.
const PAIR_FOLDERS: [(&str, &str); 5] = [
    ("A", "B"),
    ("a", "b"),
    ("input", "output"),
    ("input", "target"),
    ("night", "day"),
];

/// The source of a data set's images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder of photographs, including its subfolders. For tasks that are not paired.
    Photographs(PathBuf),
    /// Two folders whose files correspond by name. The extensions may differ. For paired tasks.
    ///
    /// An input may have several outputs. `output/NAME.jpg` and every image below the folder
    /// `output/NAME` belong to `input/NAME.jpg`.
    PairedFolders {
        /// The folder of inputs.
        input: PathBuf,
        /// The folder of outputs.
        output: PathBuf,
    },
    /// A folder of images whose left half is the input and whose right half is the output. For
    /// paired tasks.
    SideBySide(PathBuf),
    /// Procedural scenes, which need no files: see [`procedural`](crate::procedural).
    Procedural {
        /// The number of scenes.
        scenes: usize,
    },
}

impl Source {
    /// Determines the source in a folder from the task and the folder's layout.
    ///
    /// For a task that is not paired, the folder contains photographs. For a paired task, the
    /// subfolders `A` and `B` (or `a` and `b`), `input` and `output` (or `target`), or `night` and
    /// `day` contain the inputs and the outputs. Without such subfolders, the images are pairs side by
    /// side.
    ///
    /// # Errors
    ///
    /// [`DataError::Unreadable`] if `dir` is not a folder that can be read.
    pub fn detect(task: &dyn Task, dir: &Path) -> Result<Self, DataError> {
        check_folder(dir)?;
        if !task.is_paired() {
            return Ok(Self::Photographs(dir.to_owned()));
        }
        let pair = PAIR_FOLDERS
            .iter()
            .map(|(input, output)| (dir.join(input), dir.join(output)))
            .find(|(input, output)| input.is_dir() && output.is_dir());
        Ok(match pair {
            Some((input, output)) => Self::PairedFolders { input, output },
            None => Self::SideBySide(dir.to_owned()),
        })
    }
}

/// The files of one entry of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Files {
    Photograph(PathBuf),
    Pair { input: PathBuf, output: PathBuf },
    SideBySide(PathBuf),
}

impl Files {
    /// Returns the paths of the entry's files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        let (first, second) = match self {
            Self::Photograph(path) | Self::SideBySide(path) => (path, None),
            Self::Pair { input, output } => (input, Some(output)),
        };
        std::iter::once(first).chain(second).map(PathBuf::as_path)
    }
}

/// The files of an entry, and the name of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputFiles {
    /// The path of the input below its folder (without the extension for a pair). Entries with the
    /// same input share this name.
    pub(crate) input_name: String,
    pub(crate) files: Files,
}

/// An entry and its name, which is its path below the folder.
pub(crate) type NamedFiles = (String, InputFiles);

/// Returns all entries of a folder, sorted by path, and the files that were skipped.
pub(crate) fn list_folder(
    folder: &Path,
    entry: fn(PathBuf) -> Files,
) -> Result<(Vec<NamedFiles>, Vec<Skipped>), DataError> {
    let images = list_images(folder)?;
    let named = images.files.into_iter().map(|path| {
        let name = name_below(folder, &path);
        let files = InputFiles {
            input_name: name.clone(),
            files: entry(path),
        };
        (name, files)
    });
    Ok((named.collect(), images.skipped))
}

/// Returns all pairs of two folders, sorted by the names of their inputs, and the files that were
/// skipped. The pairs of one input follow each other.
///
/// An output belongs to the input with the output's name, or else to the input with the name of the
/// innermost folder around the output that has one.
pub(crate) fn list_pairs(
    input: &Path,
    output: &Path,
) -> Result<(Vec<NamedFiles>, Vec<Skipped>), DataError> {
    let (inputs, mut skipped) = by_stem(input)?;
    let (outputs, skipped_outputs) = by_stem(output)?;
    skipped.extend(skipped_outputs);
    let mut observed: BTreeMap<&str, Vec<NamedFiles>> = BTreeMap::new();
    let mut alone = Vec::new();
    for (stem, output) in outputs {
        let known = ancestors(&stem).find_map(|name| inputs.get_key_value(name));
        let Some((name, input)) = known else {
            alone.push(stem);
            continue;
        };
        let input = input.clone();
        let files = InputFiles {
            input_name: name.clone(),
            files: Files::Pair { input, output },
        };
        observed.entry(name).or_default().push((stem, files));
    }
    let without_output = inputs
        .keys()
        .filter(|name| !observed.contains_key(name.as_str()));
    let mut names: Vec<String> = without_output.cloned().collect();
    names.extend(alone);
    // The partner of a skipped file is skipped as well.
    let lost: Vec<String> = skipped
        .iter()
        .map(|skipped| stem_of(&skipped.name).to_owned())
        .collect();
    names.retain(|name| !ancestors(name).any(|name| lost.iter().any(|lost| lost == name)));
    if names.is_empty() {
        return Ok((observed.into_values().flatten().collect(), skipped));
    }
    let count = names.len();
    let mut shown = names[..count.min(3)].join(", ");
    if count > 3 {
        shown += ", ...";
    }
    Err(DataError::UnmatchedPairs {
        input: input.to_owned(),
        output: output.to_owned(),
        count,
        names: shown,
    })
}

/// Returns a name without its extension.
fn stem_of(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') && !stem.is_empty() => stem,
        _ => name,
    }
}

/// Returns a name and the folders around it: for `a/b/c`, these are `a/b/c`, `a/b` and `a`.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| Some(name.rsplit_once('/')?.0))
}

/// Returns the images of a folder by their path below it, without extension, and the skipped files.
fn by_stem(folder: &Path) -> Result<(BTreeMap<String, PathBuf>, Vec<Skipped>), DataError> {
    let mut files = BTreeMap::new();
    let images = list_images(folder)?;
    for path in images.files {
        let name = name_below(folder, &path.with_extension(""));
        if files.insert(name.clone(), path).is_some() {
            return Err(DataError::AmbiguousPair {
                folder: folder.to_owned(),
                name,
            });
        }
    }
    Ok((files, images.skipped))
}

/// The image files of a folder.
#[derive(Debug)]
pub struct ImageList {
    /// The files, sorted by path.
    pub files: Vec<PathBuf>,
    /// The entries that could not be read: links to missing files, links that form a cycle, and
    /// unreadable subfolders. The names are paths below the folder.
    pub skipped: Vec<Skipped>,
}

/// Lists the files below a folder that have the extension of an image.
///
/// Subfolders are searched and links are followed. Files whose name begins with a dot are left out.
///
/// # Errors
///
/// [`DataError::Unreadable`] if the folder cannot be read, [`DataError::EmptyFolder`] if it contains
/// no image. If it contains only entries that cannot be read, the error is the reason for the first one.
pub fn list_images(folder: &Path) -> Result<ImageList, DataError> {
    check_folder(folder)?;
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    for entry in WalkDir::new(folder).follow_links(true) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let Some(path) = error.path().filter(|_| error.depth() > 0) else {
                    return Err(DataError::unreadable(folder, error));
                };
                if !is_hidden(path) {
                    skipped.push(Skipped {
                        name: name_below(folder, path),
                        reason: DataError::unreadable(path, reason_of(&error)),
                    });
                }
                continue;
            }
        };
        let is_image = entry.path().extension().is_some_and(|extension| {
            EXTENSIONS
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
        });
        if entry.file_type().is_file() && is_image && !is_hidden(entry.path()) {
            files.push(entry.into_path());
        }
    }
    if files.is_empty() {
        return Err(match skipped.into_iter().next() {
            Some(first) => first.reason,
            None => DataError::EmptyFolder {
                folder: folder.to_owned(),
            },
        });
    }
    files.sort();
    Ok(ImageList { files, skipped })
}

/// Returns whether a file's name begins with a dot. Operating systems leave such files behind, for
/// example "._photo.jpg".
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}

/// Returns the reason why a part of a folder cannot be read.
fn reason_of(error: &walkdir::Error) -> String {
    match (error.loop_ancestor(), error.io_error()) {
        (Some(_), _) => "the link leads back to a folder that contains the link".to_owned(),
        (None, Some(reason)) => reason.to_string(),
        (None, None) => error.to_string(),
    }
}

fn check_folder(folder: &Path) -> Result<(), DataError> {
    let metadata =
        std::fs::metadata(folder).map_err(|error| DataError::unreadable(folder, error))?;
    if metadata.is_dir() {
        Ok(())
    } else {
        Err(DataError::unreadable(folder, "it is not a folder"))
    }
}

/// Returns a path relative to a folder, with `/` between its parts on every operating system.
fn name_below(folder: &Path, path: &Path) -> String {
    let below = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<_> = below
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}
