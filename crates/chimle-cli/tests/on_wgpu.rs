//! The whole path on WGPU, with whatever driver there is, a software one too.
#![cfg(feature = "wgpu")]

mod command;

use command::{chimle, folder, photograph};

/// Whether there is a device at all: on a computer without a driver there is nothing to test.
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
fn a_model_is_trained_and_gives_the_samples_that_the_cpu_gives() {
    let folder = folder();
    let path = folder.path();
    if !is_there(path) {
        return;
    }
    chimle(
        path,
        "train --device wgpu --task colorization --data procedural --size 8 --steps 3 --share 2 --batch 2 \
         --pool 3,2,1 --out run",
    )
    .succeeds();
    photograph(path.join("photo.png"), 12, 8);
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
    // What one device has saved, another goes on with.
    chimle(path, "train --device cpu --resume run --steps 4").succeeds();
}

#[test]
fn a_device_past_the_end_is_named_beside_those_there_are() {
    let folder = folder();
    let failed = chimle(folder.path(), "verify --device wgpu:99 --reference .");
    failed.fails_naming(&["wgpu:99"]);
}
