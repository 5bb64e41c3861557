//! The examples that are made from folders of images.

use std::path::Path;

use chimle_data::{
    Colorization, DataError, Dataset, DatasetConfig, Decompression, Example, InputId, NightToDay,
    Planes, Source, SuperResolution, TaskHandle, downsample, grayscale_lightness, list_images,
};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

/// Returns an image in which every pixel differs from every other.
fn distinct(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 3) as u8, (y * 3) as u8, (x + y) as u8])
    })
}

fn save(folder: &Path, name: &str, image: &RgbImage) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

fn photographs(folder: &TempDir) -> Source {
    Source::Photographs(folder.path().to_owned())
}

#[test]
fn each_task_has_its_conditioning_at_the_sides_of_its_levels() {
    let folder = TempDir::new().unwrap();
    let photograph = distinct(64, 32);
    save(folder.path(), "photo.png", &photograph);
    let example = |task: TaskHandle| {
        let config = DatasetConfig::new(task, 3, 32, 64);
        let dataset = Dataset::open(photographs(&folder), config).unwrap();
        dataset.example(0, 0).unwrap()
    };
    let sizes = |images: &[Planes]| -> Vec<_> {
        images
            .iter()
            .map(|p| [p.channels, p.height, p.width])
            .collect()
    };

    let sr = example(SuperResolution.into());
    assert_eq!(sizes(&sr.conditioning), [[3, 4, 8]]);
    assert_eq!(sizes(&sr.targets), [[3, 8, 16], [3, 16, 32], [3, 32, 64]]);
    let eighth = downsample(&photograph, 8, 4).unwrap();
    assert_eq!(sr.conditioning[0], Planes::from_rgb(&eighth));

    let color = example(Colorization.into());
    assert_eq!(
        sizes(&color.conditioning),
        [[1, 8, 16], [1, 16, 32], [1, 32, 64]]
    );
    let quarter = downsample(&photograph, 16, 8).unwrap();
    assert_eq!(color.conditioning[0], grayscale_lightness(&quarter));
    assert_eq!(color.targets[0], Planes::from_rgb(&quarter));
    assert_eq!(color.targets[2], Planes::from_rgb(&photograph));

    let clean = example(Decompression.into());
    assert_eq!(
        sizes(&clean.conditioning),
        [[3, 8, 16], [3, 16, 32], [3, 32, 64]]
    );
    assert_eq!(clean.targets, color.targets);
    // The smallest conditioning image is the downsampled compressed image, not the compressed
    // downsampled image.
    let compressed = clean.conditioning[2].to_rgb();
    let quarter = downsample(&compressed, 16, 8).unwrap();
    assert_eq!(clean.conditioning[0], Planes::from_rgb(&quarter));
}

#[test]
fn without_augmentation_the_largest_central_region_is_shown() {
    let folder = TempDir::new().unwrap();
    let photograph = distinct(48, 16);
    save(folder.path(), "wide.png", &photograph);
    let config = DatasetConfig::new(Colorization, 2, 16, 16);
    let dataset = Dataset::open(photographs(&folder), config).unwrap();
    let middle = image::imageops::crop_imm(&photograph, 16, 0, 16, 16).to_image();
    let shown = dataset.example(0, 0).unwrap();
    assert_eq!(shown.targets[1], Planes::from_rgb(&middle));
    assert_eq!(dataset.example(0, 9).unwrap(), shown);
}

#[test]
fn augmentation_is_a_function_of_the_input_and_the_seed() {
    let folder = TempDir::new().unwrap();
    save(folder.path(), "a.png", &distinct(70, 80));
    save(folder.path(), "b.png", &distinct(70, 80));
    let config = DatasetConfig::new(Colorization, 2, 16, 16).with_augment(true);
    let dataset = Dataset::open(photographs(&folder), config).unwrap();
    let first = dataset.example(0, 5).unwrap();
    assert_eq!(dataset.clone().example(0, 5).unwrap(), first);
    assert_ne!(dataset.example(0, 6).unwrap().targets, first.targets);
    assert_ne!(dataset.example(1, 5).unwrap().targets, first.targets);
}

