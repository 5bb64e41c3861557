//! Files of weights: what loads, and which error each kind of damage gives.

use std::fs;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use burn::tensor::{bf16, f16};
use burn_flex::Flex;
use chimle_weights::{WeightFile, WeightsError};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

const NUMBERS: [f32; 4] = [0.5, -2.0, 0.0, 1024.0];

fn write(path: &Path, name: &str, dtype: Dtype, bytes: &[u8]) {
    let view = TensorView::new(dtype, vec![2, 2], bytes).unwrap();
    serialize_to_file([(name, view)], None, path).unwrap();
}

fn load(path: &Path, name: &str) -> Result<Tensor<Flex, 2>, WeightsError> {
    WeightFile::open(path)?.tensor(name, [2, 2], &Default::default())
}

#[test]
fn every_float_type_becomes_f32() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let f64s: Vec<u8> = NUMBERS
        .iter()
        .flat_map(|v| f64::from(*v).to_le_bytes())
        .collect();
    let f32s: Vec<u8> = NUMBERS.iter().flat_map(|v| v.to_le_bytes()).collect();
    let f16s: Vec<u8> = NUMBERS
        .iter()
        .flat_map(|v| f16::from_f32(*v).to_le_bytes())
        .collect();
    let bf16s: Vec<u8> = NUMBERS
        .iter()
        .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
        .collect();
    for (dtype, bytes) in [
        (Dtype::F64, f64s),
        (Dtype::F32, f32s),
        (Dtype::F16, f16s),
        (Dtype::BF16, bf16s),
    ] {
        write(&path, "w", dtype, &bytes);
        let values = load(&path, "w").unwrap().into_data();
        assert_eq!(values.into_vec::<f32>().unwrap(), NUMBERS);
    }
}

#[test]
fn errors_are_one_line_that_names_file_and_parameter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    write(&path, "w", Dtype::I32, &[1; 16]);
    let file = WeightFile::open(&path).unwrap();
    assert_eq!(file.names(), ["w"]);

    let missing_file = folder.path().join("absent.pth");
    let other_kind = folder.path().join("w.onnx");
    std::fs::write(&other_kind, b"something").unwrap();
    let mistyped = folder.path().join("runs");
    let other_shape = file.tensor::<Flex, 2>("w", [2, 3], &Default::default());
    let cases = [
        (load(&missing_file, "w"), "absent.pth"),
        (load(&mistyped, "w"), "cannot open weights"),
        (load(&other_kind, "w"), "unknown kind of file"),
        (load(&path, "v"), "w.safetensors hold no parameter `v`"),
        (load(&path, "w"), "`w` is of type I32"),
        (other_shape, "`w` has shape [2, 2], expected [2, 3]"),
    ];
    for (result, expected) in cases {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn damaged_files_are_errors_not_panics() {
    let folder = tempfile::tempdir().unwrap();
    let safetensors = folder.path().join("w.safetensors");
    write(&safetensors, "w", Dtype::F32, &[1; 16]);
    let whole = fs::read(&safetensors).unwrap();
    for length in 0..whole.len() {
        fs::write(&safetensors, &whole[..length]).unwrap();
        assert!(load(&safetensors, "w").is_err(), "cut at {length}");
    }

    // Noise, alone and after the first bytes of the layouts that .pth files have.
    let pth = folder.path().join("w.pth");
    let magic: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e\x80\x02";
    let starts: [&[u8]; 5] = [b"", b"PK\x03\x04", b"\x80\x02", b"\x80\x02}q\x00(U", magic];
    let mut state = 1u64;
    for round in 0..200 {
        let mut bytes = starts[round % starts.len()].to_vec();
        bytes.extend((0..400).map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 56) as u8
        }));
        fs::write(&pth, &bytes).unwrap();
        let message = load(&pth, "w").unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent/w.safetensors");
    let one = ("w".to_owned(), TensorData::from([1.0f32]));
    let message = chimle_weights::write(&path, std::slice::from_ref(&one), &[])
        .unwrap_err()
        .to_string();
    assert!(message.contains("absent/w.safetensors"), "{message}");

    // A folder stands where the file should go.
    let taken = folder.path().join("taken.safetensors");
    fs::create_dir(&taken).unwrap();
    assert!(chimle_weights::write(&taken, &[one], &[]).is_err());
    assert!(taken.is_dir());
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no temporary file stays"
    );
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["folder.safetensors", "folder.pth"] {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        let message = load(&path, "w").unwrap_err().to_string();
        assert!(
            message.contains(name) && message.contains("not a regular file"),
            "{message}"
        );
    }
}
