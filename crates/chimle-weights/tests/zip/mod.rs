//! A writer of zip archives that can contain false claims.

/// An archive of uncompressed entries.
#[derive(Default)]
pub struct Zip {
    entries: Vec<Entry>,
    /// The index of an entry that is marked as compressed.
    pub compressed: Option<usize>,
    /// Whether the archive has a 64-bit end record.
    pub is_wide: bool,
    /// The number of entries that the end record claims, if it is not the true number.
    pub claimed_entries: Option<u64>,
}

struct Entry {
    name: String,
    bytes: Vec<u8>,
    claimed: Option<u64>,
    /// The index of the entry whose bytes this entry lists again.
    again: Option<usize>,
}

impl Zip {
    pub fn add(&mut self, name: &str, bytes: &[u8]) {
        self.entries.push(Entry {
            name: name.to_owned(),
            bytes: bytes.to_owned(),
            claimed: None,
            again: None,
        });
    }

    /// Lists the bytes of an entry under a second name.
    pub fn add_again(&mut self, entry: usize, name: &str) {
        let bytes = self.entries[entry].bytes.clone();
        self.add(name, &bytes);
        self.entries.last_mut().unwrap().again = Some(entry);
    }

    /// Claims a false size of an entry.
    pub fn claim(&mut self, entry: usize, size: u64) {
        self.entries[entry].claimed = Some(size);
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut places = Vec::new();
        for entry in &self.entries {
            if let Some(again) = entry.again {
                places.push(places[again]);
                continue;
            }
            places.push(file.len());
            let name = entry.name.as_bytes();
            file.extend(b"PK\x03\x04");
            file.extend([0; 22]);
            file.extend((name.len() as u16).to_le_bytes());
            file.extend([0; 2]);
            file.extend(name);
            file.extend(&entry.bytes);
        }
        let start = file.len() as u64;
        for (index, (entry, &place)) in self.entries.iter().zip(&places).enumerate() {
            let method = u16::from(self.compressed == Some(index)) * 8;
            let size = entry.claimed.unwrap_or(entry.bytes.len() as u64);
            file.extend(b"PK\x01\x02");
            file.extend([0; 6]);
            file.extend(method.to_le_bytes());
            file.extend([0; 4]);
            file.extend(crc32fast::hash(&entry.bytes).to_le_bytes());
            let (narrow, wide) = match u32::try_from(size) {
                Ok(narrow) if narrow < u32::MAX => (narrow, false),
                _ => (u32::MAX, true),
            };
            file.extend(narrow.to_le_bytes());
            file.extend(narrow.to_le_bytes());
            file.extend((entry.name.len() as u16).to_le_bytes());
            file.extend((u16::from(wide) * 20).to_le_bytes());
            file.extend([0; 10]);
            file.extend((place as u32).to_le_bytes());
            file.extend(entry.name.as_bytes());
            if wide {
                file.extend([1, 0, 16, 0]);
                file.extend(size.to_le_bytes());
                file.extend(size.to_le_bytes());
            }
        }
        let size = file.len() as u64 - start;
        let count = self.claimed_entries.unwrap_or(self.entries.len() as u64);
        if self.is_wide {
            let end = file.len() as u64;
            file.extend(b"PK\x06\x06");
            file.extend(44u64.to_le_bytes());
            file.extend([0; 12]);
            for number in [count, count, size, start] {
                file.extend(number.to_le_bytes());
            }
            file.extend(b"PK\x06\x07\0\0\0\0");
            file.extend(end.to_le_bytes());
            file.extend(1u32.to_le_bytes());
        }
        file.extend(b"PK\x05\x06");
        file.extend([0; 4]);
        file.extend((count as u16).to_le_bytes());
        file.extend((count as u16).to_le_bytes());
        file.extend((size as u32).to_le_bytes());
        file.extend((start as u32).to_le_bytes());
        file.extend([0; 2]);
        file
    }
}