#[test]
fn both_images_of_a_pair_get_the_same_crop_and_flip() {
    let folder = TempDir::new().unwrap();
    let output = distinct(60, 50);
    let mut input = output.clone();
    input.pixels_mut().for_each(|p| p.0.reverse());
    for i in 0..3 {
        save(folder.path(), &format!("night/deep/{i}.png"), &input);
        save(folder.path(), &format!("day/deep/{i}.bmp"), &output);
    }
    let source = Source::detect(&NightToDay, folder.path()).unwrap();
    assert!(matches!(source, Source::PairedFolders { .. }));
    let config = DatasetConfig::new(NightToDay, 2, 16, 16).with_augment(true);
    let dataset = Dataset::open(source, config).unwrap();
    assert_eq!((dataset.len(), dataset.name(1).as_str()), (3, "deep/1"));
    for seed in 0..20 {
        let example = dataset.example(1, seed).unwrap();
        for (input, output) in example.conditioning.iter().zip(&example.targets) {
            for channel in 0..3 {
                assert_eq!(input.plane(channel), output.plane(2 - channel));
            }
        }
    }
}

#[test]
fn an_input_may_have_several_outputs_that_see_it_alike() {
    let folder = TempDir::new().unwrap();
    for name in ["night/b.png", "night/a.png", "night/deep/c.png"] {
        save(folder.path(), name, &distinct(40, 40));
    }
    for name in [
        "day/a.png",
        "day/a/noon.png",
        "day/b/1.png",
        "day/b/more/2.png",
        "day/deep/c.png",
    ] {
        save(folder.path(), name, &distinct(40, 40));
    }
    let source = Source::detect(&NightToDay, folder.path()).unwrap();
    let config = DatasetConfig::new(NightToDay, 2, 16, 16).with_augment(true);
    let dataset = Dataset::open(source, config).unwrap();
    let names: Vec<String> = (0..dataset.len()).map(|k| dataset.name(k)).collect();
    assert_eq!(names, ["a", "a/noon", "b/1", "b/more/2", "deep/c"]);
    let observed: Vec<_> = (0..dataset.inputs()).map(|k| dataset.observed(k)).collect();
    assert_eq!(observed, [0..2, 2..4, 4..5]);

    let conditioning = |index, seed| dataset.example(index, seed).unwrap().conditioning;
    for seed in 0..5 {
        assert_eq!(conditioning(2, seed), conditioning(3, seed));
    }
    assert_ne!(conditioning(2, 0), conditioning(2, 1));
    assert_ne!(conditioning(2, 0), conditioning(0, 0));

    // An output has no partner if no input has the name of its folder.
    save(folder.path(), "day/d/1.png", &distinct(40, 40));
    let source = Source::detect(&NightToDay, folder.path()).unwrap();
    let config = dataset.config().clone();
    let message = Dataset::open(source, config).unwrap_err().to_string();
    assert!(message.ends_with(": d/1"), "{message}");
}

#[test]
fn of_images_side_by_side_the_left_half_is_the_input() {
    let folder = TempDir::new().unwrap();
    let both = RgbImage::from_fn(33, 16, |x, _| {
        Rgb(match x {
            0..16 => [255, 0, 0],
            16 => [0, 255, 0],
            _ => [0, 0, 255],
        })
    });
    save(folder.path(), "both.png", &both);
    let source = Source::detect(&NightToDay, folder.path()).unwrap();
    assert_eq!(source, Source::SideBySide(folder.path().to_owned()));
    let config = DatasetConfig::new(NightToDay, 2, 16, 16);
    let example = Dataset::open(source, config)
        .unwrap()
        .example(0, 0)
        .unwrap();
    let all = |planes: &Planes, color| planes.to_rgb().pixels().all(|p| p.0 == color);
    assert!(all(&example.conditioning[1], [255, 0, 0]));
    assert!(all(&example.targets[1], [0, 0, 255]));
}

#[test]
fn images_that_cannot_serve_are_passed_over_with_a_reason() {
    let folder = TempDir::new().unwrap();
    save(folder.path(), "sub/good.PNG", &distinct(20, 20));
    save(folder.path(), "dot.png", &distinct(1, 1));
    std::fs::write(folder.path().join("notes.jpg"), "words").unwrap();
    std::fs::write(folder.path().join("README.txt"), "words").unwrap();
    let config = DatasetConfig::new(Colorization, 2, 16, 16);
    let dataset = Dataset::open(photographs(&folder), config.clone()).unwrap();
    assert_eq!(
        (dataset.len(), dataset.name(0).as_str()),
        (1, "sub/good.PNG")
    );
    let skipped = dataset.skipped();
    assert_eq!(skipped.len(), 2);
    assert!(
        skipped[0]
            .reason
            .to_string()
            .contains("needs at least 16x16")
    );
    assert!(matches!(skipped[1].reason, DataError::NotAnImage { .. }));

    std::fs::remove_dir_all(folder.path().join("sub")).unwrap();
    let error = Dataset::open(photographs(&folder), config).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("none of the 2 images"), "{message}");
    assert!(message.contains("dot.png is too small: 1x1"), "{message}");
}

