//! Runs on several workers and several machines, and the errors when their settings differ.

mod command;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command::{SMALL, chimle, folder, photograph};

/// Long enough for a loaded machine, and short enough to notice that something hangs.
const LIMIT: Duration = Duration::from_secs(240);

fn start(folder: &Path, arguments: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_chimle"))
        .current_dir(folder)
        .args(arguments.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

/// Waits for a process. Returns whether it succeeded, and its standard error.
fn end(mut child: Child) -> (bool, String) {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output().unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Returns a free port.
fn port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts an orchestrator of two machines, and returns it once it listens.
fn orchestrate(folder: &Path, port: u16) -> Child {
    let flags = format!("orchestrate --nodes 2 --listen 127.0.0.1:{port}");
    let mut orchestrator = start(folder, &flags);
    let output = orchestrator.stdout.take().unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(output);
    reader.read_line(&mut line).unwrap();
    assert!(line.contains("waiting for 2 machines"), "{line}");
    std::thread::spawn(move || reader.lines().count());
    orchestrator
}

fn node(folder: &Path, port: u16, name: &str, flags: &str) -> Child {
    let flags = format!(
        "train --nodes 127.0.0.1:{port} --node-name {name} --out {name} \
         --task colorization --data procedural --size 16 {SMALL} {flags}"
    );
    start(folder, &flags)
}

fn losses(run: &Path) -> Vec<f64> {
    let log = std::fs::read_to_string(run.join("log.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let steps = lines.filter(|line: &serde_json::Value| line["event"] == "step");
    steps.map(|line| line["loss"].as_f64().unwrap()).collect()
}

#[test]
fn two_machines_train_as_one_does() {
    let folder = folder();
    let path = folder.path();
    let port = port();
    let orchestrator = orchestrate(path, port);
    let machines = ["first", "second"].map(|name| node(path, port, name, "--steps 5"));
    for machine in machines {
        let (succeeded, errors) = end(machine);
        assert!(succeeded, "{errors}");
    }
    let (succeeded, errors) = end(orchestrator);
    assert!(succeeded, "{errors}");

    let alone = format!(
        "train --task colorization --data procedural --size 16 --steps 5 {SMALL} --out alone"
    );
    chimle(path, &alone).succeeds();
    let [first, second, alone] = ["first", "second", "alone"].map(|run| losses(&path.join(run)));
    assert_eq!(first, second);
    assert_eq!((first.len(), alone.len()), (5, 5));
    for (found, expected) in first.iter().zip(alone) {
        assert!(
            (found - expected).abs() < 1e-3 * expected,
            "{found} {expected}"
        );
    }
}

#[test]
fn a_machine_that_dies_ends_the_run_on_the_others_with_its_name() {
    let folder = folder();
    let path = folder.path();
    let port = port();
    let orchestrator = orchestrate(path, port);
    let [survivor, mut victim] =
        ["survivor", "victim"].map(|name| node(path, port, name, "--steps 100000"));
    // It is killed in the middle of training.
    let begun = Instant::now();
    let log = path.join("victim/log.jsonl");
    while !std::fs::read_to_string(&log).is_ok_and(|text| text.contains("\"step\":3,")) {
        assert!(begun.elapsed() < LIMIT, "training does not begin");
        std::thread::sleep(Duration::from_millis(100));
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
    let killed = Instant::now();
    for process in [survivor, orchestrator] {
        let (succeeded, errors) = end(process);
        assert!(!succeeded);
        assert!(
            errors.contains("victim: it ended before the run did"),
            "{errors}"
        );
        assert!(!errors.contains("panicked"), "{errors}");
    }
    assert!(killed.elapsed() < Duration::from_secs(60));
}

#[test]
fn machines_that_do_not_agree_are_refused() {
    let folder = folder();
    let path = folder.path();
    let port = port();
    let orchestrator = orchestrate(path, port);
    let machines = [
        ("first", "--learning-rate 0.1"),
        ("second", "--learning-rate 0.2"),
    ]
    .map(|(name, flags)| node(path, port, name, flags));
    for process in machines.into_iter().chain([orchestrator]) {
        let (succeeded, errors) = end(process);
        assert!(!succeeded);
        for word in [
            "do not agree",
            "training.learning_rate",
            "0.1",
            "0.2",
            "first",
            "second",
        ] {
            assert!(errors.contains(word), "{word} is not in {errors}");
        }
    }
}

#[test]
fn several_workers_share_the_cpu_and_their_numbers_go_to_tensorboard() {
    let folder = folder();
    let flags = format!(
        "train --task colorization --data procedural --size 16 --steps 3 {SMALL} \
         --devices cpu:2 --tensorboard --out run"
    );
    chimle(folder.path(), &flags).succeeds();
    let files = std::fs::read_dir(folder.path().join("run/tensorboard")).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 1);
    assert!(files[0].metadata().unwrap().len() > 500);
    chimle(folder.path(), "train --resume run --devices cpu,cpu:0").fails_with_usage("cpu:0");
    chimle(folder.path(), "train --resume run --devices cuda:1,cuda:1").fails_with_usage("twice");
}

#[test]
fn data_that_changed_is_noticed_and_can_be_accepted() {
    let folder = folder();
    let path = folder.path();
    let photos = path.join("photos");
    std::fs::create_dir(&photos).unwrap();
    for number in 0..12 {
        photograph(photos.join(format!("{number:02}.png")), 20 + number, 20);
    }
    let flags =
        format!("train --task colorization --data photos --size 16 --steps 3 {SMALL} --out run");
    chimle(path, &flags).succeeds();
    photograph(photos.join("added.png"), 25, 25);
    std::fs::remove_file(photos.join("03.png")).unwrap();
    chimle(path, "train --resume run --steps 6").fails_naming(&[
        "1 file was added: added.png",
        "1 file was removed: 03.png",
        "--accept-data",
    ]);
    chimle(path, "train --resume run --steps 6 --accept-data").succeeds();
    // The new data are now the run's.
    chimle(path, "train --resume run --steps 7").succeeds();
}
