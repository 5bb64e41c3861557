//! Tests of drafts, of their recipes, and of the search for the picture nearest to a reference.

use burn_flex::Flex;
use chimle_core::data::Sizes;
use chimle_core::imle::{ExampleId, Search, SeededPool, Strategy, Target};
use chimle_core::perceptual::ImageDistance;
use chimle_core::{
    Code, Colorization, Decompression, Draft, DraftConfig, Error, GeneratorConfig, Mask, Model,
    Preset, Recipe, Region, Scale, SuperResolution, TaskHandle,
};
use image::{Rgb, RgbImage};

fn model(task: impl Into<TaskHandle>) -> Model<Flex> {
    let task = task.into();
    let architecture = chimle_core::architecture(&*task);
    let config = GeneratorConfig::preset(Preset::Tiny, architecture);
    Model::new(config.init::<Flex>(&Default::default()), task)
}

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(7 * x + y) as u8, (x * y) as u8, (3 * y) as u8])
    })
}

fn drawn(indices: &[u64]) -> Vec<Code> {
    indices.iter().copied().map(Code::Drawn).collect()
}

/// Makes a finished picture with a code of every kind and a region.
fn of_every_kind(model: &Model<Flex>, start: &Draft<Flex>) -> Draft<Flex> {
    let levels = model.config().levels();
    let codes = |k: u64| -> Vec<Code> {
        (0..levels as u64)
            .map(|level| match level % 3 {
                0 => Code::parts(Code::Drawn(k), Code::Drawn(k + 1)),
                1 => Code::between(Code::Drawn(k), Code::Drawn(k + 1), 0.3),
                _ => Code::Mixed {
                    like: drawn(&[k, k + 2]),
                    unlike: drawn(&[k + 3]),
                    varied: Box::new(Code::Drawn(k + 4)),
                    share: 0.4,
                },
            })
            .collect()
    };
    let old = model.advance_by(start, &codes(2)).unwrap();
    let (width, height) = old.picture().dimensions();
    let mask = Mask::from_fn(width, height, |x, y| x > width / 3 && y < height / 2);
    let within = old
        .codes()
        .iter()
        .map(|code| Code::within(mask.clone(), Code::Drawn(77), code.clone()));
    let new = model
        .advance_by(start, &within.collect::<Vec<_>>())
        .unwrap();
    old.within(Region::new(mask), &new).unwrap()
}

#[test]
fn candidates_of_every_level_are_those_of_the_sampler() {
    for task in [
        TaskHandle::new(Colorization),
        SuperResolution.into(),
        Decompression.into(),
    ] {
        let model = model(task.clone());
        // No side is a multiple of what the levels need.
        let input = picture(27, 18);
        let samples = model.sample(&input, 3, 9).unwrap();
        let config = DraftConfig {
            seed: 9,
            ..DraftConfig::default()
        };
        let start = model.draft(&input, config).unwrap();
        assert_eq!(start.picture().dimensions(), samples[0].dimensions());
        for (k, sample) in samples.iter().enumerate() {
            // Candidate k among eight at once, and then by itself.
            let mut draft = start.clone();
            while !draft.is_finished() {
                let eight: Vec<Code> = (0..8).map(Code::Drawn).collect();
                let mut candidates = model.advance(&draft, &eight).unwrap();
                draft = candidates.swap_remove(k);
                assert_eq!(draft.picture().dimensions(), sample.dimensions());
            }
            assert_eq!(draft.picture(), sample, "{task}");
            let levels = draft.level();
            let alone = model
                .advance_by(&start, &drawn(&vec![k as u64; levels]))
                .unwrap();
            assert_eq!(alone.picture(), sample, "{task}");
        }
    }
}

#[test]
fn a_recipe_makes_the_same_picture_bit_for_bit() {
    for task in [
        TaskHandle::new(Colorization),
        SuperResolution.into(),
        Decompression.into(),
    ] {
        let model = model(task.clone());
        let input = picture(40, 24);
        let start = model.draft(&input, DraftConfig::default()).unwrap();
        let finished = of_every_kind(&model, &start);
        let json = serde_json::to_string(&finished.recipe()).unwrap();
        let recipe: Recipe = serde_json::from_str(&json).unwrap();
        assert_eq!(recipe, finished.recipe());
        assert_eq!(
            &model.follow(&recipe, &input).unwrap(),
            finished.picture(),
            "{task}"
        );
    }
}

