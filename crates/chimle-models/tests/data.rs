//! Checks that the models are complete and small, and that their cards are complete.

use chimle_models::{ALL, find};
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

#[test]
fn every_model_is_a_small_file_of_finite_16_bit_floats() {
    for model in ALL {
        assert!(model.weights.len() <= 2_500_000, "{}", model.name);
        let file = SafeTensors::deserialize(model.weights).expect(model.name);
        assert!(!file.is_empty());
        for (name, view) in file.tensors() {
            assert_eq!(view.dtype(), Dtype::F16, "{}: {name}", model.name);
            let (values, _) = view.data().as_chunks::<2>();
            // An exponent with all bits set means infinity or NaN.
            let finite = |value: &[u8; 2]| u16::from_le_bytes(*value) & 0x7c00 != 0x7c00;
            assert!(values.iter().all(finite), "{}: {name}", model.name);
        }
    }
}

#[test]
fn every_card_names_its_model_its_checksum_and_what_a_reader_needs() {
    for model in ALL {
        let checksum: String = Sha256::digest(model.weights)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let needed = [
            model.name,
            &checksum,
            "## Data",
            "License",
            "## Training",
            "chimle train",
            "## Measures",
            "## Not good for",
            "## Samples",
        ];
        for text in needed {
            assert!(model.card.contains(text), "{}: {text}", model.name);
        }
    }
}

#[test]
fn a_model_is_found_by_its_name() {
    for model in ALL {
        assert_eq!(find(model.name).map(|found| found.name), Some(model.name));
    }
    assert!(find("no-such-model").is_none());
}
