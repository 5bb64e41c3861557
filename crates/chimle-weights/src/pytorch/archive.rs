//! The zip layout. The pickle and each storage are entries of the archive, and no entry is
//! compressed.
//!
//! PyTorch uses a small part of the zip format, and this reader refuses the rest: compression,
//! encryption, comments and entries of the same name. The crate `zip` reads much more. It looks for
//! a directory anywhere in a file, which can take quadratic time in a malicious file, and it
//! decompresses entries.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};

use super::Refusal;

/// The first bytes of the layout.
pub(super) const START: &[u8] = b"PK\x03\x04";

/// The length of the record at the end of an archive.
const END_LENGTH: u64 = 22;
/// The length of the record in front of the end record. It holds the position of the 64-bit end
/// record.
const LOCATOR_LENGTH: u64 = 20;
/// The length of the 64-bit end record.
const END_64_LENGTH: u64 = 56;
/// The largest directory that is read: 250,000 entries.
const LARGEST_DIRECTORY: u64 = 32 << 20;

/// An entry: the position of its bytes in the file, and their checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) start: u64,
    pub(super) len: u64,
    checksum: u32,
}

impl Entry {
    /// Checks that the bytes have the checksum.
    pub(super) fn verify<F: Read + Seek>(&self, file: &mut F, name: &str) -> Result<(), Refusal> {
        let mut checksum = crc32fast::Hasher::new();
        let mut left = self.len;
        let mut buffer = vec![0; 1 << 16];
        file.seek(SeekFrom::Start(self.start))?;
        while left > 0 {
            let part = left.min(buffer.len() as u64) as usize;
            file.read_exact(&mut buffer[..part])?;
            checksum.update(&buffer[..part]);
            left -= part as u64;
        }
        if checksum.finalize() == self.checksum {
            return Ok(());
        }
        Err(Refusal::new(format!("the checksum of `{name}` is wrong")))
    }
}

/// The entries of an archive.
pub(super) struct Archive {
    entries: HashMap<String, Entry>,
}

impl Archive {
    /// Reads the directory.
    pub(super) fn open<F: Read + Seek>(file: &mut F, length: u64) -> Result<Self, Refusal> {
        let end_at = length
            .checked_sub(END_LENGTH)
            .ok_or_else(|| Refusal::new("it ends early"))?;
        let end: [u8; END_LENGTH as usize] = read_array(file, end_at)?;
        if !end.starts_with(b"PK\x05\x06") || end[20..] != [0, 0] {
            return Err(Refusal::new("it does not end like an archive of PyTorch"));
        }
        let (mut count, mut size, mut start) = (
            u64::from(u16_at(&end, 10)),
            u64::from(u32_at(&end, 12)),
            u64::from(u32_at(&end, 16)),
        );
        let mut directory_end = end_at;
        if let Some(locator_at) = end_at.checked_sub(LOCATOR_LENGTH) {
            let locator: [u8; LOCATOR_LENGTH as usize] = read_array(file, locator_at)?;
            if locator.starts_with(b"PK\x06\x07") {
                directory_end = u64_at(&locator, 8);
                if directory_end.checked_add(END_64_LENGTH) != Some(locator_at) {
                    return Err(Refusal::new("its directory is not at the claimed position"));
                }
                let end: [u8; END_64_LENGTH as usize] = read_array(file, directory_end)?;
                if !end.starts_with(b"PK\x06\x06") {
                    return Err(Refusal::new("its directory is not at the claimed position"));
                }
                (count, size, start) = (u64_at(&end, 32), u64_at(&end, 40), u64_at(&end, 48));
            }
        }
        if start.checked_add(size) != Some(directory_end) {
            return Err(Refusal::new("its directory is not at the claimed position"));
        }
        if size > LARGEST_DIRECTORY {
            return Err(Refusal::new("its directory is too large"));
        }
        let mut directory = vec![0; size as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut directory)?;
        let listed = list(&directory)?;
        if listed.len() as u64 != count {
            return Err(Refusal::new(
                "its directory does not have the claimed number of entries",
            ));
        }
        // Entries that overlap would have to be read many times.
        let all = listed
            .iter()
            .try_fold(0u64, |all, entry| all.checked_add(entry.len));
        if all.is_none_or(|all| all > length) {
            return Err(Refusal::new("its entries are larger than the file"));
        }
        let mut entries = HashMap::new();
        for listed in listed {
            let entry = locate(file, &listed, start)?;
            if entries.insert(listed.name, entry).is_some() {
                return Err(Refusal::new("two of its entries have the same name"));
            }
        }
        Ok(Self { entries })
    }