#[test]
fn nothing_changes_outside_a_region_and_something_changes_within() {
    let model = model(Colorization);
    let start = model
        .draft(&picture(40, 32), DraftConfig::default())
        .unwrap();
    let old = model.advance_by(&start, &drawn(&[1, 2, 3])).unwrap();
    let mask = Mask::from_fn(40, 32, |x, y| (8..30).contains(&x) && (6..26).contains(&y));
    let within: Vec<Code> = (old.codes().iter())
        .map(|code| Code::within(mask.clone(), Code::Drawn(9), code.clone()))
        .collect();
    let new = model.advance_by(&start, &within).unwrap();
    let edited = old.within(Region::new(mask.clone()), &new).unwrap();
    let mut changed = 0;
    for (x, y, pixel) in edited.picture().enumerate_pixels() {
        match mask.contains(x, y) {
            true => changed += usize::from(pixel != old.picture().get_pixel(x, y)),
            false => assert_eq!(pixel, old.picture().get_pixel(x, y), "{x} {y}"),
        }
    }
    assert!(changed > 100, "{changed}");
    // A region can be added before the last level. Then both pictures are advanced.
    let half_old = model.advance_by(&start, &drawn(&[1])).unwrap();
    let half_new = model.advance_by(&start, &within[..1]).unwrap();
    let half = half_old.within(Region::new(mask), &half_new).unwrap();
    let done = model.advance_by(&half, &drawn(&[2, 3])).unwrap();
    assert!(done.is_finished() && done.has_regions());
}

#[test]
fn the_nearest_picture_is_what_the_search_finds() {
    let model = model(Colorization);
    let (input, reference) = (picture(32, 16), picture(48, 24));
    let config = DraftConfig {
        seed: 3,
        ..DraftConfig::default()
    };
    let start = model.draft(&input, config).unwrap();
    let pools = [20, 9, 3];
    let distance = ImageDistance::LaplacianPyramid;
    let mut told = Vec::new();
    let found = model
        .nearest(&start, &reference, &distance, &pools, &mut |done, of| {
            told.push((done, of));
            true
        })
        .unwrap();
    assert_eq!(
        (told.first(), told.last()),
        (Some(&(0, 32)), Some(&(32, 32)))
    );

    let sizes = Sizes::new(&Colorization, 3, 16, 32).unwrap();
    let brought = chimle_core::data::downsample(&reference, 32, 16).unwrap();
    let task = model.task();
    let tensor = |planes: chimle_core::data::Planes| planes.to_tensor::<Flex>(model.device());
    let targets = task
        .targets(&brought, &sizes)
        .unwrap()
        .into_iter()
        .map(tensor)
        .collect();
    let planes = task.input_of_picture(&input).unwrap();
    let conditioning = task
        .conditioning(&planes, &sizes)
        .unwrap()
        .into_iter()
        .map(tensor)
        .collect();
    let search = Search::new(
        Strategy::Hierarchical {
            pools: pools.to_vec(),
        },
        64,
    );
    let target = Target::new::<Flex, _>(&distance, targets);
    let expected = search
        .run(
            model.generator(),
            &distance,
            conditioning,
            &target,
            &SeededPool::new(3),
            &[ExampleId(0)],
        )
        .unwrap();
    let candidates: Vec<usize> = found.iter().map(|one| one.candidate as usize).collect();
    assert_eq!(candidates, expected[0].candidates);
    assert!(found[2].draft.is_finished());

    let stopped = model.nearest(&start, &reference, &distance, &pools, &mut |done, _| {
        done < 8
    });
    assert!(matches!(stopped, Err(Error::Stopped)));
    assert!(
        model
            .nearest(&start, &reference, &distance, &[4, 4], &mut |_, _| true)
            .is_err()
    );
}

