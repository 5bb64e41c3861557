//! PyTorch checkpoints with the parameter names of the authors' release.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn_flex::Flex;
use chimle_core::nn::{Architecture, GeneratorConfig, WeightFile};
use chimle_verify::read_network;

const NETWORKS: [(&str, Architecture); 3] = [
    ("colourization", Architecture::Colorization),
    ("super_resolution", Architecture::SuperResolution),
    ("generic", Architecture::ImageToImage),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

#[test]
fn the_configuration_follows_from_the_parameters() {
    for (task, architecture) in NETWORKS {
        let file = WeightFile::open(fixture(&format!("tim_{task}.pth"))).unwrap();
        let expected = read_network(&fixture(&format!("tim_{task}.json")), architecture).unwrap();
        let found = GeneratorConfig::of_file(&file, Some(architecture)).unwrap();
        assert_eq!(found, expected);

        // Two output channels identify colorization. The other two architectures have the same shapes.
        let guessed = GeneratorConfig::of_file(&file, None);
        if architecture == Architecture::Colorization {
            assert_eq!(guessed.unwrap(), expected);
        } else {
            let message = guessed.unwrap_err().to_string();
            assert!(
                message.contains("import them with their task first"),
                "{message}"
            );
            let other = GeneratorConfig::of_file(&file, Some(Architecture::Colorization));
            let message = other.unwrap_err().to_string();
            let expected = "`level_1_out.0.bias` has shape [3], expected [2]";
            assert!(message.contains(expected), "{message}");
        }
    }
}

/// The shape and bits of every parameter, by name.
fn parameters(file: &WeightFile) -> BTreeMap<String, (Vec<usize>, Vec<u32>)> {
    let read = |name: String| {
        let shape = file.shape(&name).unwrap();
        let data = file.data(&name, &shape).unwrap();
        let values = data.into_vec::<f32>().unwrap().into_iter();
        (name, (shape, values.map(f32::to_bits).collect()))
    };
    file.names().into_iter().map(read).collect()
}

#[test]
fn a_loaded_checkpoint_is_saved_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    for (task, architecture) in NETWORKS {
        let checkpoint = WeightFile::open(fixture(&format!("tim_{task}.pth"))).unwrap();
        let config = GeneratorConfig::of_file(&checkpoint, Some(architecture)).unwrap();
        let generator = config.init::<Flex>(&Default::default());
        generator.load(&checkpoint).unwrap().save(&path).unwrap();
        let saved = WeightFile::open(&path).unwrap();
        assert!(parameters(&saved) == parameters(&checkpoint), "{task}");
        // The saved file identifies its architecture.
        assert_eq!(GeneratorConfig::of_file(&saved, None).unwrap(), config);
    }
}
