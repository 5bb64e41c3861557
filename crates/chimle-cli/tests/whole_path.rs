//! From training to samples, measures and exported weights.

mod command;

use std::path::Path;

use command::{SMALL, chimle, folder, photograph, train};

#[test]
fn a_model_is_trained_resumed_sampled_measured_and_exported() {
    let folder = folder();
    let path = folder.path();
    train(path, 2);
    assert!(path.join("run/config.toml").is_file());
    let resumed = chimle(path, "train --resume run").succeeds();
    assert!(resumed.stdout.contains("from step 2"), "{}", resumed.stdout);

    photograph(path.join("photo.jpg"), 21, 18);
    chimle(
        path,
        "sample --model run --input photo.jpg --samples 3 --film gif --out samples",
    )
    .succeeds();
    let film = std::fs::read(path.join("samples/photo-film.gif")).unwrap();
    assert!(film.starts_with(b"GIF89a"));
    for sample in 1..=3 {
        let sample = image::open(path.join(format!("samples/photo-{sample:02}.png"))).unwrap();
        assert_eq!((sample.width(), sample.height()), (21, 18));
    }
    let sheet = image::open(path.join("samples/photo-sheet.png")).unwrap();
    assert!(sheet.width() > 4 * 21 && sheet.height() == 18);

    let table = chimle(
        path,
        "evaluate --model run --data procedural --samples 2 --limit 3 --out found",
    )
    .succeeds();
    assert!(table.stdout.contains("PSNR"), "{}", table.stdout);
    let found: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path.join("found/report.json")).unwrap()).unwrap();
    assert_eq!(found["images"], 3);
    let markdown = std::fs::read_to_string(path.join("found/report.md")).unwrap();
    assert!(markdown.contains("| PSNR"), "{markdown}");
    let page = std::fs::read_to_string(path.join("found/page.html")).unwrap();
    let samples = page.matches("\"samples\":[\"data:image/png").count();
    assert!(
        page.contains("Evaluation of run") && samples == 3,
        "{samples} inputs"
    );

    chimle(path, "export --model run --out model.safetensors").succeeds();
    chimle(path, "export --model run --out model.safetensors")
        .fails_naming(&["model.safetensors", "--force"]);
    chimle(
        path,
        "sample --model model.safetensors --input photo.jpg --samples 3 --out again",
    )
    .succeeds();
    let read = |folder: &str| std::fs::read(path.join(folder).join("photo-02.png")).unwrap();
    assert_eq!(read("samples"), read("again"));

    chimle(
        path,
        "import model.safetensors --task colourisation --out imported.safetensors",
    )
    .succeeds();
    let read = |name: &str| std::fs::read(path.join(name)).unwrap();
    assert_eq!(read("model.safetensors"), read("imported.safetensors"));
}

#[test]
fn the_seed_and_what_varies_decide_the_samples() {
    let folder = folder();
    let path = folder.path();
    train(path, 0);
    photograph(path.join("photo.png"), 16, 16);
    let samples = |flags: &str| -> Vec<Vec<u8>> {
        let _ = std::fs::remove_dir_all(path.join("out"));
        chimle(
            path,
            &format!("sample --model run --input photo.png --samples 2 --out out {flags}"),
        )
        .succeeds();
        ["01", "02"]
            .map(|k| {
                image::open(path.join(format!("out/photo-{k}.png")))
                    .unwrap()
                    .into_bytes()
            })
            .to_vec()
    };
    let first = samples("");
    assert_eq!(first, samples("--seed 0"));
    assert_ne!(first, samples("--seed 1"));
    let global = samples("--vary global");
    assert_eq!(first[0], global[0]);
    assert_ne!(first[1], global[1]);
    assert_ne!(global[1], samples("--vary level:1")[1]);
}

#[test]
fn a_folder_is_sampled_past_its_bad_files() {
    let folder = folder();
    let path = folder.path();
    train(path, 0);
    std::fs::create_dir_all(path.join("photos/below")).unwrap();
    photograph(path.join("photos/good.png"), 20, 12);
    photograph(path.join("photos/below/good.jpg"), 12, 20);
    photograph(path.join("photos/dot.png"), 1, 1);
    std::fs::write(path.join("photos/text.jpg"), "not a photograph").unwrap();
    let ran = chimle(
        path,
        "sample --model run --input photos --samples 1 --out out --degrade",
    );
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("2 images sampled, 2 skipped"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr
            .lines()
            .all(|line| line.starts_with("warning: skipped: ")),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("dot.png") && ran.stderr.contains("text.jpg"),
        "{}",
        ran.stderr
    );
    assert!(path.join("out/below/good-01.png").is_file());
    // The input, a sample, the truth.
    assert!(
        image::open(path.join("out/good-sheet.png"))
            .unwrap()
            .width()
            > 3 * 20
    );
}

