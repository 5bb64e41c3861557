//! Trained models that come with the program, and photographs larger than those of training.

mod command;

use command::{chimle, folder, photograph, train};

#[test]
fn a_model_is_listed_described_and_sampled_by_its_name() {
    let folder = folder();
    let path = folder.path();
    let listed = chimle(path, "models").succeeds().stdout;
    let names: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(names.contains(&"scenes-colorization-64"), "{listed}");
    for name in names {
        let card = chimle(path, &format!("models {name}")).succeeds().stdout;
        assert!(card.contains("## Not good for"), "{card}");
    }
    photograph(path.join("photo.jpg"), 150, 120);
    let sample = "sample --model scenes-colorization-64 --input photo.jpg --samples 2";
    chimle(path, &format!("{sample} --out out")).succeeds();
    let picture = image::open(path.join("out/photo-02.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (150, 120));
}

#[test]
fn the_sheet_of_a_large_photograph_has_small_pictures() {
    let folder = folder();
    photograph(folder.path().join("photo.jpg"), 900, 600);
    let sample = "sample --model scenes-colorization-64 --input photo.jpg --samples 2 --out out";
    chimle(folder.path(), sample).succeeds();
    let size = |name: &str| image::image_dimensions(folder.path().join("out").join(name)).unwrap();
    assert_eq!(size("photo-01.png"), (900, 600));
    let (width, height) = size("photo-sheet.png");
    assert!(width < 3 * 520 && height == 341, "{width} x {height}");
}

#[test]
fn a_name_of_nothing_is_an_error_that_lists_the_models() {
    let folder = folder();
    photograph(folder.path().join("photo.jpg"), 40, 40);
    for command in [
        "models scenes",
        "sample --model scenes --input photo.jpg --out out",
        "export --model scenes --out model.safetensors",
    ] {
        let named = ["\"scenes\"", "scenes-colorization-64"];
        chimle(folder.path(), command).fails_naming(&named);
    }
}

#[test]
fn a_run_starts_from_a_trained_model() {
    let folder = folder();
    let train = "train --task colorization --data procedural --size 32 --steps 1 --batch 2 --round 4 \
                 --steps-per-search 2 --pool 2,1,1,1,1 --init scenes-colorization-64 --out run";
    chimle(folder.path(), train).succeeds();
    let config = std::fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    assert!(
        config.contains("init = \"scenes-colorization-64\""),
        "{config}"
    );
}

#[test]
fn an_exported_model_knows_its_size_and_may_have_16_bits() {
    let folder = folder();
    let path = folder.path();
    train(path, 1);
    chimle(path, "export --model run --out whole.safetensors").succeeds();
    chimle(path, "export --model run --half --out half.safetensors").succeeds();
    let bytes = |name: &str| std::fs::metadata(path.join(name)).unwrap().len();
    assert!(bytes("half.safetensors") < bytes("whole.safetensors") * 3 / 5);

    photograph(path.join("photo.png"), 90, 70);
    for (model, scale, out) in [
        ("run", "", "run-out"),
        ("half.safetensors", "", "half-out"),
        ("whole.safetensors", "--scale tiles", "tiles-out"),
        ("whole.safetensors", "--scale whole", "whole-out"),
    ] {
        let flags =
            format!("sample --model {model} --input photo.png --samples 1 {scale} --out {out}");
        chimle(path, &flags).succeeds();
    }
    let read = |folder: &str| {
        let picture = image::open(path.join(folder).join("photo-01.png")).unwrap();
        picture.to_rgb8()
    };
    let differ = |one: &str, other: &str| {
        let (one, other) = (read(one), read(other));
        assert_eq!(one.dimensions(), (90, 70));
        let pairs = one.as_raw().iter().zip(other.as_raw());
        pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    };
    assert!(differ("run-out", "half-out") <= 2);
    assert!(differ("run-out", "whole-out") > 0);
    assert!(differ("tiles-out", "whole-out") > 0);
    chimle(
        path,
        "evaluate --model half.safetensors --data procedural --samples 2 --limit 2",
    )
    .succeeds();
    let sample = "sample --model run --input photo.png --out out";
    chimle(path, &format!("{sample} --scale huge")).fails_with_usage("--scale");
}
