//! Files of every kind that chimle reads, changed at random with a fixed seed. Each file must be read, or refused with
//! one line. The fuzz targets call the same functions, guided by code coverage.

#[path = "../../../fuzz/bodies.rs"]
mod bodies;

use std::fs;
use std::io::Cursor;
use std::path::Path;

use chimle_core::nn::{Architecture, GeneratorConfig, Preset};
use chimle_core::{
    Colorization, DataSource, Event, NightToDay, RunConfig, Strategy, SuperResolution,
};
use image::{ImageFormat, Rgb, RgbImage};

/// The number of changed versions of each seed file.
const CHANGES: usize = 400;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit.max(1)
    }

    /// Changes some bytes: flips, extremes, insertions, removals, repeats, a cut, and parts of another file.
    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(5) {
            let at = self.below(bytes.len());
            match self.below(9) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at.min(bytes.len()), self.below(256) as u8),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 => {
                    let end = (at + 1 + self.below(40)).min(bytes.len());
                    let part = bytes[at..end].repeat(1 + self.below(3));
                    bytes.splice(at..at, part);
                }
                4 => {
                    let from = self.below(other.len());
                    let part = &other[from..(from + self.below(60)).min(other.len())];
                    bytes.splice(at..at, part.iter().copied());
                }
                5 => {
                    let extremes = [[0xFF; 8], [0; 8], (1u64 << 62).to_le_bytes()];
                    for (byte, extreme) in bytes[at..].iter_mut().zip(extremes[self.below(3)]) {
                        *byte = extreme;
                    }
                }
                6 => {
                    // Sizes are written in digits.
                    let digits: Vec<usize> = (0..bytes.len())
                        .filter(|&at| bytes[at].is_ascii_digit())
                        .collect();
                    if let Some(&at) = digits.get(self.below(digits.len())) {
                        bytes.splice(at..at, *b"99999999999");
                    }
                }
                _ if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                _ => {}
            }
        }
    }
}

/// Runs a body on each seed and on its changes. If the environment variable `CHIMLE_SEEDS` names a folder,
/// writes the seeds there instead, for the fuzz target of this name.
fn check(target: &str, body: fn(&[u8]), seeds: &[Vec<u8>], changes: usize) {
    assert!(!seeds.is_empty());
    if let Some(folder) = std::env::var_os("CHIMLE_SEEDS") {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
        }
        return;
    }
    let mut random = Random(1);
    for seed in seeds {
        body(seed);
        for _ in 0..changes {
            let other = &seeds[random.below(seeds.len())];
            let mut bytes = seed.clone();
            random.change(&mut bytes, other);
            body(&bytes);
        }
    }
    body(b"");
}

fn state_dicts() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chimle-weights/tests/state_dicts");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "pth"));
    assert_eq!(files.len(), 18);
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn model_files() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut files = Vec::new();
    for architecture in [Architecture::Colorization, Architecture::ImageToImage] {
        let mut config = GeneratorConfig::preset(Preset::Tiny, architecture);
        config.residual_channels = vec![2, 2];
        config.growth_channels = vec![1, 2];
        (config.latent, config.map_code) = (3, 2);
        let generator = config.init::<burn_flex::Flex>(&Default::default());
        generator.save(&path).unwrap();
        files.push(fs::read(&path).unwrap());
    }
    files
}

fn images() -> Vec<Vec<u8>> {
    let picture = RgbImage::from_fn(19, 13, |x, y| Rgb([(x * 7) as u8, (y * 11) as u8, 80]));
    let formats = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Bmp,
    ];
    let encoded = formats.map(|format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    });
    encoded.into()
}

fn configurations() -> Vec<Vec<u8>> {
    let plain = RunConfig::new(Colorization, Preset::Tiny);
    let mut flat = RunConfig::new(NightToDay, Preset::Small);
    flat.search.strategy = Strategy::Flat { candidates: 9 };
    flat.data.source = DataSource::Pairs {
        input: "night".into(),
        output: "day".into(),
    };
    let enlarged = RunConfig::new(SuperResolution, Preset::Paper);
    [plain, flat, enlarged]
        .map(|config| config.to_toml().into_bytes())
        .into()
}

fn logs() -> Vec<Vec<u8>> {
    let events = [
        Event::Started {
            step: 0,
            steps: 10,
            examples: 3,
            held_out: 1,
            skipped: 1,
            parameters: 1000,
        },
        Event::Skipped {
            name: "a.png".to_owned(),
            reason: "it is \"damaged\"".to_owned(),
        },
        Event::Searched {
            step: 0,
            round: 0,
            examples: 3,
            chosen: vec![0.5, f32::NAN],
            pool: vec![1.5, 2.5],
            seconds: 0.25,
        },
        Event::Step {
            step: 1,
            loss: 0.125,
            levels: vec![0.1, 0.025],
            learning_rate: 1e-3,
            seconds: 0.5,
        },
        Event::Saved {
            step: 1,
            path: "checkpoints/step-00000001".into(),
        },
        Event::Finished {
            step: 1,
            seconds: 2.0,
        },
    ];
    let lines = events
        .iter()
        .map(|event| serde_json::to_string(event).unwrap() + "\n");
    vec![lines.collect::<String>().into_bytes()]
}

fn texts() -> Vec<Vec<u8>> {
    let texts = [
        "a photograph",
        "</script><script>alert(1)</script>",
        "<!-- <script> -->",
        "\" onmouseover=\"alert(1)",
        "{title} {{inputs}} ${name}",
        "\u{2028}\u{202e}]]>&lt;",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

#[test]
fn changed_files_are_read_or_refused_with_one_line() {
    check("pth", bodies::pth, &state_dicts(), CHANGES);
    check(
        "safetensors",
        bodies::safetensors,
        &model_files(),
        4 * CHANGES,
    );
    check("image", bodies::image, &images(), 2 * CHANGES);
    check(
        "jpeg",
        bodies::jpeg,
        &[images()[0][3..].to_vec()],
        4 * CHANGES,
    );
    check("config", bodies::config, &configurations(), 4 * CHANGES);
    check("log", bodies::log, &logs(), 6 * CHANGES);
    check("page", bodies::page, &texts(), CHANGES / 2);
    let position = br#"{"step":1,"round":{"index":0,"steps":1,"searched":true,"chosen":[[0,[0,0]],[1,[0,0]]]}}"#;
    let mut seeds = vec![[&[0], &position[..]].concat()];
    // The other files of a checkpoint get an arbitrary seed.
    seeds.extend(
        (1..bodies::FILES.len())
            .map(|which| [&[which as u8][..], b"\x82\xa1a\x01{\"b\":[1]}"].concat()),
    );
    check("checkpoint", bodies::checkpoint, &seeds, 60);
    bodies::clean();
}
