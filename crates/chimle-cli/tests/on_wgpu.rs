//! The whole path on WGPU, with any driver, including a software driver.
#![cfg(feature = "wgpu")]

mod command;

use command::{chimle, folder, photograph, train};

/// Returns whether there is a device. Without one, there is nothing to test.
fn is_there(path: &std::path::Path) -> bool {
    let devices = chimle(path, "devices").succeeds().stdout;
    let line = devices.lines().find(|line| line.starts_with("wgpu:0"));
    match line {
        Some(line) => assert!(line.ends_with("works"), "{line}"),
        None => println!("absent: {devices}"),
    }
    line.is_some()
}

#[test]
fn a_run_goes_on_from_device_to_device_and_gives_the_same_samples() {
    let folder = folder();
    let path = folder.path();
    if !is_there(path) {
        return;
    }
    train(path, 1);
    chimle(path, "train --device wgpu --resume run --steps 3").succeeds();
    photograph(path.join("photo.png"), 24, 16);
    for device in ["cpu", "wgpu:0"] {
        chimle(
            path,
            &format!(
                "sample --device {device} --model run --input photo.png --samples 2 --out {device}"
            ),
        )
        .succeeds();
    }
    for sample in ["photo-01.png", "photo-02.png"] {
        let read = |device: &str| {
            image::open(path.join(device).join(sample))
                .unwrap()
                .into_rgb8()
        };
        let (cpu, wgpu) = (read("cpu"), read("wgpu:0"));
        let apart = cpu
            .iter()
            .zip(wgpu.iter())
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(apart <= Some(1), "{apart:?} levels of 255");
    }
    chimle(path, "train --device cpu --resume run --steps 4").succeeds();
}

/// The fixtures need no perceptual weights. A software driver takes too long for VGG16.
#[test]
fn the_reference_numbers_are_met() {
    let reference = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../chimle-verify/tests/fixtures"
    );
    let folder = folder();
    if is_there(folder.path()) {
        let verify = format!("verify --device wgpu --reference {reference}");
        let found = chimle(folder.path(), &verify).succeeds().stdout;
        let last = found.lines().last().unwrap_or_default();
        assert!(last.contains(" passed, 0 failed"), "{last}");
    }
}

#[test]
fn a_device_past_the_end_is_named_beside_those_there_are() {
    let folder = folder();
    let failed = chimle(folder.path(), "verify --device wgpu:99 --reference .");
    failed.fails_naming(&["wgpu:99"]);
}
