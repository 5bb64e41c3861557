//! Scenes with known modes.

use chimle_data::procedural::Scene;
use chimle_data::{
    Colorization, DataError, Dataset, DatasetConfig, Decompression, MODES, NightToDay, Planes,
    Sizes, Source, SuperResolution, Task, TaskHandle, grayscale_lightness, lab, nearest_mode,
    targets,
};
use image::RgbImage;

/// Draws the scene with this number, with outputs of `side` x `side`.
fn scene(task: &dyn Task, levels: usize, side: usize, number: u64) -> Scene {
    let sizes = Sizes::new(task, levels, side, side).unwrap();
    let scene = task.scene(&sizes, number).unwrap();
    assert_eq!(scene.outputs.len(), MODES);
    scene
}

fn dataset(task: TaskHandle, levels: usize, side: usize) -> Dataset {
    let config = DatasetConfig::new(task, levels, side, side);
    Dataset::open(Source::Procedural { scenes: 50 }, config).unwrap()
}

fn mean_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32
}

/// Returns the mean of the modes, separately for each channel of each pixel.
fn average(modes: &[RgbImage]) -> RgbImage {
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
        let scene = scene(&Colorization, 3, 64, number);
        let lightness: Vec<Planes> = scene.outputs.iter().map(grayscale_lightness).collect();
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
        assert!(chroma(&average(&scene.outputs)) < 8.0);
        for mode in &scene.outputs {
            assert!(chroma(mode) > 25.0, "scene {number}: {}", chroma(mode));
        }
    }
}

#[test]
fn palettes_can_be_told_apart_at_eight_pixels() {
    for number in 0..30 {
        let scene = scene(&Colorization, 4, 64, number);
        let sizes = Sizes::new(&Colorization, 4, 64, 64).unwrap();
        let small = scene.outputs.iter();
        let small: Vec<Planes> = small
            .map(|mode| targets(mode, &sizes).unwrap()[0].clone())
            .collect();
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
    let cases: [(&dyn Task, usize, usize); 5] = [
        (&SuperResolution, 1, 64),
        (&SuperResolution, 2, 64),
        (&SuperResolution, 4, 128),
        (&Decompression, 3, 64),
        (&Decompression, 4, 128),
    ];
    for (task, levels, side) in cases {
        let (name, sizes) = (task.name(), Sizes::new(task, levels, side, side).unwrap());
        let mut worst = 0.0_f32;
        for number in 0..20 {
            let scene = scene(task, levels, side, number);
            let inputs = scene.outputs.iter().map(|mode| {
                let input = task.degrade(mode, &sizes, 0).unwrap();
                task.conditioning(&input, &sizes).unwrap().pop().unwrap()
            });
            let inputs: Vec<Planes> = inputs.collect();
            let modes: Vec<Planes> = scene.outputs.iter().map(Planes::from_rgb).collect();
            for i in 0..MODES {
                for j in 0..i {
                    let hidden = 255.0 * mean_difference(&inputs[i].data, &inputs[j].data);
                    let shown = 255.0 * mean_difference(&modes[i].data, &modes[j].data);
                    worst = worst.max(hidden);
                    // The value of a compressed block is a multiple of 32 levels. A block whose mean lies
                    // halfway may be rounded up or down, and at 64 pixels the image has only 16 blocks of
                    // color.
                    assert!(hidden < 3.0, "{name} scene {number}: {hidden} levels");
                    assert!(shown > 6.0, "{name} scene {number}: {shown} levels");
                }
            }
        }
        println!("{name}, {levels} levels: inputs of the modes at most {worst:.3} levels apart");
    }
}

#[test]
fn an_example_is_a_function_of_index_and_seed_and_its_input_of_the_index() {
    for task in TaskHandle::built_in() {
        let dataset = dataset(task.clone(), 2, 32);
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
        let scene = scene(&NightToDay, 3, 64, number);
        let night = Planes::from_rgb(&scene.input.unwrap());
        let days: Vec<Planes> = scene.outputs.iter().map(Planes::from_rgb).collect();
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
        for task in TaskHandle::built_in() {
            let sizes = Sizes::new(&*task, 2, height, width).unwrap();
            let scene = task.scene(&sizes, 11).unwrap();
            assert_eq!(scene.outputs[0].dimensions(), (width as u32, height as u32));
        }
    }
    let mut config = DatasetConfig::new(Colorization, 2, 16, 16);
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

/// A task that implements only the required functions.
#[derive(Debug)]
struct Darkening;

impl Task for Darkening {
    fn name(&self) -> &str {
        "darkening"
    }

    fn degrade(&self, photograph: &RgbImage, _: &Sizes, _: u64) -> Result<Planes, DataError> {
        let mut planes = Planes::from_rgb(photograph);
        planes.data.iter_mut().for_each(|value| *value /= 2.0);
        Ok(planes)
    }
}

#[test]
fn a_task_without_scenes_of_its_own_has_pictures_whose_outputs_are_not_known() {
    let dataset = dataset(Darkening.into(), 2, 32);
    let sizes = dataset.config().sizes().unwrap();
    for index in 0..10 {
        let scene = Darkening.scene(&sizes, index as u64).unwrap();
        assert_eq!((scene.input, scene.outputs.len()), (None, 1));
        let picture = &scene.outputs[0];
        let example = dataset.example(index, 0).unwrap();
        assert_eq!(example.targets, targets(picture, &sizes).unwrap());
        assert_eq!(example.modes, []);
        assert_eq!(example.truths(), [Planes::from_rgb(picture)]);
        let input = Darkening.degrade(picture, &sizes, 0).unwrap();
        let conditioning = Darkening.conditioning(&input, &sizes).unwrap();
        assert_eq!(example.conditioning, conditioning);
        // Nothing in the example is random, so the seed does not matter.
        assert_eq!(dataset.example(index, 1).unwrap(), example);
    }
    let pictures: Vec<_> = (0..10)
        .map(|k| dataset.example(k, 0).unwrap().targets)
        .collect();
    assert!((1..10).all(|k| !pictures[..k].contains(&pictures[k])));
}

#[test]
fn an_identity_belongs_to_the_scene_and_not_to_its_place() {
    let mut config = DatasetConfig::new(Colorization, 2, 16, 16);
    let source = Source::Procedural { scenes: 5 };
    let first = Dataset::open(source.clone(), config.clone()).unwrap();
    config.first_scene = 3;
    let later = Dataset::open(source, config).unwrap();
    assert_eq!(first.input_id(4), later.input_id(1));
    assert_eq!(first.example(4, 9).unwrap(), later.example(1, 9).unwrap());
    let ids: std::collections::BTreeSet<_> = (0..5).map(|k| first.input_id(k)).collect();
    assert_eq!(ids.len(), 5);
    for k in 0..5 {
        assert_eq!(first.example(k, 0).unwrap().input, first.input_id(k));
    }
}
