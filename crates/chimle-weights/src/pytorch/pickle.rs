//! A machine for the part of Python's pickle language in which state dicts are written.
//!
//! Only the listed opcodes and globals are known, and no function is ever called. All values lie in
//! one list and refer to each other by index. So a value that is used twice is not copied, a value
//! that contains itself is harmless, and the memory is at most a fixed multiple of the pickle's
//! length.

use std::collections::HashMap;

use super::Refusal;
use super::dtype::ElementType;

/// The largest number of values that a pickle may make, store or copy. A tensor takes about
/// fifteen.
const MOST_VALUES: usize = 1 << 21;

/// The largest number of axes of a tensor, which is PyTorch's own limit.
const MOST_AXES: usize = 64;

/// The longest key of a storage, in bytes. PyTorch's keys are decimal numbers.
const LONGEST_KEY: usize = 64;

/// The index of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u32);

/// A value on the machine's list.
#[derive(Clone, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i128),
    /// A floating-point number. No state dict needs its value.
    Float,
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(StorageKey),
    Tensor(Box<TensorView>),
}

/// The functions and classes of Python that a state dict may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    Size,
    RebuildTensor,
    RebuildParameter,
    Storage(ElementType),
}

impl Global {
    fn named(module: &str, name: &str) -> Result<Self, Refusal> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch", "Size") => Self::Size,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Self::RebuildParameter
            }
            ("torch" | "torch.storage", storage) => {
                let known = ElementType::of_storage(storage);
                Self::Storage(known.ok_or_else(|| unknown_global(module, name))?)
            }
            _ => return Err(unknown_global(module, name)),
        })
    }
}

fn called_wrongly() -> Refusal {
    Refusal::new("its pickle calls a function in a wrong way")
}

fn unknown_global(module: &str, name: &str) -> Refusal {
    Refusal::new(format!(
        "it needs {:?}, which is not part of a plain state dict of tensors",
        format!("{module}.{name}")
    ))
}

/// A storage that a tensor refers to, and the part of the storage that it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StorageKey {
    pub(super) key: String,
    pub(super) element: ElementType,
    /// The number of elements of the whole storage.
    pub(super) whole: u64,
    /// The index of the element of the whole storage at which the part begins.
    pub(super) start: u64,
    /// The number of elements of the part.
    pub(super) len: u64,
}

/// A tensor as the pickle describes it.
#[derive(Clone, Debug)]
pub(super) struct TensorView {
    pub(super) storage: StorageKey,
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    pub(super) strides: Vec<u64>,
}

/// The values of a pickle.
#[derive(Debug)]
pub(super) struct Values {
    values: Vec<Value>,
    root: Id,
}

impl Values {
    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn get(&self, id: Id) -> &Value {
        &self.values[id.0 as usize]
    }

    /// Returns all values, in the order in which they were made.
    pub(super) fn all(&self) -> impl Iterator<Item = &Value> {
        self.values.iter()
    }
}

/// Reads one pickle, and returns its values and the bytes after it.
pub(super) fn read(bytes: &[u8]) -> Result<(Values, &[u8]), Refusal> {
    let mut machine = Machine {
        rest: bytes,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        copied: 0,
    };
    loop {
        if let Some(root) = machine.step()? {
            let values = Values {
                values: machine.values,
                root,
            };
            return Ok((values, machine.rest));
        }
    }
}

struct Machine<'a> {
    rest: &'a [u8],
    values: Vec<Value>,
    stack: Vec<Id>,
    /// The heights of the stack at which marks were set.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// The number of values copied so far: pairs of dicts, and sides and strides of tensors.
    copied: usize,
}

