//! Files made to mislead a reader of state dicts. Each is refused with one line, quickly and with
//! little memory.

mod zip;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use chimle_weights::WeightFile;
use zip::Zip;

/// Returns the pickle of `{"w": tensor}`, with a storage `0` of `elements` floats.
fn pickle(elements: u32, offset: u32, shape: &[u32], strides: &[u32]) -> Vec<u8> {
    let mut bytes = b"\x80\x02}X\x01\0\0\0w".to_vec();
    bytes.extend(tensor(elements, offset, shape, strides));
    bytes.extend(b"s.");
    bytes
}

fn tensor(elements: u32, offset: u32, shape: &[u32], strides: &[u32]) -> Vec<u8> {
    let number = |number: u32| [b"J".to_vec(), number.to_le_bytes().to_vec()].concat();
    let tuple = |numbers: &[u32]| {
        let numbers: Vec<u8> = numbers.iter().flat_map(|&n| number(n)).collect();
        [b"(".to_vec(), numbers, b"t".to_vec()].concat()
    };
    let mut bytes = b"ctorch._utils\n_rebuild_tensor_v2\n(".to_vec();
    bytes.extend(b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu");
    bytes.extend(number(elements));
    bytes.extend(b"tQ");
    bytes.extend(number(offset));
    bytes.extend(tuple(shape));
    bytes.extend(tuple(strides));
    bytes.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    bytes
}

fn floats(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| (n as f32).to_le_bytes()).collect()
}

fn archive(pickle: &[u8], storage: &[u8]) -> Zip {
    let mut zip = Zip::default();
    zip.add("archive/data.pkl", pickle);
    zip.add("archive/byteorder", b"little");
    zip.add("archive/data/0", storage);
    zip
}

fn open(bytes: &[u8]) -> Result<WeightFile, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.pth");
    fs::write(&path, bytes).unwrap();
    WeightFile::open(&path).map_err(|error| error.to_string())
}

