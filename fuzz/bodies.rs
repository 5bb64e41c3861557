//! What is done with bytes that anybody could have written. Nothing here may panic, but for a failed
//! check.
//!
//! The fuzz targets of this folder call these functions, and so does `crates/chimle-cli/tests/mutations.rs`
//! with a fixed seed.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_core::data::{DataError, image_size};
use chimle_core::nn::WeightFile;
use chimle_core::{
    Colorization, DataSource, Error, GeneratorConfig, Preset, RunConfig, RunFolder, Silent,
    Strategy, Trainer, read_rgb,
};
use chimle_show::{Input, Measure, Page, Plot};

/// A folder of this process for files, in memory where the system has one for that.
fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let parent = match memory.is_dir() {
            true => memory.to_owned(),
            false => std::env::temp_dir(),
        };
        let folder = parent.join(format!("chimle-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a scratch folder");
        folder
    })
}

/// Removes the folder of this process. A fuzz target is stopped from outside and leaves its folder.
pub fn clean() {
    let _ = fs::remove_dir_all(scratch());
}

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = scratch().join(name);
    fs::write(&path, bytes).expect("a scratch file");
    path
}

/// Checks that an error is one line.
fn one_line(error: impl std::fmt::Display) {
    let text = error.to_string();
    assert!(!text.is_empty() && !text.contains('\n'), "{text:?}");
}

fn weights(path: &Path) {
    let file = match WeightFile::open(path) {
        Ok(file) => file,
        Err(error) => return one_line(error),
    };
    let names = file.names();
    assert_eq!(names.len(), names.iter().collect::<HashSet<_>>().len());
    for name in names.iter().take(50) {
        let shape = file.shape(name).expect("a parameter that is listed");
        match file.data(name, &shape) {
            Ok(data) => assert_eq!(data.num_elements(), shape.iter().product::<usize>()),
            Err(error) => one_line(error),
        }
        let other = [&shape[..], &[1]].concat();
        assert!(file.data(name, &other).is_err());
    }
    match GeneratorConfig::of_file(&file, None) {
        // Each of its parameters is in the file.
        Ok(config) => assert!(config.validate().is_ok()),
        Err(error) => one_line(error),
    }
}

pub fn pth(bytes: &[u8]) {
    weights(&file("weights.pth", bytes));
}

pub fn safetensors(bytes: &[u8]) {
    weights(&file("weights.safetensors", bytes));
}

pub fn image(bytes: &[u8]) {
    let path = file("image", bytes);
    let size = image_size(&path);
    // A large image takes long, and shows nothing that a small one does not.
    if let Ok((width, height)) = size
        && u64::from(width) * u64::from(height) > 1 << 22
    {
        return;
    }
    match read_rgb(&path) {
        Ok(image) => assert_eq!(image.dimensions(), size.expect("the size of an image")),
        Err(DataError::Decoder { reason, .. }) => panic!("a decoder panicked: {reason}"),
        Err(error) => one_line(error),
    }
}

/// The markers of a JPEG: bytes that do not begin as one are made to.
pub fn jpeg(bytes: &[u8]) {
    image(&[&[0xFF, 0xD8, 0xFF], bytes].concat());
}

pub fn config(bytes: &[u8]) {
    let path = file("config.toml", bytes);
    match RunConfig::<GeneratorConfig>::read(&path) {
        Ok(config) => {
            fs::write(&path, config.to_toml()).expect("a scratch file");
            let again = RunConfig::read(&path).expect("a configuration that was written");
            // NaN is not equal to itself.
            assert!(config == again || config.to_toml().contains("nan"));
        }
        Err(error) => one_line(error),
    }
}

pub fn log(bytes: &[u8]) {
    let run = RunFolder::at(scratch());
    fs::write(run.log_path(), bytes).expect("a scratch file");
    let log = run.read_log().expect("a log is always read");
    let lines = log.events.iter().map(|event| {
        let line = serde_json::to_string(event).expect("an event is plain data");
        line + "\n"
    });
    fs::write(run.log_path(), lines.collect::<String>()).expect("a scratch file");
    let again = run.read_log().expect("a log is always read");
    assert_eq!(
        (again.events.len(), again.skipped.len()),
        (log.events.len(), 0)
    );
}

/// A run of one step, with one checkpoint.
fn run() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let mut config = RunConfig::new(Colorization, Preset::Tiny);
        config.data.source = DataSource::Procedural { scenes: 4 };
        (config.data.height, config.data.width) = (4, 4);
        config.generator.residual_channels = vec![2, 2];
        config.generator.growth_channels = vec![2, 2];
        config.generator.latent = 4;
        config.generator.map_code = 4;
        config.search.strategy = Strategy::Hierarchical { pools: vec![1, 1] };
        config.data.threads = 1;
        config.training.steps = 1;
        config.training.round = 2;
        config.training.batch = 1;
        config.training.keep = 1;
        let folder = scratch().join("run");
        let mut trainer =
            Trainer::<Autodiff<Flex>>::create(config, &folder, Default::default()).expect("a run");
        trainer.run(&mut Silent).expect("a step");
        folder
    })
}

/// The files of a checkpoint, as the first byte of [`checkpoint`] names them.
pub const FILES: [&str; 4] = [
    "position.json",
    "adam.mpk",
    "generator.safetensors",
    "SHA256SUMS",
];

/// A file of a checkpoint: the first byte says which.
pub fn checkpoint(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    let run = run();
    let checkpoint = run.join("checkpoints/step-00000001");
    let sums = checkpoint.join("SHA256SUMS");
    let changed = checkpoint.join(FILES[usize::from(*which) % FILES.len()]);
    let (whole, whole_sums) = (
        fs::read(&changed).expect("a file of the checkpoint"),
        fs::read(&sums).expect("its checksums"),
    );
    // Otherwise nothing but the checksum would be looked at.
    fs::remove_file(&sums).expect("its checksums");
    fs::write(&changed, bytes).expect("a file of the checkpoint");
    let resumed = Trainer::<Autodiff<Flex>>::resume(run, Default::default());
    match resumed {
        Ok(trainer) => drop(trainer),
        Err(error @ Error::RunInUse { .. }) => panic!("{error}"),
        Err(error) => one_line(error),
    }
    fs::write(&changed, whole).expect("a file of the checkpoint");
    fs::write(&sums, whole_sums).expect("its checksums");
}

/// Texts in a page: they must not add an element to it.
pub fn page(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let page = |text: &str| {
        let picture = image::RgbImage::from_pixel(1, 1, image::Rgb([1, 2, 3]));
        let page = Page {
            title: text.to_owned(),
            settings: vec![(text.to_owned(), text.to_owned())],
            inputs: vec![Input {
                name: text.to_owned(),
                conditioning: picture.clone(),
                truths: vec![],
                samples: vec![picture],
            }],
            curves: vec![Plot {
                title: text.to_owned(),
                ..Plot::default()
            }],
            measures: vec![Measure::new(text, text, text)],
        };
        page.html().expect("a page")
    };
    let count = |html: &str| {
        let elements = html.matches('<').count();
        (elements, html.to_lowercase().matches("</script").count())
    };
    let (html, plain) = (page(&text), page("x"));
    let (found, expected) = (count(&html), count(&plain));
    assert_eq!(found.1, expected.1, "a script ends early");
    // An empty text can leave an element out.
    assert!(found.0 <= expected.0, "an element more");
}
