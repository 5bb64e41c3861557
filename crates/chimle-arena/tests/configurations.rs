//! Tests that the ready-made configurations can be read, and that every method in them can be made.

use std::fs;
use std::path::{Path, PathBuf};

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_arena::{ArenaConfig, Context, Methods, MonceSettings, RfbEsrganSettings, read};

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
                "monce" => read::<MonceSettings>(&section.settings).map(drop),
                "rfb-esrgan" => read::<RfbEsrganSettings>(&section.settings).map(drop),
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
