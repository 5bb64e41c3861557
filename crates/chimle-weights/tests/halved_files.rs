//! Files of 16-bit floats, and files in memory.

use burn::tensor::{TensorData, f16};
use chimle_weights::{WeightFile, WeightsError, write, write_halved};

#[test]
fn a_halved_file_has_rounded_values_and_all_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let values = [1.0f32, -0.333_333_34, 6.0e-5, 65504.0, 1.0e-9];
    let metadata = [
        ("kind", "small".to_owned()),
        ("made by", "a test".to_owned()),
    ];
    let parameters = [("w".to_owned(), TensorData::from(values))];
    write(path("whole.safetensors"), &parameters, &metadata).unwrap();
    let whole = WeightFile::open(path("whole.safetensors")).unwrap();
    write_halved(&whole, path("half.safetensors")).unwrap();

    let half = WeightFile::open(path("half.safetensors")).unwrap();
    assert_eq!(half.names(), ["w"]);
    for (key, value) in &metadata {
        assert_eq!(half.metadata(key).as_ref(), Some(value));
    }
    let read = half.data("w", &[5]).unwrap().into_vec::<f32>().unwrap();
    for (value, read) in values.iter().zip(&read) {
        assert_eq!(*read, f16::from_f32(*value).to_f32());
        assert!((value - read).abs() <= f32::max(value.abs() / 2048.0, 3e-8));
    }
    let bytes = |name: &str| std::fs::metadata(path(name)).unwrap().len();
    assert_eq!(
        bytes("whole.safetensors") - bytes("half.safetensors"),
        2 * 5
    );
}

#[test]
fn a_value_that_16_bits_cannot_hold_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.safetensors");
    let parameters = [("w".to_owned(), TensorData::from([1.0f32, 1.0e6]))];
    write(&path, &parameters, &[]).unwrap();
    let out = folder.path().join("half.safetensors");
    let error = write_halved(&WeightFile::open(&path).unwrap(), &out).unwrap_err();
    assert!(matches!(&error, WeightsError::Values { parameter, .. } if parameter == "w"));
    assert!(
        error.to_string().contains("1000000 is too large"),
        "{error}"
    );
    assert!(!out.exists());
}

#[test]
fn a_file_in_memory_is_read_like_one_on_disk_and_a_damaged_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    write(&path, &[("w".to_owned(), TensorData::from([0.5f32]))], &[]).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let file = WeightFile::from_safetensors("built-in", bytes.clone()).unwrap();
    assert_eq!(file.data("w", &[1]).unwrap(), TensorData::from([0.5f32]));
    let cut = bytes[..bytes.len() - 1].to_vec();
    let error = WeightFile::from_safetensors("built-in", cut).err().unwrap();
    assert!(
        error
            .to_string()
            .starts_with("weights built-in are damaged"),
        "{error}"
    );
}
