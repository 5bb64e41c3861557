//! Runs that are killed, whose system calls fail, or whose disk is full. Each one is resumed, and must end with
//! the same weights, bit for bit, as a run that never stopped.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

/// The errors of failing system calls: EIO, ENOSPC, EINTR. 0 stands for a process that is killed after the call.
const FAULTS: [i32; 4] = [5, 28, 4, 0];

/// A folder with a configuration and the weights of a run that never stopped.
struct Reference {
    folder: TempDir,
    weights: Vec<u8>,
    steps: usize,
}

fn chimle(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chimle"));
    command.current_dir(folder).stdin(Stdio::null());
    command
}

fn train(folder: &Path, run: &str) -> Command {
    let mut command = chimle(folder);
    command.args(["train", "--config", "config.toml", "--out", run]);
    command
}

fn resume(folder: &Path, run: &str) -> Command {
    let mut command = chimle(folder);
    command.args(["train", "--resume", run]);
    command
}

/// Checks that a command succeeded, was killed, or failed with one line.
#[track_caller]
fn checked(output: &Output) {
    let text = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => {}
        Some(1) => {
            let errors = text.lines().filter(|line| line.starts_with("error: "));
            assert_eq!(errors.count(), 1, "{text}");
            assert!(!text.contains("internal"), "{text}");
        }
        // Killed.
        None => {}
        code => panic!("{code:?}: {text}"),
    }
}

