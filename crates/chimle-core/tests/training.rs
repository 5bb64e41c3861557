//! Tests of runs: stopping, resuming, diverging, and the contents of run folders.

mod run;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_core::data::Planes;
use chimle_core::imle::Strategy;
use chimle_core::nn::{WeightFile, is_mapping};
use chimle_core::{
    Colorization, DataSource, Decompression, Error, Event, GeneratorConfig, Measure, Model,
    NightToDay, Preset, RunConfig, RunFolder, Silent, SuperResolution, TaskHandle, Trainer, Vary,
};
use run::small;

type B = Autodiff<Flex>;

fn newest_weights(run: &Path) -> Vec<u8> {
    fs::read(run.join("checkpoints/step-00000012/generator.safetensors")).unwrap()
}

/// Trains one run without a break, and another run that is killed and resumed three times. Returns the
/// weights of both.
fn whole_and_broken(config: RunConfig, folder: &Path) -> [Vec<u8>; 2] {
    let whole = folder.join("whole");
    let mut trainer = Trainer::<B>::create(config.clone(), &whole, Default::default()).unwrap();
    trainer.run(&mut Silent).unwrap();

    let broken = folder.join("broken");
    let mut trainer = Trainer::<B>::create(config, &broken, Default::default()).unwrap();
    for stop in [2, 5, 10] {
        // The run ends at once, between two checkpoints, and writes nothing more.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            trainer.run(&mut |event: &Event| {
                if matches!(event, Event::Step { step, .. } if *step == stop) {
                    panic!("stopped");
                }
            })
        }));
        assert!(ended.is_err());
        // A process that is killed while it writes leaves such a folder.
        fs::create_dir_all(broken.join("checkpoints/.writing-abc")).unwrap();
        fs::write(
            broken.join("checkpoints/.writing-abc/generator.safetensors"),
            b"half",
        )
        .unwrap();
        drop(trainer); // The trainer holds the lock.
        trainer = Trainer::resume(&broken, Default::default()).unwrap();
        assert_eq!(trainer.step(), stop / 3 * 3);
    }
    trainer.run(&mut Silent).unwrap();
    [newest_weights(&whole), newest_weights(&broken)]
}

#[test]
fn a_run_killed_and_resumed_ends_with_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, broken] = whole_and_broken(small(Colorization), folder.path());
    assert!(whole == broken);
}

#[test]
fn a_run_stopped_within_a_search_ends_with_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = small(Colorization);
    config.search.chunk = 3; // One input at a time at the finest level.
    let whole = folder.path().join("whole");
    let mut trainer = Trainer::<B>::create(config.clone(), &whole, Default::default()).unwrap();
    trainer.run(&mut Silent).unwrap();

    let broken = folder.path().join("broken");
    let mut trainer = Trainer::<B>::create(config, &broken, Default::default()).unwrap();
    let mut interrupted = 0;
    for round in 0.. {
        // Every search stops at its third batch, and once more at the first batch after it was resumed.
        let searched = Cell::new(0);
        let stop = || searched.get() == 3 || (round % 2 == 1 && searched.get() == 1);
        let mut count = |event: &Event| match event {
            Event::Searching { done, total } if done < total => searched.set(searched.get() + 1),
            _ => {}
        };
        trainer.run_until(&stop, &mut count).unwrap();
        if trainer.step() == 12 {
            break;
        }
        interrupted += 1;
        drop(trainer);
        trainer = Trainer::resume(&broken, Default::default()).unwrap();
    }
    assert!(interrupted >= 6, "{interrupted}");
    assert!(newest_weights(&whole) == newest_weights(&broken));
}