/// Checks that the file is refused at once, with one line that names the file and contains the
/// words.
#[track_caller]
fn refuses(bytes: &[u8], words: &str) {
    let begun = Instant::now();
    let Err(message) = open(bytes) else {
        panic!("the file was opened");
    };
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert!(message.contains("hostile.pth"), "{message}");
    assert!(message.contains(words), "{message}");
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn the_files_of_these_tests_are_good_before_they_are_changed() {
    let file = open(&archive(&pickle(6, 0, &[2, 3], &[3, 1]), &floats(6)).bytes()).unwrap();
    let values = file.data("w", &[2, 3]).unwrap();
    assert_eq!(
        values.into_vec::<f32>().unwrap(),
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    );
    // A tensor with other strides, which begins at the second element.
    let file = open(&archive(&pickle(7, 1, &[2, 3], &[1, 2]), &floats(7)).bytes()).unwrap();
    let values = file.data("w", &[2, 3]).unwrap();
    assert_eq!(
        values.into_vec::<f32>().unwrap(),
        [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]
    );
}

#[test]
fn a_weight_of_zeros_is_no_damage() {
    let zeros = vec![0; 24];
    let file = open(&archive(&pickle(6, 0, &[2, 3], &[3, 1]), &zeros).bytes()).unwrap();
    assert_eq!(
        file.data("w", &[2, 3]).unwrap().into_vec::<f32>().unwrap(),
        [0.0; 6]
    );
}

#[test]
fn a_storage_that_is_too_short_is_refused() {
    let description = pickle(6, 0, &[2, 3], &[3, 1]);
    refuses(&archive(&description, &floats(5)).bytes(), "20 bytes");
    refuses(&archive(&description, &[]).bytes(), "0 bytes");
    let mut without = Zip::default();
    without.add("archive/data.pkl", &description);
    refuses(&without.bytes(), "`archive/data/0` is missing");
}

#[test]
fn a_wrong_checksum_is_refused() {
    let whole = archive(&pickle(6, 0, &[2, 3], &[3, 1]), &floats(6)).bytes();
    // The last number.
    let number = 5.0f32.to_le_bytes();
    let at = whole.windows(4).position(|bytes| bytes == number).unwrap();
    let mut damaged = whole.clone();
    damaged[at] ^= 1;
    refuses(&damaged, "the checksum of `archive/data/0` is wrong");
    let at = whole
        .windows(7)
        .position(|bytes| bytes == b"storage")
        .unwrap();
    let mut damaged = whole;
    damaged[at] ^= 1;
    refuses(&damaged, "the checksum of `archive/data.pkl` is wrong");
}

#[test]
fn a_tensor_must_lie_within_its_storage() {
    let with = |offset, shape: &[u32], strides: &[u32]| {
        archive(&pickle(6, offset, shape, strides), &floats(6)).bytes()
    };
    refuses(&with(1, &[2, 3], &[3, 1]), "past the end");
    refuses(&with(0, &[2, 3], &[4, 1]), "past the end");
    refuses(&with(0, &[7], &[1]), "past the end");
    refuses(&with(0, &[2, 2], &[1 << 30, 1 << 30]), "past the end");
    refuses(&with(0, &[2, 3], &[1]), "strides");
    // 2^30 copies of one number.
    refuses(&with(0, &[1 << 30], &[0]), "1073741824 elements");
    refuses(&with(0, &[1 << 30; 5], &[0; 5]), "impossible");
}

#[test]
fn sizes_that_the_file_cannot_have_are_refused() {
    let whole = || archive(&pickle(6, 0, &[2, 3], &[3, 1]), &floats(6));
    for claimed in [25, 1 << 20, u32::MAX.into(), 1 << 62, u64::MAX] {
        for entry in 0..3 {
            let mut zip = whole();
            zip.claim(entry, claimed);
            refuses(&zip.bytes(), "");
        }
    }
    let mut zip = whole();
    zip.is_wide = true;
    assert!(open(&zip.bytes()).is_ok());
    for claimed in [0, 1, 4, 1 << 40, u64::MAX] {
        let mut zip = whole();
        zip.is_wide = true;
        zip.claimed_entries = Some(claimed);
        refuses(&zip.bytes(), "directory");
    }
}

#[test]
fn compressed_entries_are_refused_before_they_are_inflated() {
    let mut zip = archive(&pickle(6, 0, &[2, 3], &[3, 1]), &floats(6));
    zip.compressed = Some(0);
    refuses(&zip.bytes(), "compressed");
}

#[test]
fn entries_over_each_other_are_refused() {
    let mut zip = archive(&pickle(6, 0, &[2, 3], &[3, 1]), &vec![0; 1 << 20]);
    for copy in 1..200 {
        zip.add_again(2, &format!("archive/data/{copy}"));
    }
    refuses(&zip.bytes(), "larger than the file");
}

#[test]
fn a_memo_that_doubles_takes_no_memory() {
    // A tuple that holds a tuple twice, nested thirty times. Copies would be 2^30 values.
    let mut bytes = b"\x80\x02)q\0".to_vec();
    for _ in 0..30 {
        bytes.extend(b"h\0h\0\x86q\0");
    }
    bytes.extend(b".");
    refuses(&archive(&bytes, &[]).bytes(), "not a dict of tensors");

    // The same with dicts, which are searched for tensors. The file holds about 2^7 items, but the
    // search would visit 2^28.
    let mut bytes = b"\x80\x02}q\0".to_vec();
    for _ in 0..7 {
        bytes.extend(b"}(");
        for key in 0..16 {
            bytes.extend([b'K', key, b'h', 0]);
        }
        bytes.extend(b"uq\0");
    }
    bytes.extend(b".");
    refuses(&archive(&bytes, &[]).bytes(), "items");

    // One list of many pairs, from which a dict is made many times.
    let mut bytes = b"\x80\x02](".to_vec();
    bytes.extend(b"K\0N\x86".repeat(100_000));
    bytes.extend(b"e\x85q\0");
    bytes.extend(b"ccollections\nOrderedDict\nq\x01");
    bytes.extend(b"h\x01h\0R".repeat(100_000));
    bytes.extend(b".");
    refuses(&archive(&bytes, &[]).bytes(), "values");

    // A tensor with a shape of many sides.
    let shape = [1; 1000];
    refuses(
        &archive(&pickle(6, 0, &shape, &shape), &floats(6)).bytes(),
        "64 axes",
    );
    // A shape of 64 sides, from which tensors are made again and again: 1 kB per 5 bytes of the pickle.
    let ones = [1; 64];
    let mut bytes = [&b"\x80\x02"[..], &tensor(6, 0, &ones, &ones)].concat();
    // The function and its arguments are stored in the memo, and the call is repeated.
    let arguments = bytes
        .iter()
        .position(|&byte| byte == b'(')
        .expect("the arguments");
    bytes.splice(arguments..arguments, *b"q\0");
    assert_eq!(bytes.pop(), Some(b'R'));
    bytes.extend(b"q\x01R");
    bytes.extend(b"h\0h\x01R".repeat(40_000));
    bytes.extend(b".");
    refuses(&archive(&bytes, &floats(6)).bytes(), "values");
}

/// PyTorch marks a tensor as negated or conjugated instead of computing its values.
#[test]
fn a_tensor_whose_values_are_to_be_negated_is_refused() {
    let marked = |metadata: &[u8]| {
        let mut bytes = pickle(6, 0, &[2, 3], &[3, 1]);
        // The end of the arguments, and then of the call, of the item and of the pickle.
        let end = bytes.len() - 4;
        assert_eq!(&bytes[end..], b"tRs.");
        bytes.splice(end..end, metadata.iter().copied());
        archive(&bytes, &floats(6)).bytes()
    };
    assert!(open(&marked(b"}")).is_ok());
    assert!(open(&marked(b"N")).is_ok());
    refuses(&marked(b"}X\x03\0\0\0neg\x88s"), "negated");
    refuses(&marked(b"}X\x04\0\0\0conj\x88s"), "negated");
    refuses(&marked(b"K\x01"), "wrong way");
    refuses(&marked(b"}N"), "wrong way");
}

#[test]
fn values_within_themselves_are_refused() {
    refuses(
        &archive(b"\x80\x02}q\0X\x01\0\0\0ah\0s.", &[]).bytes(),
        "deep",
    );
    let nested = [
        b"\x80\x02".to_vec(),
        b")\x85".repeat(1 << 20),
        b".".to_vec(),
    ]
    .concat();
    refuses(&archive(&nested, &[]).bytes(), "not a dict of tensors");
    let nested = [b"\x80\x02".to_vec(), b"]".repeat(4 << 20), b".".to_vec()].concat();
    refuses(&archive(&nested, &[]).bytes(), "values");
    let marks = [b"\x80\x02".to_vec(), b"(".repeat(4 << 20), b".".to_vec()].concat();
    refuses(&archive(&marks, &[]).bytes(), "values");
    let memo = [
        b"\x80\x02)".to_vec(),
        b"\x94".repeat(4 << 20),
        b".".to_vec(),
    ]
    .concat();
    refuses(&archive(&memo, &[]).bytes(), "values");
}

#[test]
fn a_pickle_that_is_too_long_is_refused() {
    let text = vec![b'N'; 33 << 20];
    refuses(&archive(&text, &[]).bytes(), "34603008 bytes");
}

#[test]
fn functions_that_no_state_dict_needs_are_refused_by_name() {
    let calls: [(&[u8], &str); 4] = [
        (b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.", "os.system"),
        (
            b"\x80\x02cbuiltins\neval\nX\x01\0\0\x001\x85R.",
            "builtins.eval",
        ),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "posix.system"),
        (b"\x80\x02c\x1b]0;evil\x07\nname\n.", "\\u{1b}"),
    ];
    for (bytes, name) in calls {
        refuses(&archive(bytes, &[]).bytes(), name);
    }
    // Opcodes: INST, OBJ, NEWOBJ, EXT1, PERSID, DUP, BYTEARRAY8.
    for opcode in [b'i', b'o', 0x81, 0x82, b'P', b'2', 0x96] {
        let bytes = [0x80, 2, b'}', opcode, b'.'];
        refuses(&archive(&bytes, &[]).bytes(), &format!("0x{opcode:02x}"));
    }
}

#[test]
fn the_tar_layout_is_refused_and_named() {
    let mut tar = vec![0; 1024];
    tar[..8].copy_from_slice(b"sys_info");
    tar[257..262].copy_from_slice(b"ustar");
    refuses(&tar, "tar layout");
}

/// Returns a file in the layout from before version 1.6: its start, its pickle, its keys and its
/// storages.
fn sequence(pickle: &[u8], keys: &[u8], storages: &[u8]) -> Vec<u8> {
    let start = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";
    let system = b"\x80\x02}X\x0d\0\0\0little_endian\x88s.";
    [&start[..], system, pickle, keys, storages].concat()
}

#[test]
fn the_layout_before_version_1_6_is_checked_too() {
    let keys = b"\x80\x02]X\x01\0\0\x000a.";
    let description = pickle(6, 0, &[2, 3], &[3, 1]);
    let storages = [6u64.to_le_bytes().to_vec(), floats(6)].concat();
    let whole = sequence(&description, keys, &storages);
    let file = open(&whole).unwrap();
    let values = file.data("w", &[2, 3]).unwrap().into_vec::<f32>().unwrap();
    assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);

    for length in 0..whole.len() {
        refuses(&whole[..length], "");
    }
    refuses(&[&whole[..], b"\0"].concat(), "after its last storage");
    refuses(&sequence(&description, b"\x80\x02].", &[]), "missing");
    for count in [5, 7, 1 << 61, u64::MAX] {
        let storages = [count.to_le_bytes().to_vec(), floats(6)].concat();
        refuses(&sequence(&description, keys, &storages), "");
    }
    let twice = b"\x80\x02](X\x01\0\0\x000X\x01\0\0\x000e.";
    refuses(
        &sequence(&description, twice, &[&storages[..], &storages].concat()),
        "twice",
    );
    let big = whole
        .clone()
        .into_iter()
        .map(|b| if b == 0x88 { 0x89 } else { b });
    refuses(&big.collect::<Vec<u8>>(), "little-endian");
}