impl Machine<'_> {
    /// Executes one opcode. Returns the result at the end of the pickle.
    fn step(&mut self) -> Result<Option<Id>, Refusal> {
        let opcode = self.byte()?;
        match opcode {
            // PROTO and FRAME hold no information that is needed.
            0x80 => drop(self.byte()?),
            0x95 => drop(self.take(8)?),
            b'.' => return self.pop().map(Some),
            b'(' => {
                check_count(self.marks.len())?;
                self.marks.push(self.stack.len());
            }

            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'K' => {
                let number = self.byte()?;
                self.push(Value::Int(number.into()))?;
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()))?;
            }
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()))?;
            }
            // LONG1: two's complement of any length.
            0x8a => {
                let length = self.byte()?.into();
                let number = long(self.take(length)?)?;
                self.push(Value::Int(number))?;
            }
            b'G' => {
                self.take(8)?;
                self.push(Value::Float)?;
            }
            // SHORT_BINSTRING, which Python 2 writes, and SHORT_BINUNICODE.
            b'U' | 0x8c => {
                let length = self.byte()?.into();
                self.text(length)?;
            }
            // BINSTRING and BINUNICODE.
            b'T' | b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length.into())?;
            }

            b')' => self.push(Value::Tuple(vec![]))?,
            b']' => self.push(Value::List(vec![]))?,
            b'}' => self.push(Value::Dict(vec![]))?,
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.push(Value::Tuple(items))?;
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.set_items(&items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }

            b'q' => {
                let place = self.byte()?.into();
                self.remember(place)?;
            }
            b'r' => {
                let place = u32::from_le_bytes(self.array()?);
                self.remember(place)?;
            }
            // MEMOIZE: the next place of the memo.
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let place = self.byte()?.into();
                self.recall(place)?;
            }
            b'j' => {
                let place = u32::from_le_bytes(self.array()?);
                self.recall(place)?;
            }

            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(Global::named(&module, &name)?))?;
            }
            // STACK_GLOBAL.
            0x93 => {
                let names = self.pop_many(2)?;
                let global = Global::named(self.text_of(names[0])?, self.text_of(names[1])?)?;
                self.push(Value::Global(global))?;
            }
            b'R' => {
                let call = self.pop_many(2)?;
                let result = self.rebuild(call[0], call[1])?;
                self.stack.push(result);
            }
            // BUILD: the attributes of an OrderedDict, such as PyTorch's `_metadata`.
            b'b' => {
                self.pop()?;
                let target = self.peek()?;
                if !matches!(self.value(target), Value::Dict(_)) {
                    return Err(Refusal::new("it sets attributes of a value that has none"));
                }
            }
            // BINPERSID.
            b'Q' => {
                let named = self.pop()?;
                let storage = self.storage(named)?;
                self.push(Value::Storage(storage))?;
            }
            unknown => {
                return Err(Refusal::new(format!(
                    "its pickle has the opcode 0x{unknown:02x}, which no plain state dict has"
                )));
            }
        }
        Ok(None)
    }

    // The next bytes of the pickle.

    fn take(&mut self, length: usize) -> Result<&[u8], Refusal> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Refusal> {
        Ok(self.array::<1>()?[0])
    }

    fn line(&mut self) -> Result<String, Refusal> {
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.ok_or_else(cut_short)?)?;
        let line = std::str::from_utf8(line)
            .map_err(|_| not_text())?
            .to_owned();
        self.take(1)?;
        Ok(line)
    }

    fn text(&mut self, length: u64) -> Result<(), Refusal> {
        let length = usize::try_from(length).map_err(|_| cut_short())?;
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| not_text())?;
        let text = text.to_owned();
        self.push(Value::Text(text))
    }

    // The stack and the memo.

    fn new_value(&mut self, value: Value) -> Result<Id, Refusal> {
        check_count(self.values.len())?;
        let id = Id(self.values.len() as u32);
        self.values.push(value);
        Ok(id)
    }

    fn push(&mut self, value: Value) -> Result<(), Refusal> {
        let id = self.new_value(value)?;
        self.stack.push(id);
        Ok(())
    }

    /// Returns the height of the stack at the last mark. Values below this height must not be used.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn peek(&self) -> Result<Id, Refusal> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => Err(Refusal::new("its pickle uses a value that is not there")),
        }
    }

    fn pop(&mut self) -> Result<Id, Refusal> {
        let id = self.peek()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, Refusal> {
        let mut popped = Vec::with_capacity(count);
        for _ in 0..count {
            popped.push(self.pop()?);
        }
        popped.reverse();
        Ok(popped)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Refusal> {
        let mark = self.marks.pop();
        let mark =
            mark.ok_or_else(|| Refusal::new("its pickle needs a mark, and there is none"))?;
        Ok(self.stack.split_off(mark))
    }

    fn remember(&mut self, place: u32) -> Result<(), Refusal> {
        let id = self.peek()?;
        check_count(self.memo.len())?;
        self.memo.insert(place, id);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), Refusal> {
        let id = self.memo.get(&place).copied();
        let id =
            id.ok_or_else(|| Refusal::new("its pickle recalls a value that was never stored"))?;
        self.stack.push(id);
        Ok(())
    }

    // Containers.

    fn value(&self, id: Id) -> &Value {
        &self.values[id.0 as usize]
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), Refusal> {
        let list = self.peek()?;
        match &mut self.values[list.0 as usize] {
            Value::List(list) => list.extend(items),
            _ => {
                return Err(Refusal::new(
                    "its pickle appends to a value that is not a list",
                ));
            }
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), Refusal> {
        let dict = self.peek()?;
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(Refusal::new("its pickle has a key without a value"));
        };
        match &mut self.values[dict.0 as usize] {
            Value::Dict(dict) => dict.extend(pairs.iter().map(|&[key, value]| (key, value))),
            _ => {
                return Err(Refusal::new(
                    "its pickle sets an item of a value that is not a dict",
                ));
            }
        }
        Ok(())
    }

    // Storages and tensors.

    /// Returns the value that calling one of the known functions would give.
    fn rebuild(&mut self, function: Id, arguments: Id) -> Result<Id, Refusal> {
        let &Value::Global(function) = self.value(function) else {
            return Err(Refusal::new(
                "its pickle calls a value that is not a function",
            ));
        };
        let arguments = self.tuple(arguments)?;
        let value = match (function, arguments) {
            (Global::OrderedDict, []) => Value::Dict(vec![]),
            (Global::OrderedDict, &[items]) => {
                let pairs = self.pairs(items)?;
                self.copy(pairs.len())?;
                Value::Dict(pairs)
            }
            // A parameter is replaced by its tensor, and a size by its tuple.
            (Global::RebuildParameter, &[tensor, ..]) => {
                let Value::Tensor(_) = self.value(tensor) else {
                    return Err(Refusal::new("it has a parameter that is not a tensor"));
                };
                return Ok(tensor);
            }
            (Global::Size, &[size]) => return self.tuple(size).map(|_| size),
            (Global::RebuildTensor, &[storage, offset, shape, strides, ref rest @ ..]) => {
                // The rest: whether the tensor needs a gradient, its hooks, and its metadata.
                match rest {
                    [] | [_] | [_, _] => {}
                    &[_, _, metadata] => self.check_metadata(metadata)?,
                    _ => return Err(called_wrongly()),
                }
                let Value::Storage(storage) = self.value(storage) else {
                    return Err(Refusal::new("it has a tensor without a storage"));
                };
                let tensor = TensorView {
                    storage: storage.clone(),
                    offset: self.count(offset)?,
                    shape: self.counts(shape)?,
                    strides: self.counts(strides)?,
                };
                self.copy(tensor.shape.len() + tensor.strides.len())?;
                Value::Tensor(Box::new(tensor))
            }
            _ => return Err(called_wrongly()),
        };
        self.new_value(value)
    }

    /// Counts the values that a call copies from its arguments. A short pickle can repeat the call many
    /// times.
    fn copy(&mut self, count: usize) -> Result<(), Refusal> {
        self.copied += count;
        check_count(self.copied)
    }

    /// Checks that a tensor's metadata is empty. In the metadata, PyTorch marks tensors whose values
    /// must be negated or conjugated when they are read.
    fn check_metadata(&self, metadata: Id) -> Result<(), Refusal> {
        match self.value(metadata) {
            Value::None => Ok(()),
            Value::Dict(items) if items.is_empty() => Ok(()),
            Value::Dict(_) => Err(Refusal::new(
                "it has a tensor whose values must be negated or conjugated: save the copy that `resolve_neg()` or `resolve_conj()` returns",
            )),
            _ => Err(called_wrongly()),
        }
    }

    /// Returns the storage that a persistent identifier names: `("storage", type, key, device,
    /// elements)`. Before version 1.6, a sixth item could name a part: `(key, first element,
    /// elements)`.
    fn storage(&self, named: Id) -> Result<StorageKey, Refusal> {
        let wrong = || Refusal::new("it refers to a value that is not a storage");
        let (&[kind, element, key, _, whole], part) = self
            .tuple(named)?
            .split_first_chunk::<5>()
            .ok_or_else(wrong)?;
        let &Value::Global(Global::Storage(element)) = self.value(element) else {
            return Err(wrong());
        };
        if self.text_of(kind)? != "storage" {
            return Err(wrong());
        }
        let whole = self.count(whole)?;
        let (start, len) = match part {
            [] => (0, whole),
            &[part] => match self.value(part) {
                Value::None => (0, whole),
                Value::Tuple(part) => match part[..] {
                    [_, start, len] => (self.count(start)?, self.count(len)?),
                    _ => return Err(wrong()),
                },
                _ => return Err(wrong()),
            },
            _ => return Err(wrong()),
        };
        if start.checked_add(len).is_none_or(|end| end > whole) {
            return Err(Refusal::new(
                "it refers to a part past the end of a storage",
            ));
        }
        let key = self.text_of(key)?;
        if key.len() > LONGEST_KEY {
            return Err(wrong());
        }
        Ok(StorageKey {
            key: key.to_owned(),
            element,
            whole,
            start,
            len,
        })
    }

    fn tuple(&self, id: Id) -> Result<&[Id], Refusal> {
        match self.value(id) {
            Value::Tuple(items) => Ok(items),
            _ => Err(Refusal::new(
                "it has a different value where a tuple is needed",
            )),
        }
    }

    fn text_of(&self, id: Id) -> Result<&str, Refusal> {
        match self.value(id) {
            Value::Text(text) => Ok(text),
            _ => Err(Refusal::new(
                "it has a different value where text is needed",
            )),
        }
    }

    fn count(&self, id: Id) -> Result<u64, Refusal> {
        match self.value(id) {
            Value::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        }
        .ok_or_else(|| Refusal::new("it has a different value where a count is needed"))
    }

    fn counts(&self, id: Id) -> Result<Vec<u64>, Refusal> {
        let items = self.tuple(id)?;
        if items.len() > MOST_AXES {
            return Err(Refusal::new(format!(
                "it has a tensor of more than {MOST_AXES} axes"
            )));
        }
        items.iter().map(|&item| self.count(item)).collect()
    }

    /// Returns the items of an OrderedDict that is made from a list of pairs, as Python 2 writes
    /// it.
    fn pairs(&self, items: Id) -> Result<Vec<(Id, Id)>, Refusal> {
        let wrong = || Refusal::new("it has a dict that is not made of pairs");
        let (Value::List(items) | Value::Tuple(items)) = self.value(items) else {
            return Err(wrong());
        };
        let pair = |&item: &Id| match self.value(item) {
            Value::List(pair) | Value::Tuple(pair) => match pair[..] {
                [key, value] => Ok((key, value)),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        };
        items.iter().map(pair).collect()
    }
}

/// Returns the number with these bytes in two's complement, the lowest byte first.
fn long(bytes: &[u8]) -> Result<i128, Refusal> {
    let mut extended = match bytes.last() {
        Some(&last) if last >= 0x80 => [0xff; 16],
        _ => [0; 16],
    };
    let place = extended.get_mut(..bytes.len());
    place
        .ok_or_else(|| Refusal::new("its pickle has a number of more than 128 bits"))?
        .copy_from_slice(bytes);
    Ok(i128::from_le_bytes(extended))
}

/// Checks that the number of values may grow by one.
fn check_count(count: usize) -> Result<(), Refusal> {
    if count < MOST_VALUES {
        return Ok(());
    }
    Err(Refusal::new(format!(
        "its pickle has more than {MOST_VALUES} values"
    )))
}

fn cut_short() -> Refusal {
    Refusal::new("its pickle ends early")
}

fn not_text() -> Refusal {
    Refusal::new("its pickle has text that is not UTF-8")
}
