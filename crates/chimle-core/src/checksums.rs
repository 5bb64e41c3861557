//! The checksums of a checkpoint's files.
//!
//! The checksums are in the file `SHA256SUMS`, in the form that `sha256sum --check SHA256SUMS` reads. A
//! checkpoint without this file was written by an older version and counts as undamaged.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::Error;

const CHECKSUMS: &str = "SHA256SUMS";

/// Writes the checksums of the named files of a folder.
pub(crate) fn write(folder: &Path, names: &[&str]) -> Result<(), Error> {
    let mut lines = String::new();
    for name in names {
        let path = folder.join(name);
        let checksum = checksum_of(&path).map_err(Error::file("read", &path))?;
        lines += &format!("{checksum}  {name}\n");
    }
    let path = folder.join(CHECKSUMS);
    chimle_files::write(&path, lines).map_err(Error::file("write", &path))
}

/// Checks all files for which the folder has a checksum.
///
/// # Errors
///
/// If a file is damaged or missing. The error names the file.
pub(crate) fn check(folder: &Path) -> Result<(), Error> {
    let checksums = read(folder)?;
    let mut checksums = checksums.iter();
    checksums.try_for_each(|(checksum, name)| check_file(folder, name, checksum))
}

/// Checks the first of the named files for which the folder has a checksum. Does nothing if there is no such
/// file.
///
/// # Errors
///
/// As [`check`].
pub(crate) fn check_first(folder: &Path, names: &[&str]) -> Result<(), Error> {
    let checksums = read(folder)?;
    let find = |name: &&str| checksums.iter().find(|(_, known)| known == name);
    match names.iter().find_map(find) {
        Some((checksum, name)) => check_file(folder, name, checksum),
        None => Ok(()),
    }
}

fn check_file(folder: &Path, name: &str, expected: &str) -> Result<(), Error> {
    let path = folder.join(name);
    let found = checksum_of(&path).map_err(Error::file("read", &path))?;
    if found == expected {
        return Ok(());
    }
    Err(Error::Checkpoint {
        path,
        reason: "its checksum is wrong, so it is damaged".to_owned(),
    })
}

/// Reads the checksums of a folder, each with the name of its file. The list is empty if the folder has no file
/// of checksums.
fn read(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let path = folder.join(CHECKSUMS);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("read", path)(error)),
    };
    let pair = |line: &str| {
        let (checksum, name) = line.split_once("  ")?;
        let is_name = !name.contains(['/', '\\']) && name != "..";
        is_name.then(|| (checksum.to_owned(), name.to_owned()))
    };
    let text = String::from_utf8(text).ok();
    let pairs = text.and_then(|text| text.lines().map(pair).collect::<Option<Vec<_>>>());
    match pairs {
        Some(pairs) if !pairs.is_empty() => Ok(pairs),
        _ => Err(Error::Checkpoint {
            path,
            reason: "it is damaged".to_owned(),
        }),
    }
}

/// Computes the checksum of bytes, in the form that `sha256sum` prints.
pub(crate) fn checksum_of_bytes(bytes: &[u8]) -> String {
    in_hexadecimal(&Sha256::digest(bytes))
}

fn in_hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn checksum_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hash.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(in_hexadecimal(&hash.finalize()))
}