#[track_caller]
fn succeeds(mut command: Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

impl Reference {
    fn new(steps: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let flags = "train --task colorization --data procedural --size 8 --steps 0 --batch 2 --share 4 \
                     --steps-per-search 3 --pool 2,2,1 --average 0.9 --out made";
        let mut made = chimle(path);
        made.args(flags.split_whitespace());
        succeeds(made);
        let config = fs::read_to_string(path.join("made/config.toml")).unwrap();
        let changed: Vec<String> = config
            .lines()
            .map(|line| match line.split_once(" = ") {
                Some(("steps", _)) => format!("steps = {steps}"),
                Some(("checkpoint_every", _)) => "checkpoint_every = 2".to_owned(),
                Some(("validate_every", _)) => "validate_every = 1000".to_owned(),
                Some(("scenes", _)) => "scenes = 20".to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        fs::write(path.join("config.toml"), changed.join("\n")).unwrap();
        succeeds(train(path, "whole"));
        let mut reference = Self {
            folder,
            weights: Vec::new(),
            steps,
        };
        reference.weights = reference.weights_of("whole");
        reference
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the newest weights of a run and their moving average.
    fn weights_of(&self, run: &str) -> Vec<u8> {
        let checkpoint = format!("{run}/checkpoints/step-{:08}", self.steps);
        let file = |name| fs::read(self.path().join(&checkpoint).join(name)).unwrap();
        [file("generator.safetensors"), file("average.safetensors")].concat()
    }

    /// Resumes a run, and checks its weights and that no unfinished files are left.
    #[track_caller]
    fn ends_well(&self, run: &str, what: &str) {
        succeeds(resume(self.path(), run));
        assert!(
            self.weights_of(run) == self.weights,
            "{what}: other weights"
        );
        let left: Vec<PathBuf> = fs::read_dir(self.path().join(run).join("checkpoints"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(left.len(), 2, "{what}: {left:?}");
        let log = fs::read_to_string(self.path().join(run).join("log.jsonl")).unwrap();
        let is_whole = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert!(log.lines().all(is_whole), "{what}: half a line in the log");
        fs::remove_dir_all(self.path().join(run)).unwrap();
    }
}

/// Compiles the library that makes system calls fail.
fn library(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/faults.c");
    let library = folder.join("faults.so");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut compile = Command::new(compiler);
    compile
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library);
    compile.arg(source).args(["-ldl", "-lpthread"]);
    succeeds(compile);
    library
}

/// Makes every `stride`th combination of a system call of saving a checkpoint and an error fail, one at a time.
fn fail_in_turn(stride: usize) {
    let reference = Reference::new(4);
    let path = reference.path();
    let library = library(path);
    let faulty = |at: usize, error: i32| {
        let mut command = train(path, "run");
        command
            .env("LD_PRELOAD", &library)
            .env("FAULT_PATH", "/checkpoints")
            .env("FAULT_AT", at.to_string())
            .env("FAULT_ERRNO", error.to_string())
            .env("FAULT_COUNT", path.join("count"));
        command.output().unwrap()
    };
    // The first run has no fault and counts the calls.
    let output = faulty(0, 5);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let count = fs::read_to_string(path.join("count")).unwrap();
    let count: usize = count.trim().parse().unwrap();
    assert!(count > 60, "only {count} system calls");
    reference.ends_well("run", "without a fault");

    let (mut ended, mut killed, mut failed) = (0, 0, 0);
    // The stride has no common divisor with the numbers of calls and of errors, so all kinds of both are combined.
    for fault in (0..count * FAULTS.len()).step_by(stride) {
        let (at, error) = (fault / FAULTS.len() + 1, FAULTS[fault % FAULTS.len()]);
        let output = faulty(at, error);
        checked(&output);
        match output.status.code() {
            None => killed += 1,
            Some(0) => ended += 1,
            Some(_) => failed += 1,
        }
        reference.ends_well("run", &format!("call {at} of {count}, error {error}"));
    }
    println!("{count} calls: {killed} killed, {failed} failed, {ended} went on");
    assert!(killed > 0 && failed > 0 && ended > 0);
}

#[test]
fn a_run_ends_the_same_after_some_system_call_failed() {
    fail_in_turn(37);
}

#[test]
#[ignore = "takes ten minutes: every system call with every error"]
fn a_run_ends_the_same_whichever_system_call_failed() {
    fail_in_turn(1);
}

/// Kills a run again and again at random times, and resumes it each time.
fn kill(times: usize, seed: u64) {
    let reference = Reference::new(30);
    let path = reference.path();
    let mut state = seed;
    let mut kills = 0;
    // If a run ends before it is killed, another run begins.
    while kills < times {
        let mut command = train(path, "run");
        loop {
            let mut running = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            sleep(Duration::from_millis(20 + (state >> 33) % 700));
            running.kill().unwrap();
            let status = running.wait().unwrap();
            kills += usize::from(status.code().is_none());
            if status.code().is_some() || kills == times {
                break;
            }
            command = match path.join("run/config.toml").exists() {
                true => resume(path, "run"),
                false => train(path, "run"),
            };
        }
        if !path.join("run/config.toml").exists() {
            succeeds(train(path, "run"));
        }
        reference.ends_well("run", &format!("{kills} kills"));
    }
}

#[test]
fn a_run_ends_the_same_after_three_kills() {
    kill(3, 1);
}

#[test]
#[ignore = "takes a minute: fifty kills at random times"]
fn a_run_ends_the_same_after_fifty_kills() {
    kill(50, 2);
}

/// A file system that is full until it is made larger.
#[test]
#[ignore = "mounts a small tmpfs, which needs the superuser"]
fn a_run_on_a_full_file_system_goes_on_once_there_is_space() {
    let reference = Reference::new(4);
    let path = reference.path();
    let disk = path.join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&disk);
        succeeds(mount);
    };
    let mut failures = Vec::new();
    for kibibytes in (200..9000).step_by(400) {
        mount(&format!("size={kibibytes}k"));
        let output = train(path, "disk/run").output().unwrap();
        checked(&output);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            assert!(text.contains("No space left"), "{text}");
            failures.push(kibibytes);
        }
        mount("remount,size=100m");
        if !path.join("disk/run/config.toml").exists() {
            let _ = fs::remove_dir_all(path.join("disk/run"));
            succeeds(train(path, "disk/run"));
        }
        reference.ends_well("disk/run", &format!("{kibibytes} KiB"));
        succeeds({
            let mut unmount = Command::new("umount");
            unmount.arg(&disk);
            unmount
        });
    }
    println!("full at {failures:?} KiB");
    assert!(failures.len() >= 5, "{failures:?}");
}