/// A part of a storage, as versions before 1.0 wrote it.
#[test]
fn a_part_of_a_storage_begins_where_it_says() {
    let part = |start: u8, len: u8| {
        let whole = pickle(6, 0, &[2], &[1]);
        // The part (key, start, length) goes before the end of the persistent identifier's tuple.
        let at = whole.windows(2).position(|bytes| bytes == b"tQ").unwrap();
        let part = [&b"X\x01\0\0\x001K"[..], &[start, b'K', len], b"\x87"].concat();
        let description = [&whole[..at], &part, &whole[at..]].concat();
        archive(&description, &floats(6)).bytes()
    };
    let file = open(&part(3, 2)).unwrap();
    assert_eq!(
        file.data("w", &[2]).unwrap().into_vec::<f32>().unwrap(),
        [3.0, 4.0]
    );
    refuses(&part(3, 1), "past the end");
    refuses(&part(3, 4), "past the end");
}

#[test]
fn another_kind_of_value_is_refused() {
    for (bytes, words) in [
        (&b"\x80\x02]."[..], "not a dict of tensors"),
        (&tensor_alone(), "not a dict of tensors"),
        (b"\x80\x02", "ends early"),
        (b"", "ends early"),
        (b"\x80\x02.", "not there"),
        (b"\x80\x02}h\x05.", "never stored"),
        (b"\x80\x02}K\x01a.", "not a list"),
        (b"\x80\x02}(K\x01u.", "without a value"),
        (b"\x80\x02})Nb.", "attributes"),
        (b"\x80\x02}. ", "after its end"),
    ] {
        refuses(&archive(bytes, &floats(6)).bytes(), words);
    }
}

