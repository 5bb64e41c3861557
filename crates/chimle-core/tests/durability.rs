//! Tests of runs with damaged checkpoints, leftovers of killed processes, and damaged logs.

use std::fs;
use std::path::{Path, PathBuf};

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_core::{
    Colorization, DataSource, Error, Event, Model, Preset, RunConfig, RunFolder, Silent, Strategy,
    Trainer,
};

type B = Autodiff<Flex>;

/// Returns the configuration of a run of six steps, with checkpoints at 0, 2, 4 and 6. The newest two
/// checkpoints are kept.
fn small() -> RunConfig {
    let mut config = RunConfig::new(Colorization, Preset::Tiny);
    config.data.source = DataSource::Procedural { scenes: 12 };
    (config.data.height, config.data.width) = (16, 16);
    config.generator.residual_channels = vec![4, 3];
    config.generator.growth_channels = vec![3, 2];
    config.search.strategy = Strategy::Hierarchical { pools: vec![2, 2] };
    config.training.steps = 6;
    config.training.round = 4;
    config.training.steps_per_search = 3;
    config.training.batch = 2;
    config.training.average = Some(0.9);
    config.training.checkpoint_every = 2;
    config.training.validate_every = 2;
    config
}

/// Trains a run to its end. Returns the run folder and the folder of the newest checkpoint.
fn finished() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::<B>::create(small(), folder.path(), Default::default()).unwrap();
    trainer.run(&mut Silent).unwrap();
    let newest = trainer.folder().newest_checkpoint().unwrap();
    (folder, newest.path().to_owned())
}

fn resume(run: &Path) -> Result<Trainer<B>, Error> {
    Trainer::resume(run, Default::default())
}

/// Trains to the end and returns the warnings.
fn warnings(trainer: &mut Trainer<B>) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut keep = |event: &Event| {
        if let Event::Warning { message } = event {
            warnings.push(message.clone());
        }
    };
    trainer.run(&mut keep).unwrap();
    warnings
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const FILES: [&str; 5] = [
    "generator.safetensors",
    "average.safetensors",
    "adam.mpk",
    "position.json",
    "SHA256SUMS",
];

#[test]
fn a_damaged_checkpoint_is_set_aside_and_an_older_one_takes_its_place() {
    let (folder, newest) = finished();
    assert!(names(&newest).iter().eq([
        "SHA256SUMS",
        "adam.mpk",
        "average.safetensors",
        "generator.safetensors",
        "position.json"
    ]));
    let mut whole = FILES.map(|name| fs::read(newest.join(name)).unwrap());
    for name in FILES {
        let path = newest.join(name);
        for damage in 0..3 {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            match damage {
                // One bit in the middle of the numbers, which only a checksum can detect.
                0 => bytes[middle] ^= 4,
                1 => bytes.truncate(middle),
                _ => bytes.clear(),
            }
            fs::write(&path, bytes).unwrap();
            let mut trainer = resume(folder.path()).unwrap();
            assert_eq!(trainer.step(), 4, "{name}");
            let aside = folder.path().join("checkpoints/damaged-step-00000006");
            assert!(aside.is_dir() && !newest.exists());
            let warned = warnings(&mut trainer);
            assert!(warned[0].contains("from step 4"), "{warned:?}");
            // If a checksum is changed, the file that it belongs to is named.
            let names_it = warned[0].contains(name) || (name == "SHA256SUMS" && damage == 0);
            assert!(
                names_it && warned[0].contains("step-00000006"),
                "{warned:?}"
            );
            // The run ends with the same weights. The file of the optimizer's state is not compared, because
            // the order of its entries is not fixed.
            for (name, bytes) in FILES.iter().zip(&mut whole) {
                let found = fs::read(newest.join(name)).unwrap();
                if ["adam.mpk", "SHA256SUMS"].contains(name) {
                    *bytes = found;
                } else {
                    assert!(found == *bytes, "{name}");
                }
            }
        }
    }
    // All files except the checksums are missing.
    for name in &FILES[..4] {
        fs::remove_file(newest.join(name)).unwrap();
    }
    assert_eq!(resume(folder.path()).unwrap().step(), 4);
}

#[test]
fn without_a_checkpoint_that_is_whole_the_newest_one_is_named() {
    let (folder, newest) = finished();
    for checkpoint in RunFolder::at(folder.path()).checkpoints().unwrap() {
        fs::write(checkpoint.path().join("adam.mpk"), b"nothing").unwrap();
    }
    let message = resume(folder.path()).err().unwrap().to_string();
    assert!(
        message.contains("step-00000006") && message.contains("adam.mpk"),
        "{message}"
    );
    assert!(newest.is_dir(), "a checkpoint was set aside for nothing");
}