#[test]
fn folders_are_measured_by_the_names_of_their_images() {
    let folder = folder();
    let path = folder.path();
    for (name, names) in [
        ("real", ["a.png", "b.png", "c.png", "d.png"]),
        ("fake", ["b.jpg", "c.jpg", "d.jpg", "e.jpg"]),
    ] {
        std::fs::create_dir(path.join(name)).unwrap();
        for (k, image) in names.iter().enumerate() {
            photograph(path.join(name).join(image), 24, 20 + k as u32 / 3);
        }
    }
    // Of the four fake images, b and c have the name and size of a true image. d has a different size, and e has no true image.
    let measured = |flags: &str| -> serde_json::Value {
        let flags = format!("evaluate --folders real fake --out found {flags}");
        let table = chimle(path, &flags).succeeds();
        assert!(table.stdout.contains("PSNR"), "{}", table.stdout);
        assert!(!path.join("found/page.html").exists());
        serde_json::from_slice(&std::fs::read(path.join("found/report.json")).unwrap()).unwrap()
    };
    let all = measured("");
    assert_eq!(
        (&all["images"], &all["likeness"]["psnr"]["mean"]["images"]),
        (&3.into(), &2.into())
    );
    let psnr = all["likeness"]["psnr"]["mean"]["value"].as_f64().unwrap();
    assert!((15.0..60.0).contains(&psnr), "{psnr} dB of a JPEG");
    let first = measured("--limit 1");
    assert_eq!(
        (
            &first["images"],
            &first["likeness"]["psnr"]["mean"]["images"]
        ),
        (&1.into(), &1.into())
    );

    std::fs::rename(path.join("fake"), path.join("others")).unwrap();
    std::fs::create_dir(path.join("fake")).unwrap();
    photograph(path.join("fake/z.png"), 24, 20);
    chimle(path, "evaluate --folders real fake").fails_naming(&["real", "fake", "names in common"]);
}

#[test]
fn folders_may_hold_several_samples_for_each_true_image() {
    let folder = folder();
    let path = folder.path();
    for name in ["real", "fake"] {
        std::fs::create_dir(path.join(name)).unwrap();
    }
    for name in ["a", "b-1"] {
        photograph(path.join(format!("real/{name}.png")), 24, 20);
    }
    // A JPEG sample differs from the truth, because the compression changes it.
    for (name, height) in [("a-01.jpg", 20), ("a-02.png", 20), ("a-sheet.png", 40)] {
        photograph(path.join("fake").join(name), 24, height);
    }
    for (name, height) in [("b-1-01.png", 20), ("b-1-02.jpg", 20), ("b-1-10.png", 20)] {
        photograph(path.join("fake").join(name), 24, height);
    }
    chimle(path, "evaluate --folders real fake --out found").succeeds();
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path.join("found/report.json")).unwrap()).unwrap();
    assert_eq!(report["samples"], 2);
    let of = |measure: &str| &report["likeness"]["distance"][measure];
    assert_eq!(of("best")["images"], 2);
    // One of the two samples of each image is the image itself.
    assert_eq!(of("best")["value"], 0.0);
    let mean = of("mean")["value"].as_f64().unwrap();
    let diversity = report["diversity"]["value"].as_f64().unwrap();
    assert!(
        mean > 0.0 && (diversity - 2.0 * mean).abs() < 1e-6,
        "{mean} {diversity}"
    );
    let faithfulness = report["faithfulness_weighted_variance"].as_array().unwrap();
    assert!(!faithfulness.is_empty());
    let notes = report["notes"].to_string();
    assert!(notes.contains("2 images of fake are left out"), "{notes}");
}

#[test]
fn every_task_trains_on_made_up_scenes() {
    let folder = folder();
    for task in ["super_resolution", "decompression", "paired"] {
        let flags = format!(
            "train --task {task} --data procedural --size 16 --steps 1 {SMALL} --out {task}"
        );
        chimle(folder.path(), &flags).succeeds();
    }
    photograph(folder.path().join("photo.png"), 33, 20);
    let sampled =
        "sample --model super_resolution --input photo.png --degrade --samples 1 --out out";
    chimle(folder.path(), sampled).succeeds();
    // The image is cropped so that the levels divide its sides, then downsampled and enlarged again.
    let sample = image::open(folder.path().join("out/photo-01.png")).unwrap();
    assert_eq!((sample.width(), sample.height()), (32, 16));
    chimle(
        folder.path(),
        "sample --model paired --input photo.png --degrade --out out",
    )
    .fails_naming(&["--degrade"]);
}

#[test]
fn a_quickstart_writes_its_picture_and_numbers_and_replaces_only_its_own() {
    let folder = folder();
    let path = folder.path();
    // Quickstart takes this run for an earlier quickstart, because it has the same network and procedural scenes.
    train(path, 0);
    let quickstart =
        |flags: &str| chimle(path, &format!("quickstart --out run --minutes 0 {flags}"));
    quickstart("").fails_naming(&["run", "--force"]);
    std::fs::write(path.join("run/thesis.txt"), "mine").unwrap();
    quickstart("--force").fails_naming(&["run", "--force"]);
    assert!(path.join("run/thesis.txt").is_file());
    std::fs::remove_file(path.join("run/thesis.txt")).unwrap();

    let report = quickstart("--force");
    assert_eq!(report.status, 0, "{}", report.stderr);
    let picture = Path::new("run").join("samples.png").display().to_string();
    assert!(report.stdout.contains(&picture), "{}", report.stdout);
    assert!(path.join("run/samples.png").is_file() && path.join("run/page.html").is_file());
    let numbers = std::fs::read(path.join("run/numbers.json")).unwrap();
    let numbers: serde_json::Value = serde_json::from_slice(&numbers).unwrap();
    assert_eq!(
        (&numbers["modes"]["of"], &numbers["steps"]),
        (&4.into(), &0.into())
    );
}