#[test]
fn a_picture_of_a_large_input_is_finished_at_its_size() {
    let input = picture(150, 90);
    let config = DraftConfig {
        largest: Some(50),
        ..DraftConfig::default()
    };
    for (task, size) in [
        (TaskHandle::new(Colorization), (150, 90)),
        (Decompression.into(), (150, 90)),
    ] {
        let model = model(task);
        let start = model.draft(&input, config).unwrap();
        assert_eq!(start.picture().dimensions(), (50, 30));
        let finished = of_every_kind(&model, &start);
        let full = model
            .finish(&finished, &input, u64::MAX, &mut |_, _| true)
            .unwrap();
        assert_eq!(full.dimensions(), size);
        // The recipe makes the picture at the same full size.
        assert_eq!(model.follow(&finished.recipe(), &input).unwrap(), full);
        let stopped = model.finish(&finished, &input, u64::MAX, &mut |done, _| done < 1);
        assert!(matches!(stopped, Err(Error::Stopped)));
    }
    // A picture that does not fit into the memory is refused before it is evaluated.
    let model = model(Decompression);
    let finished = of_every_kind(&model, &model.draft(&input, config).unwrap());
    let error = model
        .finish(&finished, &input, 1 << 16, &mut |_, _| true)
        .unwrap_err();
    assert!(error.to_string().contains("150x90"), "{error}");
}

/// Finishes a picture, and returns it with the number of times that the progress was reported.
fn finished(model: &Model<Flex>, draft: &Draft<Flex>, input: &RgbImage) -> (RgbImage, usize) {
    let mut reports = 0;
    let full = model.finish(draft, input, u64::MAX, &mut |done, of| {
        assert!(done <= of);
        reports += 1;
        true
    });
    (full.unwrap(), reports)
}

#[test]
fn a_large_picture_is_finished_in_tiles_of_the_size_of_training() {
    let input = picture(150, 90);
    let config = DraftConfig {
        largest: Some(50),
        ..DraftConfig::default()
    };
    let model = model(Decompression).with_trained_size(32, 32);
    let start = model.draft(&input, config).unwrap();
    let chosen = model.advance_by(&start, &drawn(&[1, 2, 3])).unwrap();
    let (full, reports) = finished(&model, &chosen, &input);
    assert_eq!(full.dimensions(), (150, 90));
    // 5 rows of 9 tiles, and each row is reported by itself.
    assert!(reports >= 5, "{reports}");
    // The picture does not depend on how many tiles are evaluated at once.
    let few = model.clone().with_at_once(2, u64::MAX);
    let (again, more_reports) = finished(&few, &chosen, &input);
    assert!(more_reports > reports);
    let values = full.as_raw().iter().zip(again.as_raw());
    assert!(values.map(|(a, b)| a.abs_diff(*b)).max() <= Some(1));
    // Different codes make a different picture at full size too.
    let other = model.advance_by(&start, &drawn(&[4, 5, 6])).unwrap();
    assert_ne!(finished(&model, &other, &input).0, full);
    // The memory of tiles is enough, and that of the whole picture is not needed.
    let whole = model.bytes_per_sample(90, 150);
    assert!(
        model
            .finish(&chosen, &input, whole, &mut |_, _| true)
            .is_ok()
    );
    let all_at_once = model.clone().with_scale(Scale::Whole);
    let refused = all_at_once.finish(&chosen, &input, whole, &mut |_, _| true);
    assert!(matches!(refused, Err(Error::Setting { field: "size", .. })));
}

#[test]
fn a_region_of_a_large_picture_changes_nothing_else() {
    let input = picture(160, 96);
    let config = DraftConfig {
        largest: Some(80),
        ..DraftConfig::default()
    };
    let model = model(Decompression).with_trained_size(32, 32);
    let start = model.draft(&input, config).unwrap();
    let old = model.advance_by(&start, &drawn(&[1, 2, 3])).unwrap();
    let new = model.advance_by(&start, &drawn(&[4, 5, 6])).unwrap();
    let mask = Mask::from_fn(80, 48, |x, y| x >= 60 && y >= 30);
    let edited = old.within(Region::new(mask), &new).unwrap();
    let ((before, all), (after, with_region)) = (
        finished(&model, &old, &input),
        finished(&model, &edited, &input),
    );
    for (x, y, pixel) in after.enumerate_pixels() {
        if x < 120 || y < 60 {
            assert_eq!(pixel, before.get_pixel(x, y), "{x} {y}");
        }
    }
    assert_ne!(after, before);
    // Well inside the region, the picture is that of the other codes.
    let (inside, _) = finished(&model, &new, &input);
    assert_eq!(after.get_pixel(155, 90), inside.get_pixel(155, 90));
    // Only tiles that touch the region are evaluated for it.
    assert!(with_region < 2 * all, "{with_region} {all}");
}

