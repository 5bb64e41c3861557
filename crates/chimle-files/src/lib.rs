//! Files that are written completely or not at all.
//!
//! If a program is stopped while it writes a file, the file is incomplete and its previous contents are lost.
//! [`write()`] and [`write_with`] prevent this: they write a temporary file in the same folder, sync it to the disk,
//! rename it to its final name and sync the folder. A reader finds either the previous file or the complete new one.
//! [`sync_folder`] performs only the last of these steps, for programs that rename files themselves.
//!
//! Use this crate for files that are written as a whole, such as checkpoints and reports. It is not meant for large
//! files that change in small places, because every write makes a complete copy.
//!
//! # Examples
//!
//! ```
//! use std::io::Write;
//!
//! # fn main() -> std::io::Result<()> {
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("numbers.txt");
//! chimle_files::write(&path, "1 2 3")?;
//!
//! let failed = chimle_files::write_with(&path, |file| {
//!     file.write_all(b"4 5")?;
//!     Err(std::io::Error::other("the third number is missing"))
//! });
//! assert!(failed.is_err());
//! assert_eq!(std::fs::read_to_string(&path)?, "1 2 3");
//! # Ok(())
//! # }
//! ```
//!
//! # Details
//!
//! - If anything fails, or the closure panics, the temporary file is removed. A process that is killed can leave a
//!   temporary file, `.chimle-*.tmp`. Such files can be deleted, and [`remove_temporary_files`] does so.
//! - A new file has the usual permissions: on Unix 0o666 less the umask. A replaced file keeps its permissions. The
//!   new file belongs to the user who writes it, and other hard links to the previous file keep the previous contents.
//! - A file is replaced even if it is write-protected, as long as its folder can be written to.
//! - If the path is a symbolic link, the file that it points to is replaced (or created) and the link stays.
//! - If the path is a device or a named pipe, it is not replaced: the bytes are written straight into it.
//!
//! The crate builds on `tempfile` and not on `atomic-write-file`, because the latter (0.3.1) leaves its temporary file
//! behind when the sync or the rename fails.

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The beginning and the end of the name of a temporary file.
const TEMPORARY: (&str, &str) = (".chimle-", ".tmp");

/// The largest number of symbolic links that are followed, which is Linux's own limit.
const MAX_LINKS: usize = 40;

/// Writes `bytes` to the file at `path`.
///
/// # Errors
///
/// If the file cannot be written. The previous file, if any, is then unchanged. There is one exception: if the folder
/// cannot be synced, the new file is in place, but might not survive a power failure.
pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    write_with(path, |file| file.write_all(bytes.as_ref()))
}

/// Writes the bytes that the closure produces to the file at `path`.
///
/// Small writes are cheap, because they are collected in a buffer. The closure need not flush it.
///
/// # Errors
///
/// If the closure returns an error, and in the cases of [`write()`].
pub fn write_with(
    path: impl AsRef<Path>,
    contents: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let path = path.as_ref();
    let existing = match fs::metadata(path) {
        Ok(existing) if existing.is_dir() => return Err(ErrorKind::IsADirectory.into()),
        // Renaming a file to the name of a device or pipe would remove the device or pipe.
        Ok(existing) if !existing.is_file() => {
            return fill(&File::options().write(true).open(path)?, contents);
        }
        Ok(existing) => Some(existing),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let target = follow_links(path)?;
    let folder = folder_of(&target);

    // The file is removed when `temporary` goes out of scope, unless it was renamed.
    let temporary = tempfile::Builder::new()
        .prefix(TEMPORARY.0)
        .suffix(TEMPORARY.1)
        // `tempfile` itself would create a file that only its owner can read.
        .make_in(folder, |path| File::create_new(path))?;
    let file = temporary.as_file();
    if let Some(existing) = existing {
        keep_permissions(file, &existing)?;
    }
    fill(file, contents)?;
    file.sync_all()?;
    let temporary = temporary.into_temp_path();
    fs::rename(&temporary, &target)?;
    // The file has its final name now, so no temporary file must be removed.
    drop(temporary.keep());
    sync_folder(folder)
}

/// Makes renames and new files in a folder survive a power failure.
///
/// An empty path is the current folder. If the folder cannot be synced (on Windows, on some network file systems, or if
/// this user cannot read it), the function does nothing.
///
/// # Errors
///
/// If the folder does not exist (on Unix), or the disk fails.
pub fn sync_folder(folder: impl AsRef<Path>) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = or_current(folder.as_ref());
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

/// Removes the temporary files in a folder that have not been written to for `age`. Returns the files that could not be
/// removed.
///
/// Temporary files are left by processes that were killed. Subfolders are not searched. If the folder is missing or
/// cannot be read, nothing is removed.
pub fn remove_temporary_files(
    folder: impl AsRef<Path>,
    age: Duration,
) -> Vec<(PathBuf, io::Error)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let abandoned = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        let is_temporary =
            name.starts_with(TEMPORARY.0.as_bytes()) && name.ends_with(TEMPORARY.1.as_bytes());
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        // A file with a time in the future is not old.
        let is_old = written.is_ok_and(|written| written.elapsed().is_ok_and(|past| past >= age));
        is_temporary && is_old
    });
    let failures = abandoned.filter_map(|entry| {
        let removed = fs::remove_file(entry.path());
        removed.err().map(|error| (entry.path(), error))
    });
    failures.collect()
}

/// Writes the bytes that the closure produces, through a buffer.
fn fill(
    file: &File,
    contents: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = BufWriter::new(file);
    contents(&mut writer)?;
    writer.flush()
}

/// Gives `file` the permissions of the file that it will replace.
fn keep_permissions(file: &File, existing: &Metadata) -> io::Result<()> {
    let permissions = existing.permissions();
    // Some file systems have the same permissions for all files, and refuse to set them.
    if file.metadata()?.permissions() == permissions {
        return Ok(());
    }
    file.set_permissions(permissions)
}

/// Follows symbolic links at `path` and returns the path that they lead to, or `path` itself if it is not a link. The
/// result need not exist.
fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..=MAX_LINKS {
        match fs::read_link(&target) {
            Ok(next) => target = folder_of(&target).join(next),
            // The path is not a link, or it does not exist.
            Err(_) => return Ok(target),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Returns the folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    or_current(path.parent().unwrap_or(path))
}

/// Returns the path, or `.` if it is empty.
fn or_current(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    }
}