#[test]
fn training_lowers_the_distance_and_finds_more_modes() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = small(Colorization);
    config.data.source = DataSource::Procedural { scenes: 60 };
    (config.data.height, config.data.width) = (16, 16);
    config.generator.residual_channels = vec![12, 8];
    config.generator.growth_channels = vec![8, 6];
    config.search.strategy = Strategy::Hierarchical { pools: vec![12, 2] };
    config.training.steps = 150;
    config.training.round = 32;
    config.training.steps_per_search = 10;
    config.training.batch = 8;
    config.training.perturbation = 0.0;
    config.training.learning_rate = 4e-3;
    config.training.milestones = vec![120];
    config.training.validate_every = 150;
    config.training.checkpoint_every = 150;
    let mut validated = Vec::new();
    let mut losses = Vec::new();
    let mut trainer = Trainer::<B>::create(config, folder.path(), Default::default()).unwrap();
    trainer
        .run(&mut |event: &Event| match event {
            Event::Validated { best, modes, .. } => validated.push((*best, modes.unwrap())),
            Event::Step { loss, .. } => losses.push(*loss),
            _ => {}
        })
        .unwrap();
    let (before, after) = (validated[0], validated[validated.len() - 1]);
    assert!(after.0 < 0.75 * before.0, "best of 4: {validated:?}");
    assert!(after.1 > before.1 + 0.5, "modes of 4: {validated:?}");
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    let (first, last) = (mean(&losses[..10]), mean(&losses[140..]));
    assert!(last < 0.75 * first, "{first} to {last}");
}

/// Reads the parameters of a model file, by name.
fn parameters(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let file = WeightFile::open(path).unwrap();
    let values = |name: String| {
        let data = file.data(&name, &file.shape(&name).unwrap()).unwrap();
        (name, data.into_vec().unwrap())
    };
    file.names().into_iter().map(values).collect()
}

/// Computes the mean absolute difference between the parameters of two models.
fn mean_difference(a: &Path, b: &Path) -> f32 {
    let (a, b) = (parameters(a), parameters(b));
    assert!(a.keys().eq(b.keys()));
    let pairs = a.values().flatten().zip(b.values().flatten());
    let (sum, count) = pairs.fold((0.0, 0), |(sum, count), (a, b)| {
        (sum + (a - b).abs(), count + 1)
    });
    sum / count as f32
}

#[test]
fn candidates_may_share_global_codes_and_impossible_groups_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = small(Colorization);
    let create = |config: &RunConfig, name: &str| {
        Trainer::<B>::create(config.clone(), folder.path().join(name), Default::default())
    };
    config.search.locals = vec![2, 1];
    let mut grouped = create(&config, "grouped").unwrap();
    grouped.run(&mut Silent).unwrap();
    for locals in [vec![2], vec![2, 3], vec![0, 1]] {
        config.search.locals = locals;
        let error = create(&config, "impossible").err().unwrap();
        assert!(error.to_string().contains("search.locals"), "{error}");
    }
    config.search.locals = vec![1, 1];
    config.search.strategy = Strategy::Flat { candidates: 3 };
    let error = create(&config, "flat").err().unwrap();
    assert!(error.to_string().contains("hierarchical"), "{error}");
}

#[test]
fn a_batch_in_parts_trains_as_the_whole_batch() {
    let folder = tempfile::tempdir().unwrap();
    let train = |accumulate: usize| {
        let mut config = small(Colorization);
        config.training.steps = 4;
        config.training.batch = 5;
        config.training.accumulate = accumulate;
        let path = folder.path().join(accumulate.to_string());
        let mut trainer = Trainer::<B>::create(config, &path, Default::default()).unwrap();
        trainer.run(&mut Silent).unwrap();
        trainer
            .folder()
            .newest_checkpoint()
            .unwrap()
            .generator_path()
    };
    let whole = train(1);
    let untrained = folder
        .path()
        .join("1/checkpoints/step-00000003/generator.safetensors");
    // The size of one step of Adam. A parameter moves by the full learning rate even if its gradient is only
    // rounding noise.
    let moved = mean_difference(&whole, &untrained);
    for parts in [2, 3, 5] {
        let apart = mean_difference(&whole, &train(parts));
        assert!(
            apart < 0.05 * moved,
            "{parts} parts: {apart} compared with {moved}"
        );
    }
}

