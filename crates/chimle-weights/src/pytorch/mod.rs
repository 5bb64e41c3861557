//! PyTorch's state dicts, in the zip layout and in the layout from before version 1.6.
//!
//! Such a file is a program: a pickle may name any function of Python. Other readers in Rust know
//! only a few functions. But they copy values that the program only refers to, trust the sizes that
//! it claims, and return zeros where bytes are missing. This reader accepts the files that
//! `torch.save` writes of a plain state dict, and refuses everything else:
//!
//! - Only the listed opcodes and functions are known, and the number of values is limited
//!   ([`pickle`]).
//! - Before the file counts as open, each storage must have exactly the claimed number of bytes,
//!   and the right checksum in the zip layout.
//! - Every tensor must lie within its storage, with its offset and strides.

mod archive;
mod dtype;
mod pickle;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use archive::Archive;
use dtype::ElementType;
use pickle::{Id, StorageKey, TensorView, Value, Values};

/// The longest pickle that is read, in bytes. A tensor takes about 200.
const LONGEST_PICKLE: u64 = 32 << 20;

/// The number at the beginning of a file in the layout from before version 1.6. It is a separate
/// pickle.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;

/// The version of that layout.
const VERSION: i128 = 1001;

/// The largest depth of nested dicts.
const DEEPEST: usize = 8;

/// The largest number of items of all dicts that are searched for tensors. A dict can be an item of
/// many dicts, and is then searched many times.
const MOST_ITEMS: usize = 1 << 18;

/// The longest name of a tensor.
const LONGEST_NAME: usize = 1024;

/// The largest number of elements of a tensor that has more elements than its storage (some of its
/// strides are 0).
const LARGEST_EXPANDED: u64 = 1 << 24;

/// The reason why a file is refused.
#[derive(Debug)]
pub(crate) struct Refusal(String);

impl Refusal {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    pub(crate) fn into_reason(self) -> String {
        self.0
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::new("it ends early"),
            _ => Self(error.to_string()),
        }
    }
}

/// An open state dict. The whole file has been checked. Values are read on request.
pub(crate) struct StateDict {
    file: Mutex<File>,
    tensors: BTreeMap<String, Stored>,
}

/// A tensor, and the position of its storage in the file.
struct Stored {
    element: ElementType,
    /// The byte at which the part of the storage begins.
    start: u64,
    offset: u64,
    shape: Vec<usize>,
    strides: Vec<u64>,
    /// The number of elements from the first to the last, both included.
    span: u64,
}

/// The reason why values cannot be read.
pub(crate) enum NoValues {
    /// The type is not a float. The text is its name.
    Type(&'static str),
    Unreadable(String),
}

impl StateDict {
    /// Opens a file and checks all of it.
    pub(crate) fn open(path: &Path) -> Result<Self, Refusal> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut start = Vec::new();
        file.by_ref().take(512).read_to_end(&mut start)?;
        let (values, storages) = if start.starts_with(archive::START) {
            read_archive(&mut file, length)?
        } else if start.get(257..262) == Some(b"ustar") {
            return Err(Refusal::new(
                "it has the tar layout from before PyTorch 0.1.10: load it with a later version and save it again",
            ));
        } else {
            read_sequence(&mut file, length)?
        };
        let mut walk = Walk {
            values: &values,
            items: 0,
            views: BTreeMap::new(),
        };
        walk.dict(values.root(), "", 1)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in walk.views {
            let tensor = place(view, &storages)
                .map_err(|Refusal(reason)| Refusal(format!("the tensor {name:?} {reason}")))?;
            tensors.insert(name, tensor);
        }
        Ok(Self {
            file: Mutex::new(file),
            tensors,
        })
    }

    /// Returns the names of the tensors, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Returns the shape of a tensor.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| &tensor.shape[..])
    }

    /// Returns the values of a tensor in row-major order, or `None` if no tensor has this name.
    pub(crate) fn values(&self, name: &str) -> Option<Result<Vec<f32>, NoValues>> {
        self.tensors.get(name).map(|tensor| self.read(tensor))
    }

    fn read(&self, tensor: &Stored) -> Result<Vec<f32>, NoValues> {
        if let ElementType::Other(name, _) = tensor.element {
            return Err(NoValues::Type(name));
        }
        let count: usize = tensor.shape.iter().product();
        if count == 0 {
            return Ok(Vec::new());
        }
        let size = tensor.element.size();
        let unreadable = |error: std::io::Error| NoValues::Unreadable(error.to_string());
        let mut bytes = vec![0; (tensor.span * size) as usize];
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(tensor.start + tensor.offset * size))
                .map_err(unreadable)?;
            file.read_exact(&mut bytes).map_err(unreadable)?;
        }
        let values = tensor.element.to_f32(&bytes).map_err(NoValues::Type)?;
        if values.len() == count && is_row_major(tensor) {
            return Ok(values);
        }
        Ok(gather(&values, &tensor.shape, &tensor.strides))
    }
}

