//! Tests that the ready-made configurations can be read, and that every method in them can be made.

use std::fs;
use std::path::{Path, PathBuf};

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_arena::{
    ArenaConfig, Context, Methods, MonceSettings, RfbEsrganSettings, UnetConfig, read_settings,
};

type B = Autodiff<Flex>;

fn configurations() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let files = fs::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

#[test]
fn all_of_them_make_all_their_methods() {
    let methods = Methods::<B>::built_in();
    let paths = configurations();
    assert_eq!(paths.len(), 6);
    for path in paths {
        let config = ArenaConfig::read(&path).unwrap();
        let context = Context::<B> {
            task: config.task.clone(),
            sizes: config.sizes().unwrap(),
            backbone: config.backbone.clone(),
            distance: config.distance.clone(),
            vgg16: None,
            device: Default::default(),
            seed: 0,
        };
        for (name, section) in &config.methods {
            let kind = section.kind.as_deref().unwrap_or(name);
            // These two methods need files of weights, so only their settings are read.
            let made = match kind {
                "monce" => read_settings::<MonceSettings>(&section.settings).map(drop),
                "rfb-esrgan" => read_settings::<RfbEsrganSettings>(&section.settings).map(drop),
                _ => methods.make(kind, &section.settings, &context).map(drop),
            };
            made.unwrap_or_else(|error| panic!("{}: {name}: {error}", path.display()));
        }
        for general in [
            "chimle",
            "cimle",
            "bicycle-gan",
            "msgan",
            "divco",
            "monce",
            "ndm",
            "mean",
        ] {
            assert!(
                config.methods.contains_key(general),
                "{}: {general}",
                path.display()
            );
        }
    }
}

/// None of these numbers may be tried, because some of them would take more memory than any machine has.
#[test]
fn numbers_that_are_too_large_are_named_with_their_bounds() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/procedural-colorization-32.toml");
    let text = fs::read_to_string(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let hostile = folder.path().join("hostile.toml");
    for (setting, number, words) in [
        (
            "cpu_minutes = 3.5",
            "cpu_minutes = 1e300",
            ["cpu_minutes", "1000000"],
        ),
        ("at_once = 2", "at_once = 1000000", ["at_once", "1024"]),
        (
            "inputs = 32",
            "inputs = 1099511627776",
            ["measure.inputs", "10000000"],
        ),
        (
            "samples = [8, 32]",
            "samples = [8, 1099511627776]",
            ["measure.samples", "10000"],
        ),
        (
            "pools = [16, 4, 2]",
            "pools = [16, 4, 1099511627776]",
            ["methods.chimle.pools", "10000000"],
        ),
        (
            "rate = 1e-3",
            "batch = 1000000",
            ["methods.bicycle-gan.batch", "65536"],
        ),
        (
            "[methods.ndm.unet]",
            "[methods.ndm.unet]\nwidth = 1000000",
            ["methods.ndm.unet.width", "4096"],
        ),
    ] {
        assert!(text.contains(setting), "{setting}");
        fs::write(&hostile, text.replacen(setting, number, 1)).unwrap();
        let message = ArenaConfig::read(&hostile).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "{message}");
        }
    }
    let config = ArenaConfig::read(&{
        let many = text.replacen("scenes = 512", "scenes = 1099511627776", 1);
        fs::write(&hostile, many).unwrap();
        hostile
    });
    let message = config.unwrap().training_set().err().unwrap().to_string();
    assert!(message.contains("from 1 to 10000000"), "{message}");
}

#[test]
fn a_network_of_impossible_size_is_not_made() {
    let refused = |change: &dyn Fn(&mut UnetConfig)| {
        let mut config = UnetConfig::default();
        change(&mut config);
        config.validate().unwrap_err()
    };
    assert!(UnetConfig::default().validate().is_ok());
    for (message, word) in [
        (refused(&|config| config.width = usize::MAX), "4096"),
        (refused(&|config| config.width = 0), "from 1"),
        (
            refused(&|config| config.multipliers = vec![1, usize::MAX]),
            "4096",
        ),
        (
            refused(&|config| config.multipliers = vec![]),
            "multipliers",
        ),
        (
            refused(&|config| config.multipliers = vec![1; 1000]),
            "multipliers",
        ),
        (refused(&|config| config.blocks = usize::MAX), "blocks"),
        (refused(&|config| config.stacked = 64), "stacked"),
    ] {
        assert!(message.contains(word), "{message}");
    }
}
