//! Tests of pictures that are larger than those of training.

use burn_flex::Flex;
use chimle_core::data::{Planes, grayscale_lightness};
use chimle_core::{
    Architecture, Colorization, Decompression, Error, GeneratorConfig, Model, Preset, Scale,
    SuperResolution, TaskHandle, Vary,
};
use image::{Rgb, RgbImage};

fn model(task: impl Into<TaskHandle>, architecture: Architecture) -> Model<Flex> {
    let mut config = GeneratorConfig::preset(Preset::Tiny, architecture);
    config.residual_channels = vec![6, 5, 4];
    config.growth_channels = vec![4, 3, 3];
    Model::new(config.init(&Default::default()), task)
}

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let shade = (x * 7 + y * 3) % 200;
        Rgb([shade as u8 + 20, (shade / 2 + y % 50) as u8, 90])
    })
}

#[test]
fn one_tile_is_the_whole_picture() {
    for (task, architecture, side) in [
        (
            TaskHandle::new(Decompression),
            Architecture::ImageToImage,
            16,
        ),
        (
            TaskHandle::new(SuperResolution),
            Architecture::SuperResolution,
            2,
        ),
    ] {
        let model = model(task, architecture).with_trained_size(16, 16);
        let input = picture(side, side);
        for vary in [Vary::Everything, Vary::Global, Vary::Level(2)] {
            let tiled = model
                .clone()
                .with_scale(Scale::Tiles)
                .vary(&input, 2, 5, vary)
                .unwrap();
            let whole = model
                .clone()
                .with_scale(Scale::Whole)
                .vary(&input, 2, 5, vary)
                .unwrap();
            for (tiled, whole) in tiled.iter().zip(&whole) {
                let values = tiled.as_raw().iter().zip(whole.as_raw());
                assert!(values.map(|(a, b)| a.abs_diff(*b)).max() <= Some(1));
            }
        }
    }
}

#[test]
fn a_picture_of_many_tiles_has_its_own_size_and_is_drawn_again_by_its_seed() {
    let model = model(SuperResolution, Architecture::SuperResolution).with_trained_size(16, 16);
    let input = picture(7, 5);
    let samples = model.sample(&input, 2, 3).unwrap();
    assert_eq!(samples[0].dimensions(), (56, 40));
    assert_ne!(samples[0], samples[1]);
    let few = model.clone().with_at_once(3, u64::MAX);
    let again = few.sample(&input, 1, 3).unwrap();
    let values = samples[0].as_raw().iter().zip(again[0].as_raw());
    assert!(values.map(|(a, b)| a.abs_diff(*b)).max() <= Some(1));
}

#[test]
fn a_large_gray_picture_is_colored_at_the_size_of_training_and_keeps_its_lightness() {
    let model = model(Colorization, Architecture::Colorization).with_trained_size(16, 16);
    let input = picture(90, 60);
    let reduced = model.sample(&input, 2, 1).unwrap();
    assert_eq!(reduced[0].dimensions(), (90, 60));
    assert_eq!(
        reduced,
        model
            .clone()
            .with_scale(Scale::Reduced)
            .sample(&input, 2, 1)
            .unwrap()
    );
    let lightness = |image: &RgbImage| -> Planes { grayscale_lightness(image) };
    let (given, made) = (lightness(&input), lightness(&reduced[0]));
    // A color that is out of gamut is clipped, which changes its lightness.
    let mut kept = 0;
    for (place, pixel) in reduced[0].pixels().enumerate() {
        if pixel.0.iter().all(|value| (1..255).contains(value)) {
            kept += 1;
            let difference = (given.data[place] - made.data[place]).abs();
            assert!(difference < 0.02, "{difference} at {place}");
        }
    }
    assert!(kept > 90 * 60 / 2, "{kept}");
}

#[test]
fn small_pictures_and_models_of_unknown_size_are_evaluated_as_a_whole() {
    let unknown = model(Decompression, Architecture::ImageToImage);
    let known = unknown.clone().with_trained_size(32, 32);
    let input = picture(48, 48);
    let whole = unknown.sample(&input, 1, 0).unwrap();
    assert_eq!(whole, known.sample(&input, 1, 0).unwrap());
    let larger = picture(64, 52);
    assert_ne!(
        known.sample(&larger, 1, 0).unwrap(),
        unknown.sample(&larger, 1, 0).unwrap()
    );
}

#[test]
fn a_scale_that_does_not_fit_is_refused() {
    let unknown = model(Decompression, Architecture::ImageToImage).with_scale(Scale::Tiles);
    let error = unknown.sample(&picture(64, 64), 1, 0).unwrap_err();
    assert!(matches!(error, Error::Setting { field: "scale", .. }));
    let colorless = unknown.with_trained_size(16, 16).with_scale(Scale::Reduced);
    let error = colorless.sample(&picture(64, 64), 1, 0).unwrap_err();
    assert!(error.to_string().contains("decompression"), "{error}");
    let error = "huge".parse::<Scale>().unwrap_err();
    assert!(error.to_string().contains("huge"), "{error}");
}
