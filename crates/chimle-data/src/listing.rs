//! A list of a data set's files and their sizes. Comparing two lists shows how a data set has changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The files of a data set with their sizes in bytes. A procedural data set has one entry, the number
/// of its scenes.
///
/// # Examples
///
/// ```
/// use chimle_data::Listing;
///
/// let before = Listing([("a.jpg".to_owned(), 10)].into());
/// let after = Listing([("a.jpg".to_owned(), 10), ("b.jpg".to_owned(), 20)].into());
/// assert_eq!(after.changes(&before), "1 file was added: b.jpg");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Listing(pub BTreeMap<String, u64>);

/// The largest number of files that [`Listing::changes`] names for each kind of change.
const NAMED: usize = 3;

impl Listing {
    /// Computes a fingerprint: the 64-bit FNV-1a hash of all names and sizes, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        let bytes = self.0.iter().flat_map(|(name, size)| {
            let name = name.bytes().chain([0]);
            name.chain(size.to_le_bytes())
        });
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        format!("{hash:016x}")
    }

    /// Describes what changed since the listing `before`, as in "2 files were added: a.jpg, b.jpg".
    /// Returns an empty string if nothing changed.
    pub fn changes(&self, before: &Self) -> String {
        let names = |of: &Self, keep: &dyn Fn(&str, u64) -> bool| -> Vec<String> {
            let files = of.0.iter().filter(|(name, size)| keep(name, **size));
            files.map(|(name, _)| name.clone()).collect()
        };
        let added = names(self, &|name, _| !before.0.contains_key(name));
        let removed = names(before, &|name, _| !self.0.contains_key(name));
        let changed = names(self, &|name, size| {
            before.0.get(name).is_some_and(|&old| old != size)
        });
        let kinds = [("added", added), ("removed", removed), ("changed", changed)];
        let kinds = kinds.iter().filter(|(_, files)| !files.is_empty());
        let sentences = kinds.map(|(what, files)| {
            let (noun, verb) = if files.len() == 1 {
                ("file", "was")
            } else {
                ("files", "were")
            };
            let named = files[..files.len().min(NAMED)].join(", ");
            let more = if files.len() > NAMED { ", ..." } else { "" };
            format!("{} {noun} {verb} {what}: {named}{more}", files.len())
        });
        sentences.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[(&str, u64)]) -> Listing {
        Listing(
            files
                .iter()
                .map(|&(name, size)| (name.to_owned(), size))
                .collect(),
        )
    }

    #[test]
    fn every_change_changes_the_fingerprint_and_is_named() {
        let before = listing(&[("a.png", 10), ("b.png", 20), ("c.png", 30)]);
        let after = listing(&[("a.png", 11), ("c.png", 30), ("d.png", 5), ("e.png", 6)]);
        assert_ne!(before.fingerprint(), after.fingerprint());
        assert_eq!(before.fingerprint(), before.clone().fingerprint());
        assert_eq!(
            after.changes(&before),
            "2 files were added: d.png, e.png; 1 file was removed: b.png; 1 file was changed: a.png"
        );
        assert_eq!(before.changes(&before), "");
    }
}
