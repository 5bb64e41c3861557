//! A long run in constant memory.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use chimle_show::{Plot, Series};

const STEPS: f64 = 20_000.0;

/// Returns the resident size of a process in MiB, or `None` if it has ended.
fn resident(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes / 1024.0)
}

/// Returns the last step in a log.
fn step(log: &Path) -> Option<f64> {
    let mut file = fs::File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4000)))
        .ok()?;
    let mut end = String::new();
    file.read_to_string(&mut end).ok()?;
    let steps = end
        .lines()
        .rev()
        .filter(|line| line.contains(r#""event":"step""#));
    let number = |line: &str| {
        let rest = line.split_once(r#""step":"#)?.1;
        rest.split([',', '}']).next()?.parse().ok()
    };
    steps.filter_map(number).next()
}

fn mean(samples: &[(f64, f64)], from: f64, to: f64) -> f64 {
    let within = samples
        .iter()
        .filter(|(step, _)| (from..=to).contains(step));
    let within: Vec<f64> = within.map(|&(_, size)| size).collect();
    assert!(!within.is_empty(), "no sample from step {from} to {to}");
    within.iter().sum::<f64>() / within.len() as f64
}

/// Also writes `target/soak.csv` and `target/soak.svg`.
#[test]
#[ignore = "takes ten minutes: 20,000 steps"]
fn twenty_thousand_steps_take_the_memory_of_a_thousand() {
    let folder = tempfile::tempdir().unwrap();
    let flags = "train --task colorization --data procedural --size 8 --batch 2 --share 8 --steps-per-search 50 \
                 --pool 4,2,1 --average 0.99 --steps 20000 --out run";
    let mut running = Command::new(env!("CARGO_BIN_EXE_chimle"))
        .current_dir(folder.path())
        .args(flags.split_whitespace())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let log = folder.path().join("run/log.jsonl");
    let mut samples: Vec<(f64, f64)> = Vec::new();
    while running.try_wait().unwrap().is_none() {
        // After the last step, the page is made.
        if let (Some(step), Some(size)) = (step(&log), resident(running.id()))
            && step < STEPS
        {
            samples.push((step, size));
        }
        sleep(Duration::from_millis(100));
    }
    assert!(running.wait().unwrap().success());

    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let rows = samples
        .iter()
        .map(|(step, size)| format!("{step},{size:.2}\n"));
    let csv = format!("step,resident_mib\n{}", rows.collect::<String>());
    fs::write(target.join("soak.csv"), csv).unwrap();
    let plot = Plot {
        title: "Resident size of a run of 20,000 steps".to_owned(),
        x_label: "step".to_owned(),
        y_label: "MiB".to_owned(),
        y_range: Some((
            0.0,
            1.2 * samples.iter().map(|&(_, size)| size).fold(0.0, f64::max),
        )),
        series: vec![Series::new("resident", samples.iter().copied())],
        ..Plot::default()
    };
    plot.save(target.join("soak.svg")).unwrap();

    let (early, late) = (
        mean(&samples, 900.0, 1100.0),
        mean(&samples, STEPS - 500.0, STEPS),
    );
    println!("{early:.1} MiB after 1,000 steps, {late:.1} MiB at the end");
    assert!(late < 1.05 * early, "{early:.1} MiB, then {late:.1} MiB");
}