/// Returns whether the elements lie in row-major order without gaps.
fn is_row_major(tensor: &Stored) -> bool {
    let mut expected = 1;
    tensor
        .shape
        .iter()
        .zip(&tensor.strides)
        .rev()
        .all(|(&side, &stride)| {
            let fits = side == 1 || stride == expected;
            expected *= side as u64;
            fits
        })
}

/// Returns the elements of a tensor in row-major order.
fn gather(values: &[f32], shape: &[usize], strides: &[u64]) -> Vec<f32> {
    let count = shape.iter().product();
    let mut gathered = Vec::with_capacity(count);
    let mut index = vec![0usize; shape.len()];
    let mut at = 0usize;
    loop {
        gathered.push(values[at]);
        let mut axis = shape.len();
        loop {
            let Some(next) = axis.checked_sub(1) else {
                return gathered;
            };
            axis = next;
            index[axis] += 1;
            // The stride of an axis of one element can be any number.
            at = at.wrapping_add(strides[axis] as usize);
            if index[axis] < shape[axis] {
                break;
            }
            at = at.wrapping_sub(index[axis].wrapping_mul(strides[axis] as usize));
            index[axis] = 0;
        }
    }
}

/// The positions of the storages: the first byte and the number of bytes of each, by its key.
type Storages = HashMap<String, (u64, u64)>;

fn read_archive(file: &mut File, length: u64) -> Result<(Values, Storages), Refusal> {
    let archive = Archive::open(file, length)?;
    let folder = archive.folder()?;
    let read = |file: &mut File, name: &str| -> Result<Option<Vec<u8>>, Refusal> {
        let name = format!("{folder}{name}");
        let Some(entry) = archive.entry(&name) else {
            return Ok(None);
        };
        if entry.len > LONGEST_PICKLE {
            return Err(Refusal::new(format!("`{name}` has {} bytes", entry.len)));
        }
        entry.verify(file, &name)?;
        let mut bytes = vec![0; entry.len as usize];
        file.seek(SeekFrom::Start(entry.start))?;
        file.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    };
    if let Some(order) = read(file, "byteorder")?
        && order != b"little"
    {
        return Err(Refusal::new("its numbers are not little-endian"));
    }
    let bytes = read(file, "data.pkl")?.unwrap_or_default();
    let (values, rest) = pickle::read(&bytes)?;
    if !rest.is_empty() {
        return Err(Refusal::new("its pickle continues after its end"));
    }
    let mut storages = HashMap::new();
    for storage in values.storages() {
        if storages.contains_key(&storage.key) {
            continue;
        }
        let name = format!("{folder}data/{}", storage.key);
        let entry = archive.entry(&name);
        let entry =
            entry.ok_or_else(|| Refusal::new(format!("the storage `{name}` is missing")))?;
        entry.verify(file, &name)?;
        storages.insert(storage.key.clone(), (entry.start, entry.len));
    }
    Ok((values, storages))
}

/// Reads the layout from before version 1.6: five pickles, then the storages one after the other.
fn read_sequence(file: &mut File, length: u64) -> Result<(Values, Storages), Refusal> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.by_ref().take(LONGEST_PICKLE).read_to_end(&mut bytes)?;
    let unknown = || Refusal::new("it is not a file that torch.save writes");

    let (magic, rest) = pickle::read(&bytes).map_err(|_| unknown())?;
    let (version, rest) = match magic.get(magic.root()) {
        Value::Int(MAGIC) => pickle::read(rest)?,
        _ => return Err(unknown()),
    };
    if !matches!(version.get(version.root()), Value::Int(VERSION)) {
        return Err(Refusal::new("the version of its layout is unknown"));
    }
    let (system, rest) = pickle::read(rest)?;
    if system.is_true("little_endian") != Some(true) {
        return Err(Refusal::new("its numbers are not little-endian"));
    }
    let (values, rest) = pickle::read(rest)?;
    let (keys, rest) = pickle::read(rest)?;
    let Value::List(keys_in_order) = keys.get(keys.root()) else {
        return Err(Refusal::new("it does not list its storages"));
    };

    let described: HashMap<&str, &StorageKey> = values
        .storages()
        .map(|storage| (&storage.key[..], storage))
        .collect();
    let mut storages = HashMap::new();
    let mut at = (bytes.len() - rest.len()) as u64;
    for &key in keys_in_order {
        let Value::Text(key) = keys.get(key) else {
            return Err(Refusal::new("it does not list its storages"));
        };
        let storage = described.get(&key[..]);
        let storage =
            storage.ok_or_else(|| Refusal::new("it lists a storage that no tensor uses"))?;
        let mut count = [0; 8];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut count)?;
        let len = u64::from_le_bytes(count).checked_mul(storage.element.size());
        let len = len.ok_or_else(|| Refusal::new("it ends early"))?;
        at += 8;
        if len > length - at {
            return Err(Refusal::new("it ends early"));
        }
        if storages.insert(key.clone(), (at, len)).is_some() {
            return Err(Refusal::new("it lists a storage twice"));
        }
        at += len;
    }
    if at != length {
        return Err(Refusal::new("it continues after its last storage"));
    }
    Ok((values, storages))
}