#[test]
fn a_model_of_a_damaged_checkpoint_is_not_loaded() {
    let (folder, newest) = finished();
    let path = newest.join("average.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let message = Model::<Flex>::load(folder.path(), &Default::default()).err();
    let message = message.unwrap().to_string();
    assert!(
        message.contains("average.safetensors") && message.contains("checksum"),
        "{message}"
    );
}

/// Runs of older versions, which wrote no checksums, continue.
#[test]
fn a_checkpoint_without_checksums_counts_as_whole() {
    let (folder, newest) = finished();
    let expected = fs::read(newest.join("average.safetensors")).unwrap();
    fs::remove_dir_all(&newest).unwrap();
    let older = folder.path().join("checkpoints/step-00000004");
    fs::remove_file(older.join("SHA256SUMS")).unwrap();
    let mut trainer = resume(folder.path()).unwrap();
    assert_eq!(trainer.step(), 4);
    assert_eq!(warnings(&mut trainer), [""; 0]);
    assert!(fs::read(newest.join("average.safetensors")).unwrap() == expected);
    Model::<Flex>::load(folder.path(), &Default::default()).unwrap();
}

#[test]
fn without_checksums_impossible_positions_and_states_are_found_too() {
    let (folder, newest) = finished();
    fs::remove_dir_all(folder.path().join("checkpoints/step-00000004")).unwrap();
    fs::remove_file(newest.join("SHA256SUMS")).unwrap();
    let position = fs::read_to_string(newest.join("position.json")).unwrap();
    let round = |round: &str| format!(r#"{{"step":6,"round":{round}}}"#);
    let chosen = |chosen: &str| {
        round(&format!(
            r#"{{"index":0,"steps":1,"searched":true,"chosen":{chosen}}}"#
        ))
    };
    let hostile = [
        chosen("[[0,[]]]"),
        chosen("[]"),
        chosen("[[0,[0,0]],[0,[0,0]]]"),
        chosen("[[18446744073709551615,[0,0]]]"),
        chosen("[[0,[0,-1]]]"),
        round(r#"{"index":18446744073709551615,"steps":1,"searched":true,"chosen":[[0,[0,0]]]}"#),
        round(r#"{"index":0,"steps":18446744073709551615,"searched":true,"chosen":[[0,[0,0]]]}"#),
        r#"{"step":18446744073709551615,"round":null}"#.to_owned(),
        "{}".to_owned(),
        "[".repeat(100_000),
    ];
    for text in hostile {
        fs::write(newest.join("position.json"), &text).unwrap();
        let message = resume(folder.path()).err().unwrap().to_string();
        assert!(message.contains("step-00000006"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
    fs::write(newest.join("position.json"), position).unwrap();

    // The optimizer's state, with one changed bit at a time, and truncated.
    let path = newest.join("adam.mpk");
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&path, changed).unwrap();
        // A changed number cannot be detected. All other damage is detected without a panic.
        if let Err(error) = resume(folder.path()) {
            assert!(error.to_string().contains("adam.mpk"), "{error}");
        }
        fs::write(&path, &whole[..at]).unwrap();
        let error = resume(folder.path()).err().unwrap();
        assert!(error.to_string().contains("adam.mpk"), "{error}");
    }
}

#[test]
fn what_killed_processes_left_is_removed() {
    let (folder, _) = finished();
    let checkpoints = folder.path().join("checkpoints");
    let left = [
        checkpoints.join(".writing-a1b2c3"),
        checkpoints.join(".writing-x"),
    ];
    for left in &left {
        fs::create_dir(left).unwrap();
        fs::write(left.join("generator.safetensors"), b"half").unwrap();
    }
    // A young temporary file may be in use, because a page is written without the lock.
    let young = folder.path().join(".chimle-abc.tmp");
    fs::write(&young, b"half").unwrap();
    let _trainer = resume(folder.path()).unwrap();
    assert!(left.iter().all(|left| !left.exists()));
    assert!(young.exists());
}

#[test]
fn an_old_checkpoint_that_cannot_be_removed_costs_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::<B>::create(small(), folder.path(), Default::default()).unwrap();
    let checkpoints = folder.path().join("checkpoints");
    // A file in the place of a checkpoint's folder cannot be removed as a folder.
    fs::create_dir(&checkpoints).unwrap();
    fs::write(checkpoints.join("step-00000001"), b"").unwrap();
    let warned = warnings(&mut trainer);
    assert_eq!(trainer.step(), 6);
    assert!(!warned.is_empty());
    assert!(
        warned
            .iter()
            .all(|warning| warning.contains("step-00000001")),
        "{warned:?}"
    );
    let kept = names(&checkpoints);
    assert_eq!(kept, ["step-00000001", "step-00000004", "step-00000006"]);
}

#[test]
fn a_checkpoint_of_the_same_step_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = small();
    config.training.keep = 1;
    let mut trainer = Trainer::<B>::create(config, folder.path(), Default::default()).unwrap();
    // The run is stopped twice within the first search, at step 0.
    for _ in 0..2 {
        trainer.run_until(&|| true, &mut Silent).unwrap();
        let asked = std::cell::Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() > 1
        };
        trainer.run_until(&stop, &mut Silent).unwrap();
        assert_eq!(trainer.step(), 0);
        assert_eq!(names(&folder.path().join("checkpoints")), ["step-00000000"]);
    }
    // A process that is killed before it removes the old checkpoint leaves both. The newer one is used.
    drop(trainer);
    let [old, new] = ["step-00000000", "step-00000000.1"]
        .map(|name| folder.path().join("checkpoints").join(name));
    fs::create_dir(&new).unwrap();
    for name in names(&old) {
        fs::copy(old.join(&name), new.join(&name)).unwrap();
    }
    let run = RunFolder::at(folder.path());
    assert_eq!(run.newest_checkpoint().unwrap().path(), new);
    let mut trainer = resume(folder.path()).unwrap();
    trainer.run(&mut Silent).unwrap();
    assert_eq!(names(&folder.path().join("checkpoints")), ["step-00000006"]);
}

#[test]
fn a_run_folder_is_trained_by_one_process() {
    let (folder, _) = finished();
    let first = resume(folder.path()).unwrap();
    let second = resume(folder.path());
    assert!(matches!(second.err(), Some(Error::RunInUse { .. })));
    drop(first);
    assert!(resume(folder.path()).is_ok());
}

#[test]
fn a_log_with_gaps_is_read_and_the_run_goes_on() {
    let (folder, _) = finished();
    let run = RunFolder::at(folder.path());
    let expected = run.read_log().unwrap();
    assert!(expected.skipped.is_empty() && expected.events.len() > 10);
    let text = fs::read_to_string(run.log_path()).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let half = &first[..first.len() / 2];
    let gaps = format!("{first}\n{half}\n\n{{\"event\":\"unknown\"}}\n{rest}{half}");
    let mut bytes = gaps.into_bytes();
    bytes.splice(0..0, *b"\xff\xfe\0\n");
    fs::write(run.log_path(), bytes).unwrap();
    let found = run.read_log().unwrap();
    assert_eq!(found.events, expected.events);
    let lines: Vec<usize> = found.skipped.iter().map(|skipped| skipped.line).collect();
    assert_eq!(lines, [1, 3, 4, 5]);

    let mut trainer = resume(folder.path()).unwrap();
    trainer.set_steps(7).unwrap();
    let warned = warnings(&mut trainer);
    assert!(warned[0].contains("log.jsonl: 4 lines"), "{warned:?}");
    drop(trainer);
    let after = run.read_log().unwrap().events;
    assert!(matches!(
        after.last(),
        Some(Event::Finished { step: 7, .. })
    ));

    // A log without any valid line does not stop the run, as long as the run can write to it.
    fs::write(run.log_path(), vec![0xff; 5000]).unwrap();
    let mut trainer = resume(folder.path()).unwrap();
    trainer.set_steps(8).unwrap();
    trainer.run(&mut Silent).unwrap();
}

#[test]
fn numbers_that_json_does_not_have_are_read_as_nan() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::at(folder.path());
    let events = [
        Event::Validated {
            step: 1,
            samples: 4,
            best: f64::INFINITY,
            mean: f64::NAN,
            diversity: 0.5,
            modes: None,
            sets: None,
        },
        Event::Searched {
            step: 1,
            round: 0,
            examples: 2,
            chosen: vec![1.0, f32::NAN],
            pool: vec![f32::NEG_INFINITY],
            seconds: 0.1,
        },
    ];
    let lines = events
        .iter()
        .map(|event| serde_json::to_string(event).unwrap() + "\n");
    fs::write(run.log_path(), lines.collect::<String>()).unwrap();
    let log = run.read_log().unwrap();
    assert_eq!(log.skipped, []);
    let [
        Event::Validated {
            best,
            mean,
            diversity,
            ..
        },
        Event::Searched { chosen, pool, .. },
    ] = &log.events[..]
    else {
        panic!("{log:?}");
    };
    assert!(best.is_nan() && mean.is_nan() && *diversity == 0.5);
    assert!(chosen[0] == 1.0 && chosen[1].is_nan() && pool[0].is_nan());
}
