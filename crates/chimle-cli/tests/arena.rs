//! `chimle arena`: a run that is killed and continued, and its report.

mod command;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use command::{chimle, folder};

const CONFIG: &str = r#"
task = "tiles"
seeds = [0, 1]
cpu_minutes = 1.0

[data]
train = { procedural = { scenes = 24 } }
test = { procedural = { scenes = 4 } }
size = 16

[measure]
inputs = 3
samples = [2]

[backbone]
residual_channels = [6, 6]
growth_channels = [4, 4]
rrdb_per_level = 1

[methods.chimle]
steps = 4
pools = [3, 2]
schedule = { round = 4, steps_per_search = 2, batch = 2 }

[methods.mean]
steps = 200
"#;

/// Starts an arena and kills it, without a chance to clean up, once a method has begun.
fn kill_midway(folder: &Path) {
    let mut arena = Command::new(env!("CARGO_BIN_EXE_chimle"))
        .current_dir(folder)
        .args(["arena", "run", "tiny.toml", "--out", "arena"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let log = folder.join("arena/runs/mean/seed-0/log.jsonl");
    while !log.is_file() {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "it never begins"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    arena.kill().unwrap();
    arena.wait().unwrap();
}

#[test]
fn a_killed_arena_continues_and_reports_all_methods() {
    let folder = folder();
    let path = folder.path();
    std::fs::write(path.join("tiny.toml"), CONFIG).unwrap();
    kill_midway(path);
    assert!(!path.join("arena/results.json").exists());

    let ran = chimle(path, "arena run tiny.toml --out arena").succeeds();
    for line in [
        "mean, seed 0: done",
        "mean, seed 1: done",
        "the report: arena/arena.html",
    ] {
        assert!(ran.stdout.contains(line), "{}", ran.stdout);
    }
    let results = std::fs::read(path.join("arena/results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_slice(&results).unwrap();
    let methods: Vec<&str> = results["summary"]
        .as_array()
        .unwrap()
        .iter()
        .map(|summary| summary["method"].as_str().unwrap())
        .collect();
    assert_eq!(methods, ["chimle", "mean"]);
    assert_eq!(results["summary"][1]["steps"], 200.0);
    assert_eq!(results["missing"].as_array().unwrap().len(), 0);

    std::fs::remove_file(path.join("arena/arena.html")).unwrap();
    chimle(path, "arena report arena --measure").succeeds();
    let page = std::fs::read_to_string(path.join("arena/arena.html")).unwrap();
    assert!(page.contains("Arena: tiles at 16 pixels"));
    let again = chimle(path, "arena run tiny.toml --out arena").succeeds();
    assert_eq!(
        again.stdout.matches("was done before").count(),
        4,
        "{}",
        again.stdout
    );
}

#[test]
fn a_method_that_fails_does_not_stop_the_others() {
    let folder = folder();
    let path = folder.path();
    // With this learning rate, the loss soon becomes infinite.
    let broken = "[methods.broken]\nkind = \"mean\"\nsteps = 400\nrate = 1e38\n";
    let config = CONFIG.replace("seeds = [0, 1]", "seeds = [0]");
    std::fs::write(path.join("tiny.toml"), config + broken).unwrap();
    let ran = chimle(path, "arena run tiny.toml --out arena");
    for line in [
        "broken, seed 0: failed: broken: the loss at step",
        "chimle, seed 0: done",
        "mean, seed 0: done",
        "the report: arena/arena.html",
    ] {
        assert!(ran.stdout.contains(line), "{}", ran.stdout);
    }
    ran.fails_naming(&[
        "1 of the methods failed",
        "broken, seed 0",
        "the loss at step",
    ]);
    let page = std::fs::read_to_string(path.join("arena/arena.html")).unwrap();
    assert!(page.contains("Missing: broken, seed 0."));
}

#[test]
fn what_is_wrong_is_named() {
    let folder = folder();
    let path = folder.path();
    chimle(path, "arena run none.toml --out arena").fails_naming(&["none.toml"]);
    chimle(path, "arena report nothing").fails_naming(&["nothing", "arena.toml"]);
    std::fs::write(
        path.join("tiny.toml"),
        CONFIG.replace("steps = 4", "stepps = 4"),
    )
    .unwrap();
    chimle(path, "arena run tiny.toml --out arena").fails_naming(&["methods.chimle", "stepps"]);
    chimle(path, "arena run tiny.toml --out arena --seed 3").fails_naming(&["--seed", "seeds"]);
}