impl Values {
    /// Returns the storages that tensors refer to.
    fn storages(&self) -> impl Iterator<Item = &StorageKey> {
        self.all().filter_map(|value| match value {
            Value::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    /// Returns the value of a boolean item of the root, which must be a dict.
    fn is_true(&self, name: &str) -> Option<bool> {
        let Value::Dict(items) = self.get(self.root()) else {
            return None;
        };
        items
            .iter()
            .find_map(|&(key, value)| match (self.get(key), self.get(value)) {
                (Value::Text(key), &Value::Bool(value)) if key == name => Some(value),
                _ => None,
            })
    }
}

/// A search for the tensors of a dict and of all dicts in it.
struct Walk<'a> {
    values: &'a Values,
    items: usize,
    views: BTreeMap<String, &'a TensorView>,
}

impl Walk<'_> {
    fn dict(&mut self, id: Id, name: &str, depth: usize) -> Result<(), Refusal> {
        let values = self.values;
        let Value::Dict(items) = values.get(id) else {
            return Err(Refusal::new("it is not a dict of tensors"));
        };
        if depth > DEEPEST {
            return Err(Refusal::new(format!(
                "its dicts are nested more than {DEEPEST} levels deep"
            )));
        }
        for &(key, value) in items {
            self.items += 1;
            if self.items > MOST_ITEMS {
                return Err(Refusal::new(format!("it has more than {MOST_ITEMS} items")));
            }
            let key = match values.get(key) {
                Value::Text(key) if key.len() > LONGEST_NAME => return Err(too_long()),
                Value::Text(key) => key.clone(),
                Value::Int(key) => key.to_string(),
                _ => continue,
            };
            let name = match name {
                "" => key,
                name => format!("{name}.{key}"),
            };
            if name.len() > LONGEST_NAME {
                return Err(too_long());
            }
            match values.get(value) {
                Value::Dict(_) => self.dict(value, &name, depth + 1)?,
                Value::Tensor(view) => {
                    if self.views.contains_key(&name) {
                        return Err(Refusal::new(format!(
                            "it has two tensors with the name {name:?}"
                        )));
                    }
                    self.views.insert(name, view);
                }
                // Numbers, texts and lists next to the tensors are ignored.
                _ => {}
            }
        }
        Ok(())
    }
}

fn too_long() -> Refusal {
    Refusal::new(format!("it has a name of more than {LONGEST_NAME} bytes"))
}

/// Checks that a tensor lies within its storage.
fn place(view: &TensorView, storages: &Storages) -> Result<Stored, Refusal> {
    let storage = &view.storage;
    let &(start, len) = storages
        .get(&storage.key)
        .ok_or_else(|| Refusal::new("refers to a storage that is missing"))?;
    let size = storage.element.size();
    if storage.whole.checked_mul(size) != Some(len) {
        return Err(Refusal::new(format!(
            "needs a storage of {} elements of {size} bytes, but the file has {len} bytes of it",
            storage.whole
        )));
    }
    if view.shape.len() != view.strides.len() {
        return Err(Refusal::new("has different numbers of strides and sides"));
    }
    let shape: Option<Vec<usize>> = view.shape.iter().map(|&n| n.try_into().ok()).collect();
    let count = view
        .shape
        .iter()
        .try_fold(1, |all: u64, &n| all.checked_mul(n));
    let (Some(shape), Some(count)) = (shape, count) else {
        return Err(Refusal::new("has an impossible size"));
    };
    // The position of the last element. Its computation must not overflow.
    let mut last = view.shape.iter().zip(&view.strides);
    let last = last.try_fold(0u64, |last, (&side, &stride)| {
        last.checked_add(side.saturating_sub(1).checked_mul(stride)?)
    });
    let end = last.and_then(|last| last.checked_add(1)?.checked_add(view.offset));
    if count > 0 && end.is_none_or(|end| end > storage.len) {
        return Err(Refusal::new("reaches past the end of its storage"));
    }
    if count > storage.len.max(LARGEST_EXPANDED) {
        return Err(Refusal::new(format!(
            "has {count} elements, but its storage has {}",
            storage.len
        )));
    }
    Ok(Stored {
        element: storage.element,
        start: start + storage.start * size,
        offset: view.offset,
        shape,
        strides: view.strides.clone(),
        span: last.map_or(0, |last| last + 1),
    })
}
