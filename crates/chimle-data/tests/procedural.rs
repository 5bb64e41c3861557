//! Scenes with known modes.

use chimle_data::procedural::scene;
use chimle_data::{
    Dataset, DatasetConfig, MODES, Planes, Source, Task, conditioning, grayscale_lightness, lab,
    nearest_mode, task_input,
};
use image::RgbImage;

fn dataset(task: Task, levels: usize, side: usize) -> Dataset {
    let config = DatasetConfig::new(task, levels, side, side);
    Dataset::open(Source::Procedural { scenes: 50 }, config).unwrap()
}

fn mean_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32
}

/// The modes' mean, each channel of each pixel on its own.
fn average(modes: &[RgbImage; MODES]) -> RgbImage {
    RgbImage::from_fn(modes[0].width(), modes[0].height(), |x, y| {
        let sum = |c: usize| {
            modes
                .iter()
                .map(|m| u32::from(m.get_pixel(x, y)[c]))
                .sum::<u32>()
        };
        image::Rgb([0, 1, 2].map(|c| (sum(c) / MODES as u32) as u8))
    })
}

#[test]
fn palettes_share_the_lightness_and_average_to_gray() {
    for number in 0..30 {
        let scene = scene(Task::Colorization, 3, 64, 64, number).unwrap();
        let lightness = scene.modes.each_ref().map(grayscale_lightness);
        for mode in &lightness[1..] {
            let differences = lightness[0].data.iter().zip(&mode.data);
            let largest = differences.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(largest < 0.01, "scene {number}: {largest}");
        }
        let chroma = |image: &RgbImage| {
            let lab = lab(image);
            let ab = lab.plane(1).iter().zip(lab.plane(2));
            ab.map(|(a, b)| a.hypot(*b)).sum::<f32>() / (64.0 * 64.0)
        };
        assert!(chroma(&average(&scene.modes)) < 8.0);
        for mode in &scene.modes {
            assert!(chroma(mode) > 25.0, "scene {number}: {}", chroma(mode));
        }
    }
}

#[test]
fn palettes_can_be_told_apart_at_eight_pixels() {
    for number in 0..30 {
        let scene = scene(Task::Colorization, 4, 64, 64, number).unwrap();
        let small = scene
            .modes
            .each_ref()
            .map(|mode| chimle_data::targets(4, mode).unwrap()[0].clone());
        for i in 0..MODES {
            for j in 0..i {
                let distance = small[i].mean_squared_distance(&small[j]).unwrap();
                assert!(
                    distance.sqrt() > 0.08,
                    "scene {number}: {}",
                    distance.sqrt()
                );
            }
        }
    }
}

#[test]
fn degradations_hide_the_pattern() {
    for (task, levels, side) in [
        (Task::SuperResolution, 1, 64),
        (Task::SuperResolution, 2, 64),
        (Task::SuperResolution, 4, 128),
        (Task::Decompression, 3, 64),
        (Task::Decompression, 4, 128),
    ] {
        let mut worst = 0.0_f32;
        for number in 0..20 {
            let scene = scene(task, levels, side, side, number).unwrap();
            let inputs = scene.modes.each_ref().map(|mode| {
                let input = task_input(task, levels, mode).unwrap();
                conditioning(task, levels, &input).unwrap().pop().unwrap()
            });
            let modes = scene.modes.each_ref().map(Planes::from_rgb);
            for i in 0..MODES {
                for j in 0..i {
                    let hidden = 255.0 * mean_difference(&inputs[i].data, &inputs[j].data);
                    let shown = 255.0 * mean_difference(&modes[i].data, &modes[j].data);
                    worst = worst.max(hidden);
                    // A compressed block is a multiple of 32 levels; one whose mean lies halfway may fall
                    // either way, and at 64 pixels the image has only 16 blocks of color.
                    assert!(hidden < 3.0, "{task} scene {number}: {hidden} levels");
                    assert!(shown > 6.0, "{task} scene {number}: {shown} levels");
                }
            }
        }
        println!("{task}, {levels} levels: inputs of the modes at most {worst:.3} levels apart");
    }
}

#[test]
fn an_example_is_a_function_of_index_and_seed_and_its_input_of_the_index() {
    for task in Task::ALL {
        let dataset = dataset(task, 2, 32);
        let examples: Vec<_> = (0..40)
            .map(|seed| dataset.example(3, seed).unwrap())
            .collect();
        assert_eq!(dataset.example(3, 7).unwrap(), examples[7]);
        let mut drawn = [0; MODES];
        for example in &examples {
            assert_eq!(example.conditioning, examples[0].conditioning);
            assert_eq!(example.modes, examples[0].modes);
            let target = example.targets.last().unwrap();
            let (mode, distance) = nearest_mode(&example.modes, target).unwrap();
            assert_eq!(distance, 0.0);
            drawn[mode] += 1;
        }
        assert!(drawn.iter().all(|count| *count >= 2), "{task}: {drawn:?}");
        assert_ne!(dataset.example(4, 7).unwrap().modes, examples[7].modes);
    }
}

#[test]
fn daylights_differ_from_each_other_and_from_the_night() {
    for number in 0..10 {
        let scene = scene(Task::NightToDay, 3, 64, 64, number).unwrap();
        let night = Planes::from_rgb(&scene.input.unwrap());
        let days = scene.modes.each_ref().map(Planes::from_rgb);
        for i in 0..MODES {
            let brightness =
                |planes: &Planes| planes.data.iter().sum::<f32>() / planes.data.len() as f32;
            assert!(brightness(&days[i]) > 2.0 * brightness(&night));
            for j in 0..i {
                assert!(days[i].mean_squared_distance(&days[j]).unwrap().sqrt() > 0.08);
            }
        }
    }
}

#[test]
fn scenes_can_be_of_any_shape_and_begin_at_any_number() {
    for (height, width) in [(8, 8), (16, 72), (96, 24)] {
        for task in Task::ALL {
            let scene = scene(task, 2, height, width, 11).unwrap();
            assert_eq!(scene.modes[0].dimensions(), (width as u32, height as u32));
        }
    }
    let mut config = DatasetConfig::new(Task::Colorization, 2, 16, 16);
    let source = Source::Procedural { scenes: 5 };
    let first = Dataset::open(source.clone(), config.clone()).unwrap();
    config.first_scene = 3;
    let later = Dataset::open(source, config).unwrap();
    assert_eq!(
        first.example(4, 0).unwrap().modes,
        later.example(1, 0).unwrap().modes
    );
    assert_eq!(later.name(1), "scene-4");
}