#[test]
fn a_large_photograph_is_degraded_or_enlarged_at_its_full_size() {
    let input = picture(72, 44);
    let of = |largest, degrade| DraftConfig {
        largest: Some(largest),
        degrade,
        seed: 5,
    };
    for (task, config, size) in [
        // A photograph is cropped to a multiple before it is degraded: here of 8, and of 4.
        (TaskHandle::new(SuperResolution), of(40, true), (72, 40)),
        (Decompression.into(), of(40, true), (72, 44)),
        (SuperResolution.into(), of(16, false), (576, 352)),
    ] {
        // The size of training is not known, so the tiles have the size of the preview.
        let model = model(task.clone());
        let start = model.draft(&input, config).unwrap();
        let half = model.advance_by(&start, &drawn(&[1])).unwrap();
        assert_eq!(finished(&model, &half, &input).0.dimensions(), size);
        let chosen = model.advance_by(&half, &drawn(&[2, 0])).unwrap();
        let (full, reports) = finished(&model, &chosen, &input);
        assert_eq!(full.dimensions(), size, "{task}");
        assert!(reports > 2, "{task}: {reports}");
        assert_eq!(model.follow(&chosen.recipe(), &input).unwrap(), full);
    }
}

#[test]
fn a_recipe_begins_with_its_settings_and_lists_its_codes() {
    let model = model(Colorization);
    let input = picture(80, 48);
    let config = DraftConfig {
        seed: 8,
        largest: Some(40),
        degrade: false,
    };
    let chosen = of_every_kind(&model, &model.draft(&input, config).unwrap());
    let start = model.begin_recipe(&chosen.recipe(), &input).unwrap();
    assert_eq!((start.level(), start.config()), (0, config));
    let again = model.remake(&start, &chosen.layers()).unwrap();
    assert_eq!(again.picture(), chosen.picture());

    let mut indices = Vec::new();
    chosen.layers()[0].codes[2].each(&mut |code| {
        if let Code::Drawn(index) = code {
            indices.push(*index);
        }
    });
    assert_eq!(indices, [2, 4, 5, 6]);
}

#[test]
fn a_recipe_for_another_model_or_input_is_refused() {
    let model = model(Colorization).with_checksum("aa");
    let input = picture(40, 24);
    let start = model.draft(&input, DraftConfig::default()).unwrap();
    let recipe = model
        .advance_by(&start, &drawn(&[1, 2, 3]))
        .unwrap()
        .recipe();
    let refusal = |recipe: &Recipe, input: &RgbImage| {
        let error = model.follow(recipe, input).unwrap_err();
        assert!(matches!(error, Error::Recipe { .. }), "{error}");
        error.to_string()
    };
    let changed = |change: &dyn Fn(&mut Recipe)| {
        let mut recipe = recipe.clone();
        change(&mut recipe);
        recipe
    };
    for (recipe, reason) in [
        (changed(&|r| r.model = Some("bb".into())), "another model"),
        (
            changed(&|r| r.task = "decompression".into()),
            "is for decompression",
        ),
        (changed(&|r| r.format = 2), "format is 2"),
        (changed(&|r| r.layers.clear()), "0 layers"),
        (
            changed(&|r| r.layers[0].codes.push(Code::Drawn(0))),
            "codes of 4 levels",
        ),
        (changed(&|r| r.layers.push(r.layers[0].clone())), "layer 2"),
    ] {
        let error = refusal(&recipe, &input);
        assert!(error.contains(reason), "{error}");
    }
    assert!(refusal(&recipe, &picture(41, 24)).contains("41x24"));
    let mut other = input.clone();
    other.put_pixel(0, 0, Rgb([1, 2, 3]));
    assert!(refusal(&recipe, &other).contains("SHA-256 of its pixels"));
    // A recipe without the checksum of a model can be followed with any model that fits.
    let mut unnamed = recipe.clone();
    unnamed.model = None;
    assert!(model.follow(&unnamed, &input).is_ok());
}

#[test]
fn inputs_that_are_too_small_and_levels_that_are_not_there_are_errors() {
    let model = model(Colorization);
    let error = model
        .draft(&picture(1, 1), DraftConfig::default())
        .unwrap_err();
    assert!(error.to_string().contains("1x1"), "{error}");
    let start = model
        .draft(&picture(40, 24), DraftConfig::default())
        .unwrap();
    let finished = model.advance_by(&start, &drawn(&[0, 0, 0])).unwrap();
    assert!(model.advance(&finished, &drawn(&[0])).is_err());
}
