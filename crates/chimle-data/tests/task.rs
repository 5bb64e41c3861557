//! Tasks that a program adds to the built-in ones.

use std::path::Path;

use chimle_data::{
    DataError, Dataset, DatasetConfig, Planes, Sizes, Source, Task, TaskHandle, downsample,
    downsample_planes, register,
};
use image::{Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

fn distinct(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 3) as u8, (y * 5) as u8, (x * y) as u8])
    })
}

fn save(folder: &Path, name: &str, image: &RgbImage) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

/// A task that removes noise. Its input has four channels: the noisy image and the strength of its
/// noise.
#[derive(Debug)]
struct Denoising;

impl Task for Denoising {
    fn name(&self) -> &str {
        "denoising"
    }

    fn aliases(&self) -> &[&str] {
        &["denoise"]
    }

    fn conditioning_channels(&self) -> usize {
        4
    }

    fn degrade(&self, photograph: &RgbImage, _: &Sizes, seed: u64) -> Result<Planes, DataError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let strength: f32 = rng.random_range(0.1..0.5);
        let mut noisy = Planes::from_rgb(photograph);
        for value in &mut noisy.data {
            *value = (*value + rng.random_range(-strength..strength)).clamp(0.0, 1.0);
        }
        let size = noisy.height * noisy.width;
        noisy.data.extend(std::iter::repeat_n(strength, size));
        Planes::new(4, noisy.height, noisy.width, noisy.data)
    }
}

#[test]
fn a_registered_task_is_found_by_its_names_and_written_by_its_own() {
    assert!("denoising".parse::<TaskHandle>().is_err());
    let task = register(Denoising).unwrap();
    assert_eq!("denoising".parse::<TaskHandle>().unwrap(), task);
    assert_eq!("denoise".parse::<TaskHandle>().unwrap(), task);
    assert!(TaskHandle::all().contains(&task));
    let json = serde_json::to_string(&task).unwrap();
    assert_eq!(json, "\"denoising\"");
    assert_eq!(serde_json::from_str::<TaskHandle>(&json).unwrap(), task);
    let error = register(Denoising).unwrap_err();
    assert!(matches!(error, DataError::TaskExists { .. }), "{error}");
    // The error for an unknown task lists the known ones.
    let error = "other".parse::<TaskHandle>().unwrap_err().to_string();
    assert!(
        error.contains("denoising") && error.contains("colorization"),
        "{error}"
    );
}

#[test]
fn a_random_degradation_is_a_function_of_the_input_and_the_seed() {
    let folder = TempDir::new().unwrap();
    // Two files with the same picture differ only in the identity of the input.
    for name in ["b.png", "c.png"] {
        save(folder.path(), name, &distinct(16, 16));
    }
    let source = Source::Photographs(folder.path().to_owned());
    let config = DatasetConfig::new(Denoising, 2, 16, 16);
    let open = || Dataset::open(source.clone(), config.clone()).unwrap();
    let conditioning = |dataset: &Dataset, index, seed| {
        let example = dataset.example(index, seed).unwrap();
        assert_eq!(example.targets[1], Planes::from_rgb(&distinct(16, 16)));
        example.conditioning
    };
    let dataset = open();
    let first = conditioning(&dataset, 0, 7);
    assert_eq!(
        (first.len(), first[0].channels, first[1].channels),
        (2, 4, 4)
    );
    assert_eq!(conditioning(&dataset, 0, 7), first);
    assert_ne!(conditioning(&dataset, 0, 8), first);
    assert_ne!(conditioning(&dataset, 1, 7), first);

    // A third file that sorts before the two files changes neither example.
    save(folder.path(), "a.png", &distinct(20, 20));
    let dataset = open();
    assert_eq!(dataset.name(1), "b.png");
    assert_eq!(conditioning(&dataset, 1, 7), first);
}

#[test]
fn the_default_conditioning_brings_every_channel_to_each_level() {
    let sizes = Sizes::new(&Denoising, 3, 32, 16).unwrap();
    let input = Denoising.degrade(&distinct(16, 32), &sizes, 3).unwrap();
    let conditioning = Denoising.conditioning(&input, &sizes).unwrap();
    let shape = |p: &Planes| [p.channels, p.height, p.width];
    let shapes: Vec<_> = conditioning.iter().map(shape).collect();
    assert_eq!(shapes, [[4, 8, 4], [4, 16, 8], [4, 32, 16]]);
    // If there are more than three channels, the first three are shown.
    let shown = Denoising.picture_of_input(&conditioning);
    assert_eq!(shown, conditioning[2].channels(0..3));
}

/// A paired task whose input has one channel: the inverted red of the picture.
#[derive(Debug)]
struct InvertedRed;

impl Task for InvertedRed {
    fn name(&self) -> &str {
        "inverted-red"
    }

    fn conditioning_channels(&self) -> usize {
        1
    }

    fn is_paired(&self) -> bool {
        true
    }

    fn degrade(&self, photograph: &RgbImage, _: &Sizes, _: u64) -> Result<Planes, DataError> {
        self.input_of_picture(photograph)
    }

    fn input_of_picture(&self, picture: &RgbImage) -> Result<Planes, DataError> {
        let mut red = Planes::from_rgb(picture).channels(0..1);
        red.data.iter_mut().for_each(|value| *value = 1.0 - *value);
        Ok(red)
    }
}

#[test]
fn the_input_of_a_pair_is_made_of_its_picture_as_a_user_s_picture_is() {
    let folder = TempDir::new().unwrap();
    let (input, output) = (distinct(16, 16), distinct(32, 32));
    save(folder.path(), "input/a.png", &input);
    save(folder.path(), "output/a.png", &output);
    let source = Source::detect(&InvertedRed, folder.path()).unwrap();
    let config = DatasetConfig::new(InvertedRed, 1, 16, 16);
    let example = Dataset::open(source, config)
        .unwrap()
        .example(0, 0)
        .unwrap();
    let expected = InvertedRed.input_of_picture(&input).unwrap();
    // Conditioning is rounded to 8 bits.
    let difference = example.conditioning[0]
        .mean_squared_distance(&expected)
        .unwrap();
    assert!(difference.sqrt() < 0.5 / 255.0, "{difference}");
}

#[test]
fn channels_are_resized_as_those_of_a_picture_are() {
    let picture = distinct(31, 22);
    let planes = Planes::from_rgb(&picture);
    for (height, width) in [(11, 7), (22, 31), (5, 31), (40, 50)] {
        let expected = downsample(&picture, width as u32, height as u32).unwrap();
        let expected = Planes::from_rgb(&expected);
        // The indices of the picture's channels.
        for channels in [
            vec![0],
            vec![2],
            vec![1, 0],
            vec![0, 1, 2],
            vec![2, 0, 1, 1],
            vec![0, 1, 2, 2, 1],
            vec![0, 1, 2, 2, 1, 0, 1],
        ] {
            let of = |planes: &Planes| -> Planes {
                let data = channels.iter().flat_map(|&c| planes.plane(c).to_vec());
                let data = data.collect();
                Planes::new(channels.len(), planes.height, planes.width, data).unwrap()
            };
            let found = downsample_planes(&of(&planes), height, width).unwrap();
            assert_eq!(found, of(&expected), "{channels:?} to {height}x{width}");
        }
    }
    assert!(downsample_planes(&planes, 0, 5).is_err());
}
