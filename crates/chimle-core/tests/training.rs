//! Runs: stopping, resuming, diverging, and what their folders hold.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_core::data::Planes;
use chimle_core::imle::Strategy;
use chimle_core::{
    DataSource, Error, Event, Model, Preset, RunConfig, Silent, Task, Trainer, Vary,
};

type B = Autodiff<Flex>;

/// A run of a few seconds: three searches, two checkpoints within shares.
fn small(task: Task) -> RunConfig {
    let mut config = RunConfig::new(task, Preset::Tiny);
    config.data.source = DataSource::Procedural { scenes: 20 };
    (config.data.height, config.data.width) = (16, 24);
    config.generator.residual_channels = vec![6, 4];
    config.generator.growth_channels = vec![4, 3];
    config.search.strategy = Strategy::Hierarchical { pools: vec![3, 2] };
    config.training.steps = 12;
    config.training.share = 6;
    config.training.steps_per_search = 5;
    config.training.batch = 4;
    config.training.perturbation = 0.1;
    config.training.checkpoint_every = 3;
    config.training.validate_every = 6;
    config
}

fn newest_weights(run: &Path) -> Vec<u8> {
    fs::read(run.join("checkpoints/step-00000012/generator.safetensors")).unwrap()
}

/// Trains unbroken, and killed three times and resumed; gives the weights of both.
fn whole_and_broken(config: RunConfig, folder: &Path) -> [Vec<u8>; 2] {
    let whole = folder.join("whole");
    let mut trainer = Trainer::<B>::create(config.clone(), &whole, Default::default()).unwrap();
    trainer.run(&mut Silent).unwrap();

    let broken = folder.join("broken");
    let mut trainer = Trainer::<B>::create(config, &broken, Default::default()).unwrap();
    for stop in [2, 5, 10] {
        // Ended at once, between two checkpoints, with nothing written on the way out.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            trainer.run(&mut |event: &Event| {
                if matches!(event, Event::Step { step, .. } if *step == stop) {
                    panic!("stopped");
                }
            })
        }));
        assert!(ended.is_err());
        // What a kill in the middle of writing leaves.
        fs::create_dir_all(broken.join("checkpoints/.writing-abc")).unwrap();
        fs::write(
            broken.join("checkpoints/.writing-abc/generator.safetensors"),
            b"half",
        )
        .unwrap();
        trainer = Trainer::resume(&broken, Default::default()).unwrap();
        assert_eq!(trainer.step(), stop / 3 * 3);
    }
    trainer.run(&mut Silent).unwrap();
    [newest_weights(&whole), newest_weights(&broken)]
}

#[test]
fn a_run_killed_and_resumed_ends_with_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, broken] = whole_and_broken(small(Task::Colorization), folder.path());
    assert!(whole == broken);

    // And it learned: the weights are not those it began with.
    let mut untrained = small(Task::Colorization);
    untrained.training.steps = 0;
    let fresh = folder.path().join("fresh");
    Trainer::<B>::create(untrained, &fresh, Default::default())
        .unwrap()
        .run(&mut Silent)
        .unwrap();
    let fresh = fs::read(fresh.join("checkpoints/step-00000000/generator.safetensors")).unwrap();
    assert!(fresh != whole);
}

#[test]
fn one_night_with_several_days_is_trained_on_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let save = |name: String, tint: f32| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let picture = Planes::from_fn(3, 20, 28, |channel, y, x| {
            (tint * channel as f32 + (x * y % 7) as f32 / 9.0).min(1.0)
        });
        picture.to_rgb().save(path).unwrap();
    };
    for night in 0..7 {
        save(format!("night/{night}.png"), 0.0);
        for day in 0..=night % 3 {
            save(format!("day/{night}/{day}.png"), 0.1 + 0.1 * day as f32);
        }
    }
    let mut config = small(Task::NightToDay);
    config.data.source = DataSource::Folder(folder.path().to_owned());
    config.data.augment = true;
    // Every night, so that every day.
    config.training.share = 7;

    let mut searched = Vec::new();
    let run = folder.path().join("run");
    let mut trainer = Trainer::<B>::create(config.clone(), &run, Default::default()).unwrap();
    trainer
        .run(&mut |event: &Event| {
            if let Event::Searched { examples, .. } = event {
                searched.push(*examples);
            }
        })
        .unwrap();
    assert_eq!(searched, [13; 3]);

    let [whole, broken] = whole_and_broken(config, folder.path());
    assert!(whole == broken);
}

#[test]
fn the_seed_decides() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, seed| {
        let mut config = small(Task::SuperResolution);
        config.seed = seed;
        let run = folder.path().join(name);
        Trainer::<B>::create(config, &run, Default::default())
            .unwrap()
            .run(&mut Silent)
            .unwrap();
        newest_weights(&run)
    };
    let first = run("a", 1);
    assert!(first == run("b", 1));
    assert!(first != run("c", 2));
}

