//! Files that PyTorch wrote (`state_dicts/make.py`) give the same values here as in PyTorch.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chimle_weights::WeightFile;

#[derive(Debug, serde::Deserialize)]
struct Expected {
    shape: Vec<usize>,
    bits: Vec<u32>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state_dicts")
}

fn expected() -> BTreeMap<String, BTreeMap<String, Expected>> {
    let text = fs::read(folder().join("expected.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn every_tensor_has_the_bits_that_pytorch_loads() {
    let expected = expected();
    // Six state dicts in three layouts.
    assert_eq!(expected.len(), 18);
    for (name, tensors) in expected {
        let file = WeightFile::open(folder().join(&name)).unwrap();
        for (parameter, expected) in tensors {
            assert_eq!(
                file.shape(&parameter).unwrap(),
                expected.shape,
                "{name}: {parameter}"
            );
            let found = file.data(&parameter, &expected.shape).unwrap();
            let found: Vec<u32> = found.iter::<f32>().map(f32::to_bits).collect();
            assert_eq!(found, expected.bits, "{name}: {parameter}");
        }
    }
}

#[test]
fn a_tensor_of_integers_is_an_error_that_names_its_type() {
    for layout in ["zip", "zip4", "legacy"] {
        let file = WeightFile::open(folder().join(format!("module_{layout}.pth"))).unwrap();
        let counted = "1.num_batches_tracked";
        assert!(file.names().contains(&counted.to_owned()));
        let error = file.data(counted, &[]).unwrap_err().to_string();
        assert!(
            error.contains("`1.num_batches_tracked` is of type int64"),
            "{error}"
        );
    }
}
