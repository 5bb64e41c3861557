//! Where images come from, and which files of a folder are images.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::{DataError, Skipped, Task};

/// Extensions of files taken for images, in lower case.
const EXTENSIONS: [&str; 7] = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp"];

/// Names of the subfolders by which a folder of pairs is known: inputs, then outputs.
const PAIR_FOLDERS: [(&str, &str); 5] = [
    ("A", "B"),
    ("a", "b"),
    ("input", "output"),
    ("input", "target"),
    ("night", "day"),
];

/// Where the images of a data set come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder of photographs, subfolders included: for all tasks but the paired.
    Photographs(PathBuf),
    /// Two folders whose files correspond by name, whatever the extension: for paired tasks.
    ///
    /// An input may have several outputs: besides `output/NAME.jpg`, every image below the folder
    /// `output/NAME` belongs to `input/NAME.jpg`.
    PairedFolders {
        /// The folder of inputs.
        input: PathBuf,
        /// The folder of outputs.
        output: PathBuf,
    },
    /// A folder of images whose left half is the input and whose right half the output: for paired tasks.
    SideBySide(PathBuf),
    /// Made-up scenes, which need no files: see [`procedural`](crate::procedural).
    Procedural {
        /// How many.
        scenes: usize,
    },
}

impl Source {
    /// What a folder holds, judged by the task and the folder's layout.
    ///
    /// For a paired task, subfolders `A` and `B` (or `a` and `b`), `input` and `output` (or `target`), or
    /// `night` and `day` mean two folders of pairs; without them images are taken to be side by side.
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

/// One entry of a data set of files.
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

/// The files of an entry, and what its input is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputFiles {
    /// The path of the input below its folder (of a pair without extension). Entries with the same
    /// input share it.
    pub(crate) input_name: String,
    pub(crate) files: Files,
}

/// An entry and its name: the path below the folder.
pub(crate) type NamedFiles = (String, InputFiles);

/// All entries of a folder, in order of their names, and what was passed over.
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

/// All pairs of two folders, in order of their inputs' names, those of one input together, and what was
/// passed over.
///
/// An output belongs to the input of its own name, else to that of the nearest folder it lies in.
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
    // The partner of what was passed over is passed over, too.
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

/// A name without its extension.
fn stem_of(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') && !stem.is_empty() => stem,
        _ => name,
    }
}

/// A name such as `a/b/c`, then `a/b`, then `a`.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| Some(name.rsplit_once('/')?.0))
}

/// A folder's images by their path below it, without extension.
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
    /// What could not be looked at: links that lead nowhere or into a circle, and subfolders that cannot be
    /// read. The names are paths below the folder.
    pub skipped: Vec<Skipped>,
}

/// Lists the files below a folder that have the extension of an image.
///
/// Subfolders are searched and links are followed. Files whose name begins with a dot are left out.
///
/// # Errors
///
/// [`DataError::Unreadable`] if the folder cannot be read, [`DataError::EmptyFolder`] if it holds no
/// image.
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

/// Whether a file is one of those that systems leave behind, such as "._photo.jpg".
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}

/// Why a part of a folder cannot be looked at.
fn reason_of(error: &walkdir::Error) -> String {
    match (error.loop_ancestor(), error.io_error()) {
        (Some(_), _) => "the link leads back to a folder that it is in".to_owned(),
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

/// A path below a folder, with `/` between its parts on every system.
fn name_below(folder: &Path, path: &Path) -> String {
    let below = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<_> = below
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}