#[test]
fn a_size_is_judged_as_the_image_stands_upright() {
    let folder = TempDir::new().unwrap();
    let mut exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([8, 0, 0, 0, 0, 0, 0]);
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new(&mut bytes);
    image::ImageEncoder::set_exif_metadata(&mut encoder, exif).unwrap();
    encoder.encode_image(&distinct(16, 40)).unwrap();
    std::fs::write(folder.path().join("turned.jpg"), bytes).unwrap();
    let open = |height, width| {
        let config = DatasetConfig::new(Colorization, 2, height, width);
        Dataset::open(photographs(&folder), config)
    };
    assert!(open(40, 16).is_err());
    assert_eq!(
        open(16, 40).unwrap().example(0, 0).unwrap().targets[1].width,
        40
    );
}

#[test]
fn a_file_found_truncated_while_decoding_is_an_error_that_names_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cut.jpg");
    distinct(64, 64).save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() * 3 / 4]).unwrap();
    let config = DatasetConfig::new(Colorization, 2, 16, 16);
    let dataset = Dataset::open(photographs(&folder), config).unwrap();
    let error = dataset.example(0, 0).unwrap_err();
    assert!(
        error.to_string().contains("cut.jpg is truncated"),
        "{error}"
    );
}

#[test]
fn folders_that_cannot_serve_are_errors() {
    let folder = TempDir::new().unwrap();
    let config = DatasetConfig::new(Colorization, 2, 16, 16);
    let empty = Dataset::open(photographs(&folder), config.clone()).unwrap_err();
    assert!(matches!(empty, DataError::EmptyFolder { .. }));
    assert!(empty.to_string().contains(folder.path().to_str().unwrap()));

    let missing = Source::detect(&Colorization, &folder.path().join("missing"));
    assert!(matches!(missing, Err(DataError::Unreadable { .. })));

    let paired = DatasetConfig::new(NightToDay, 2, 16, 16);
    let wrong = Dataset::open(photographs(&folder), paired).unwrap_err();
    assert!(matches!(wrong, DataError::WrongSource { .. }));
    let pairs = Source::SideBySide(folder.path().to_owned());
    assert!(matches!(
        Dataset::open(pairs, config),
        Err(DataError::WrongSource { .. })
    ));
}

#[test]
fn files_without_a_partner_are_named_and_counted() {
    let folder = TempDir::new().unwrap();
    for name in [
        "A/1.png", "A/2.png", "A/3.png", "A/4.png", "B/1.png", "B/5.png",
    ] {
        save(folder.path(), name, &distinct(16, 16));
    }
    let source = Source::detect(&NightToDay, folder.path()).unwrap();
    let config = DatasetConfig::new(NightToDay, 2, 16, 16);
    let message = Dataset::open(source, config).unwrap_err().to_string();
    assert!(message.starts_with("4 files have no partner"), "{message}");
    assert!(message.ends_with(": 2, 3, 4, ..."), "{message}");
}