    /// Returns the name of the folder that holds the pickle, including the `/`.
    pub(super) fn folder(&self) -> Result<&str, Refusal> {
        let folders = self.entries.keys().filter_map(|name| {
            let folder = name.strip_suffix("data.pkl")?;
            let is_one = folder.is_empty() || folder.find('/') == Some(folder.len() - 1);
            is_one.then_some(folder)
        });
        let folders: Vec<&str> = folders.collect();
        match folders[..] {
            [folder] => Ok(folder),
            [] => Err(Refusal::new("it is an archive without data.pkl")),
            _ => Err(Refusal::new("it has more than one data.pkl")),
        }
    }

    /// Returns the entry with this name.
    pub(super) fn entry(&self, name: &str) -> Option<Entry> {
        self.entries.get(name).copied()
    }
}

/// An entry as the directory lists it.
struct Listed {
    name: String,
    checksum: u32,
    len: u64,
    header_at: u64,
}

fn list(mut directory: &[u8]) -> Result<Vec<Listed>, Refusal> {
    let damaged = || Refusal::new("its directory is damaged");
    let mut listed = Vec::new();
    while !directory.is_empty() {
        let (header, rest) = directory.split_first_chunk::<46>().ok_or_else(damaged)?;
        if !header.starts_with(b"PK\x01\x02") {
            return Err(damaged());
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(header, at)));
        let (name, rest) = rest.split_at_checked(lengths[0]).ok_or_else(damaged)?;
        let (extra, rest) = rest.split_at_checked(lengths[1]).ok_or_else(damaged)?;
        let (_comment, rest) = rest.split_at_checked(lengths[2]).ok_or_else(damaged)?;
        directory = rest;

        let name = std::str::from_utf8(name).map_err(|_| damaged())?.to_owned();
        let (is_encrypted, method) = (u16_at(header, 8) & 1 != 0, u16_at(header, 10));
        if is_encrypted || method != 0 {
            return Err(Refusal::new(format!(
                "its entry {name:?} is compressed or encrypted, and PyTorch writes no such entries"
            )));
        }
        let mut wide = wide_fields(extra);
        let mut field = |at: usize| -> Option<u64> {
            match u32_at(header, at) {
                u32::MAX => {
                    let (first, rest) = wide.split_first_chunk()?;
                    wide = rest;
                    Some(u64::from_le_bytes(*first))
                }
                narrow => Some(narrow.into()),
            }
        };
        // The order matters: the size, the size in the file, the position.
        let (len, stored, header_at) = (field(24), field(20), field(42));
        let (Some(len), Some(stored), Some(header_at)) = (len, stored, header_at) else {
            return Err(damaged());
        };
        if len != stored {
            return Err(damaged());
        }
        listed.push(Listed {
            name,
            checksum: u32_at(header, 16),
            len,
            header_at,
        });
    }
    Ok(listed)
}

/// Returns the 64-bit values of the fields that do not fit into 32 bits.
fn wide_fields(mut extra: &[u8]) -> &[u8] {
    while let Some((header, rest)) = extra.split_first_chunk::<4>() {
        let length = usize::from(u16_at(header, 2));
        let Some((field, rest)) = rest.split_at_checked(length) else {
            break;
        };
        if u16_at(header, 0) == 1 {
            return field;
        }
        extra = rest;
    }
    &[]
}

/// Finds the bytes of an entry. They must end before the directory.
fn locate<F: Read + Seek>(file: &mut F, listed: &Listed, directory: u64) -> Result<Entry, Refusal> {
    let damaged = || Refusal::new(format!("its entry {:?} is damaged", listed.name));
    if listed.header_at > directory {
        return Err(damaged());
    }
    let header: [u8; 30] = read_array(file, listed.header_at)?;
    if !header.starts_with(START) {
        return Err(damaged());
    }
    let before = 30 + u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
    let start = listed.header_at + before;
    if start
        .checked_add(listed.len)
        .is_none_or(|end| end > directory)
    {
        return Err(damaged());
    }
    Ok(Entry {
        start,
        len: listed.len,
        checksum: listed.checksum,
    })
}

fn read_array<F: Read + Seek, const N: usize>(file: &mut F, at: u64) -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