fn tensor_alone() -> Vec<u8> {
    [
        b"\x80\x02".to_vec(),
        tensor(6, 0, &[6], &[1]),
        b".".to_vec(),
    ]
    .concat()
}

/// Changes bytes of files that PyTorch wrote, from a fixed seed. If the layout has checksums, a
/// changed file that still opens must have the same values.
#[test]
fn changed_files_are_refused_or_have_the_same_values() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state_dicts");
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("changed.pth");
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    let (mut files, mut refused) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let original = entry.unwrap().path();
        if original
            .extension()
            .is_none_or(|extension| extension != "pth")
        {
            continue;
        }
        files += 1;
        let has_checksums = !original.to_str().unwrap().contains("legacy");
        let expected = everything(&WeightFile::open(&original).unwrap());
        let whole = fs::read(&original).unwrap();
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                match random(6) {
                    0 => bytes.truncate(at.max(1)),
                    1 => bytes.insert(at, random(256) as u8),
                    2 => drop(bytes.remove(at)),
                    3 => bytes[at] = 0xff,
                    _ => bytes[at] ^= 1 << random(8),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            fs::write(&path, &bytes).unwrap();
            match WeightFile::open(&path) {
                Ok(file) => {
                    let found = everything(&file);
                    assert!(
                        !has_checksums || found == expected,
                        "{}",
                        original.display()
                    );
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().contains('\n'), "{error}");
                }
            }
        }
    }
    assert_eq!(files, 18);
    assert!(refused > 1000, "only {refused} changed files were refused");
}

/// Reads everything from a file.
fn everything(file: &WeightFile) -> Vec<(String, Vec<usize>, Option<Vec<u32>>)> {
    let one = |name: String| {
        let shape = file.shape(&name).unwrap();
        let values = file.data(&name, &shape);
        let values = values.map(|values| values.iter::<f32>().map(f32::to_bits).collect());
        (name, shape, values.ok())
    };
    file.names().into_iter().map(one).collect()
}