#[test]
fn pairs_of_different_scale_match_and_of_different_shape_do_not() {
    let folder = TempDir::new().unwrap();
    save(folder.path(), "A/scaled.png", &distinct(80, 40));
    save(folder.path(), "B/scaled.png", &distinct(40, 20));
    save(folder.path(), "A/square.png", &distinct(40, 40));
    save(folder.path(), "B/square.png", &distinct(40, 20));
    let source = Source::detect(&NightToDay, folder.path()).unwrap();
    let config = DatasetConfig::new(NightToDay, 2, 16, 16).with_augment(true);
    let dataset = Dataset::open(source, config).unwrap();
    assert_eq!(dataset.len(), 1);
    assert!(dataset.example(0, 3).is_ok());
    assert!(matches!(
        dataset.skipped()[0].reason,
        DataError::PairShapes { .. }
    ));
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let open = |change: fn(&mut DatasetConfig)| {
        let mut config = DatasetConfig::new(SuperResolution, 4, 64, 64);
        change(&mut config);
        Dataset::open(Source::Procedural { scenes: 1 }, config)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(open(|_| ()), Ok(()));
    let message = open(|c| c.height = 72).unwrap_err();
    assert!(message.contains("height 72") && message.contains("for example 80"));
    assert!(open(|c| c.width = 0).unwrap_err().contains("width is 0"));
    assert!(open(|c| c.levels = 0).unwrap_err().contains("levels is 0"));
    assert!(
        open(|c| c.smallest_crop = f32::NAN)
            .unwrap_err()
            .contains("smallest_crop")
    );
}

fn by_name(dataset: &Dataset, name: &str, seed: u64) -> Example {
    let index = (0..dataset.len()).find(|&k| dataset.name(k) == name);
    dataset.example(index.unwrap(), seed).unwrap()
}

#[test]
fn an_example_stays_the_same_when_other_files_come_go_or_are_damaged() {
    let folder = TempDir::new().unwrap();
    for name in ["b.png", "deep/c.png", "e.png"] {
        save(folder.path(), name, &distinct(40, 30));
    }
    let config = DatasetConfig::new(Colorization, 2, 16, 16).with_augment(true);
    let open = || Dataset::open(photographs(&folder), config.clone()).unwrap();
    let before = open();
    assert_eq!(before.inputs(), 3);
    let check = |changed: &Dataset| {
        for name in ["b.png", "deep/c.png"] {
            for seed in 0..3 {
                let example = by_name(changed, name, seed);
                assert_eq!(example, by_name(&before, name, seed));
                assert_eq!(example.input, InputId::of_name(name));
            }
        }
    };

    // Two more files: one sorts before the existing files, and one sorts between them.
    save(folder.path(), "a.png", &distinct(40, 30));
    save(folder.path(), "c.png", &distinct(40, 30));
    let more = open();
    assert_eq!(more.len(), 5);
    check(&more);

    // One file is no longer an image, and one is removed.
    std::fs::write(folder.path().join("a.png"), "words").unwrap();
    std::fs::remove_file(folder.path().join("e.png")).unwrap();
    let less = open();
    assert_eq!((less.len(), less.skipped().len()), (3, 1));
    check(&less);

    let ids: Vec<_> = (0..3).map(|k| less.input_id(k)).collect();
    assert_eq!(ids, ["b.png", "c.png", "deep/c.png"].map(InputId::of_name));
}

#[test]
fn observed_outputs_of_different_size_have_the_same_conditioning() {
    let folder = TempDir::new().unwrap();
    save(folder.path(), "night/a.png", &distinct(60, 60));
    for (name, side) in [
        ("day/a/large.png", 80),
        ("day/a/same.png", 60),
        ("day/a/small.png", 17),
    ] {
        save(folder.path(), name, &distinct(side, side));
    }
    let source = Source::detect(&NightToDay, folder.path()).unwrap();
    for augment in [true, false] {
        let config = DatasetConfig::new(NightToDay, 2, 16, 16).with_augment(augment);
        let dataset = Dataset::open(source.clone(), config).unwrap();
        assert_eq!((dataset.inputs(), dataset.observed(0)), (1, 0..3));
        for seed in 0..20 {
            let examples = [0, 1, 2].map(|k| dataset.example(k, seed).unwrap());
            for example in &examples {
                assert_eq!(
                    example.conditioning, examples[0].conditioning,
                    "seed {seed}"
                );
                assert_eq!(example.input, dataset.input_id(0));
            }
            // The output with the input's size shows the same region in the same orientation.
            assert_eq!(examples[1].targets, examples[1].conditioning);
        }
    }
}

#[test]
fn a_broken_output_leaves_the_others_of_its_input() {
    let folder = TempDir::new().unwrap();
    save(folder.path(), "night/a.png", &distinct(40, 40));
    for name in ["day/a/1.png", "day/a/2.png", "day/a/3.png"] {
        save(folder.path(), name, &distinct(40, 40));
    }
    let source = Source::detect(&NightToDay, folder.path()).unwrap();
    let config = DatasetConfig::new(NightToDay, 2, 16, 16).with_augment(true);
    let open = || Dataset::open(source.clone(), config.clone()).unwrap();
    let before = open();
    std::fs::write(folder.path().join("day/a/2.png"), "words").unwrap();
    let after = open();
    assert_eq!((after.inputs(), after.observed(0)), (1, 0..2));
    for name in ["a/1", "a/3"] {
        assert_eq!(by_name(&after, name, 4), by_name(&before, name, 4));
    }
}

#[test]
fn the_images_of_a_folder_are_listed_by_extension_in_order() {
    let folder = TempDir::new().unwrap();
    let error = list_images(folder.path()).unwrap_err();
    assert!(matches!(error, DataError::EmptyFolder { .. }), "{error}");
    for name in ["b.JPG", "a.png", "sub/c.tiff", "sub/.d.png", "e.txt", "png"] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "not read").unwrap();
    }
    std::fs::create_dir(folder.path().join("folder.png")).unwrap();
    let listed = list_images(folder.path()).unwrap().files;
    let expected = ["a.png", "b.JPG", "sub/c.tiff"].map(|name| folder.path().join(name));
    assert_eq!(listed, expected);

    for wrong in ["missing", "a.png"] {
        let error = list_images(&folder.path().join(wrong)).unwrap_err();
        assert!(matches!(error, DataError::Unreadable { .. }), "{error}");
    }
}