#[test]
fn the_average_of_the_weights_is_saved_sampled_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = small(Colorization);
    config.training.average = Some(0.5);
    config.training.perturbation = 0.0;
    let [whole, broken] = whole_and_broken(config, folder.path());
    assert!(whole == broken);
    let averages = ["whole", "broken"].map(|name| {
        let run = RunFolder::at(folder.path().join(name));
        let newest = run.newest_checkpoint().unwrap();
        assert_ne!(newest.model_path(), newest.generator_path());
        assert!(mean_difference(&newest.model_path(), &newest.generator_path()) > 0.0);
        fs::read(newest.model_path()).unwrap()
    });
    assert!(averages[0] == averages[1]);
}

#[test]
fn the_best_model_by_the_measure_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = small(Colorization);
    config.training.validate_every = 1;
    config.training.checkpoint_every = 1;
    config.training.keep = 100;
    config.training.best_by = Measure::Mean;
    let mut means = Vec::new();
    let mut trainer = Trainer::<B>::create(config, folder.path(), Default::default()).unwrap();
    trainer
        .run(&mut |event: &Event| {
            if let Event::Validated { step, mean, .. } = event {
                means.push((*mean, *step));
            }
        })
        .unwrap();
    let (_, step) = means
        .into_iter()
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .unwrap();
    let run = trainer.folder();
    let best = fs::read(run.best_path()).unwrap();
    let same = run
        .checkpoints()
        .unwrap()
        .into_iter()
        .find(|c| c.step() == step)
        .unwrap();
    assert!(fs::read(same.generator_path()).unwrap() == best);
    Model::<Flex>::load(run.best_path(), &Default::default()).unwrap();
}

#[test]
fn other_data_can_be_validated_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = small(Colorization);
    config.data.validation = Some(DataSource::Procedural { scenes: 3 });
    let mut started = None;
    let mut trainer = Trainer::<B>::create(config, folder.path(), Default::default()).unwrap();
    assert_eq!(trainer.held_out().len(), 3);
    trainer
        .run_until(&|| true, &mut |event: &Event| {
            if let Event::Started { examples, .. } = event {
                started = Some(*examples);
            }
        })
        .unwrap();
    assert_eq!(started, Some(20), "all of the source is trained on");
}

#[test]
fn the_mapping_networks_learn_at_a_rate_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, mapping_rate: f64| {
        let mut config = small(Colorization);
        config.training.steps = 3;
        config.training.mapping_rate = mapping_rate;
        let path = folder.path().join(name);
        let mut trainer = Trainer::<B>::create(config, &path, Default::default()).unwrap();
        trainer.run(&mut Silent).unwrap();
        let [first, last] = [0, 3].map(|step| {
            let path = path.join(format!("checkpoints/step-{step:08}/generator.safetensors"));
            WeightFile::open(path).unwrap()
        });
        // The largest change of a parameter: in the mapping networks, and in the rest.
        let mut change = [0f32; 2];
        for name in first.names() {
            let shape = first.shape(&name).unwrap();
            let values = |file: &WeightFile| -> Vec<f32> {
                file.data(&name, &shape).unwrap().into_vec().unwrap()
            };
            let pairs = values(&first).into_iter().zip(values(&last));
            let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let group = &mut change[usize::from(!is_mapping(&name))];
            *group = group.max(largest);
        }
        change
    };
    let [held, rest] = run("held", 0.0);
    assert_eq!(held, 0.0);
    assert!(rest > 0.0);
    // The first steps of Adam are about as large as the learning rate, for any gradient.
    let ([slow, _], [fast, _]) = (run("slow", 0.01), run("fast", 1.0));
    let ratio = fast / slow;
    assert!((70.0..140.0).contains(&ratio), "{ratio}");
}

