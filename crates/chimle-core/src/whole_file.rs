//! Files that are there whole or not at all.

use std::fs;
use std::path::Path;

use crate::error::Error;

/// Writes a file. Under `path` there is what was there before or the whole new file.
///
/// # Errors
/// If it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let written = fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, path));
    written.map_err(|error| {
        // It is of no use, and may be what fills the disk.
        let _ = fs::remove_file(&unfinished);
        Error::file("write", path)(error)
    })
}