#[test]
fn the_log_has_every_step_once_and_half_a_line_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut trainer =
        Trainer::<B>::create(small(Task::Decompression), &run, Default::default()).unwrap();
    trainer.run(&mut Silent).unwrap();
    let log = run.join("log.jsonl");
    let mut text = fs::read_to_string(&log).unwrap();
    text.push_str("{\"event\":\"step\",\"st");
    fs::write(&log, text).unwrap();
    Trainer::<B>::resume(&run, Default::default())
        .unwrap()
        .run(&mut Silent)
        .unwrap();

    let lines: Vec<serde_json::Value> = fs::read_to_string(&log)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &str| {
        lines
            .iter()
            .filter(|line| line["event"] == kind)
            .collect::<Vec<_>>()
    };
    let steps: Vec<u64> = of("step")
        .iter()
        .map(|line| line["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, (1..=12).collect::<Vec<_>>());
    assert_eq!(of("searched").len(), 3);
    for searched in of("searched") {
        let mean =
            |field: &str| -> Vec<f64> { serde_json::from_value(searched[field].clone()).unwrap() };
        assert!(
            mean("chosen")
                .iter()
                .zip(mean("pool"))
                .all(|(chosen, pool)| *chosen <= pool)
        );
    }
    let strips = fs::read_dir(run.join("samples")).unwrap();
    let mut strips: Vec<_> = strips
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    strips.sort();
    let expected = [0, 1, 2, 3, 4, 6, 7, 10, 12].map(|step| format!("step-{step:08}.png"));
    assert_eq!(strips, expected);
    assert_eq!(
        fs::read_dir(run.join("checkpoints")).unwrap().count(),
        2,
        "the newest two are kept"
    );
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_the_last_checkpoint_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = small(Task::NightToDay);
    config.training.learning_rate = 1e30;
    let mut trainer = Trainer::<B>::create(config, folder.path(), Default::default()).unwrap();
    let error = trainer.run(&mut Silent).unwrap_err();
    assert!(
        matches!(error, Error::Diverged { .. } | Error::Search(_)),
        "{error}"
    );
    assert!(!error.to_string().contains('\n'));
    Model::<Flex>::load(folder.path(), &Default::default()).unwrap();
}

#[test]
fn a_folder_is_not_trained_in_twice_and_an_empty_one_is_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Trainer::<B>::resume(folder.path(), Default::default())
        .err()
        .unwrap();
    assert!(missing.to_string().contains("holds no run"), "{missing}");
    Trainer::<B>::create(small(Task::Colorization), folder.path(), Default::default()).unwrap();
    let twice = Trainer::<B>::create(small(Task::Colorization), folder.path(), Default::default())
        .err()
        .unwrap();
    assert!(matches!(twice, Error::RunExists { .. }));
    let no_checkpoint = Model::<Flex>::load(folder.path(), &Default::default()).unwrap_err();
    assert!(
        no_checkpoint.to_string().contains("no checkpoint"),
        "{no_checkpoint}"
    );
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer =
        Trainer::<B>::create(small(Task::Colorization), folder.path(), Default::default()).unwrap();
    trainer.run(&mut Silent).unwrap();
    for file in ["generator.safetensors", "adam.mpk", "position.json"] {
        let path = folder.path().join("checkpoints/step-00000012").join(file);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = Trainer::<B>::resume(folder.path(), Default::default())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(file) && !error.contains('\n'), "{error}");
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn samples_have_the_inputs_size_and_repeat_by_seed() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = small(Task::Colorization);
    config.training.steps = 0;
    let mut trainer = Trainer::<B>::create(config, folder.path(), Default::default()).unwrap();
    trainer.run(&mut Silent).unwrap();
    let model = Model::<Flex>::load(folder.path(), &Default::default()).unwrap();
    let input = image::RgbImage::from_fn(13, 7, |x, y| {
        image::Rgb([(x * 19) as u8, (y * 36) as u8, 90])
    });
    let samples = model.sample(&input, 3, 5).unwrap();
    assert!(samples.iter().all(|sample| sample.dimensions() == (13, 7)));
    assert_ne!(samples[0], samples[1]);
    assert_eq!(samples[..2], model.sample(&input, 2, 5).unwrap());
    assert_ne!(samples[0], model.sample(&input, 1, 6).unwrap()[0]);
    for vary in [Vary::Global, Vary::Local, Vary::Level(2)] {
        let varied = model.vary(&input, 2, 5, vary).unwrap();
        assert_eq!(varied[0], samples[0], "{vary:?} begins at the first sample");
        assert_ne!(varied[1], varied[0], "{vary:?}");
        assert_ne!(varied[1], samples[1], "{vary:?}");
    }
    let error = model.vary(&input, 2, 5, Vary::Level(3)).unwrap_err();
    assert!(error.to_string().contains("level 3"), "{error}");
}

#[test]
fn a_configuration_survives_its_file_and_an_unknown_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    for preset in [Preset::Tiny, Preset::Small, Preset::Paper] {
        for task in Task::ALL {
            let config = RunConfig::new(task, preset);
            fs::write(&path, config.to_toml()).unwrap();
            assert_eq!(RunConfig::read(&path).unwrap(), config);
        }
    }
    let text = RunConfig::new(Task::Colorization, Preset::Tiny).to_toml();
    fs::write(&path, text.replace("learning_rate", "learning_speed")).unwrap();
    let error = RunConfig::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("config.toml") && error.contains("learning_speed"),
        "{error}"
    );
    assert!(!error.contains('\n'));
}