#[test]
fn a_run_starts_from_given_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut trainer =
        Trainer::<B>::create(small(Colorization), path("first"), Default::default()).unwrap();
    trainer.run(&mut Silent).unwrap();
    let trained = newest_weights(&path("first"));

    let mut config = small(Colorization);
    config.seed = 5;
    config.init = Some(path("first"));
    let second = path("second");
    drop(Trainer::<B>::create(config.clone(), &second, Default::default()).unwrap());
    // A run that was stopped before its first checkpoint still starts from the given weights.
    let mut trainer = Trainer::<B>::resume(&second, Default::default()).unwrap();
    trainer.run_until(&|| true, &mut Silent).unwrap();
    let start = second.join("checkpoints/step-00000000/generator.safetensors");
    let (start, trained) = (WeightFile::open(start).unwrap(), {
        fs::write(path("trained.safetensors"), trained).unwrap();
        WeightFile::open(path("trained.safetensors")).unwrap()
    });
    for name in trained.names() {
        let shape = trained.shape(&name).unwrap();
        let [a, b] = [&start, &trained].map(|file| file.data(&name, &shape).unwrap());
        assert_eq!(a, b, "{name}");
    }

    config.generator.latent += 1;
    let error = Trainer::<B>::create(config, path("third"), Default::default());
    let error = error.err().unwrap().to_string();
    assert!(
        error.contains("`init`") && error.contains("first"),
        "{error}"
    );
    assert!(!path("third").exists());
}

#[test]
fn a_run_is_trained_by_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let config = small(Colorization);
    let mut trainer = Trainer::<B>::create(config, folder.path(), Default::default()).unwrap();
    trainer.run_until(&|| true, &mut Silent).unwrap();
    let resume = || Trainer::<B>::resume(folder.path(), Default::default());
    assert!(matches!(resume().err(), Some(Error::RunInUse { .. })));
    drop(trainer);
    resume().unwrap();
}

#[test]
fn a_run_whose_checkpoints_are_gone_does_not_begin_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = small(Colorization);
    let mut trainer = Trainer::<B>::create(config, folder.path(), Default::default()).unwrap();
    trainer.run(&mut Silent).unwrap();
    drop(trainer);
    fs::remove_dir_all(folder.path().join("checkpoints")).unwrap();
    let error = Trainer::<B>::resume(folder.path(), Default::default()).err();
    let error = error.unwrap().to_string();
    assert!(error.contains("holds no checkpoint"), "{error}");
}

#[test]
fn a_run_of_the_first_format_is_sampled_and_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let config = small(Decompression);
    let mut trainer = Trainer::<B>::create(config, folder.path(), Default::default()).unwrap();
    trainer.run(&mut Silent).unwrap();
    drop(trainer);
    let run = RunFolder::at(folder.path());
    let text = fs::read_to_string(run.config_path()).unwrap();
    // The configuration in the form of version 0.1.0.
    let text = text
        .replace("format = 2\n", "")
        .replace("round = ", "share = ");
    fs::write(run.config_path(), text).unwrap();

    let model = Model::<Flex>::load(folder.path(), &Default::default()).unwrap();
    assert_eq!(model.task().name(), "decompression");
    let error = Trainer::<B>::resume(folder.path(), Default::default()).err();
    let error = error.unwrap().to_string();
    assert!(
        error.contains("format 1") && error.contains("--init"),
        "{error}"
    );
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
    let mut config = small(NightToDay);
    config.data.source = DataSource::Folder(folder.path().to_owned());
    config.data.augment = true;
    // A round has every night, so it also has every day.
    config.training.round = 7;

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
        let mut config = small(SuperResolution);
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
    let mut trainer = Trainer::<B>::create(small(Decompression), &run, Default::default()).unwrap();
    trainer.run(&mut Silent).unwrap();
    drop(trainer);
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
    // Validations are at the beginning and after steps 6 and 12.
    assert_eq!(of("validated").len(), 3);
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
    let mut config = small(NightToDay);
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
    Trainer::<B>::create(small(Colorization), folder.path(), Default::default()).unwrap();
    let twice = Trainer::<B>::create(small(Colorization), folder.path(), Default::default())
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
fn samples_have_the_inputs_size_and_repeat_by_seed() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = small(Colorization);
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
        for task in TaskHandle::built_in() {
            let config = RunConfig::new(task, preset);
            fs::write(&path, config.to_toml()).unwrap();
            assert_eq!(RunConfig::read(&path).unwrap(), config);
        }
    }
    let text = RunConfig::new(Colorization, Preset::Tiny).to_toml();
    fs::write(&path, text.replace("learning_rate", "learning_speed")).unwrap();
    let error = RunConfig::<GeneratorConfig>::read(&path)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("config.toml") && error.contains("learning_speed"),
        "{error}"
    );
    assert!(!error.contains('\n'));
}
