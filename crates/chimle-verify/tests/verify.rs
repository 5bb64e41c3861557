//! `verify` on the committed fixtures: it passes, finds damaged numbers, and names missing and malformed
//! files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_verify::{Check, Error, Outcome, verify};
use safetensors::SafeTensors;
use tempfile::TempDir;

/// The folder of small networks and a photograph that `fixtures/make.py` makes with PyTorch.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn run(reference: &Path, weights: Option<&Path>) -> Result<Vec<Check>, Error> {
    let mut shown = Vec::new();
    let checks = verify::<Autodiff<Flex>>(reference, weights, &Default::default(), &mut |check| {
        println!("{check}");
        shown.push(check.to_string());
    })?;
    // Checks are compared as text, because NaN is not equal to itself.
    assert_eq!(
        shown,
        checks.iter().map(Check::to_string).collect::<Vec<_>>()
    );
    Ok(checks)
}

/// Copies the files of one network, and the files that belong to no network.
fn copy_of(task: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("tim_") || name.starts_with(&format!("tim_{task}")) {
            fs::copy(&path, folder.path().join(name)).unwrap();
        }
    }
    folder
}

/// Changes the `N` bytes from byte `at` of a tensor.
fn change<const N: usize>(path: &Path, name: &str, at: usize, change: impl Fn([u8; N]) -> [u8; N]) {
    let mut bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let data = file.tensor(name).unwrap().data();
    let start = data.as_ptr() as usize - bytes.as_ptr() as usize + at;
    let value = &mut bytes[start..start + N];
    value.copy_from_slice(&change((&*value).try_into().unwrap()));
    fs::write(path, bytes).unwrap();
}

/// Adds a number to the first value of a tensor.
fn add(path: &Path, name: &str, difference: f32) {
    change(path, name, 0, |b| {
        (f32::from_le_bytes(b) + difference).to_le_bytes()
    });
}

/// Returns the names of the failed checks.
fn failed(checks: &[Check]) -> BTreeSet<&str> {
    let failed = checks.iter().filter(|check| check.failed());
    failed.map(|check| check.name.as_str()).collect()
}

/// Returns the limit of a check that was made.
fn limit(check: &Check) -> f64 {
    match check.outcome {
        Outcome::Passed { limit, .. } | Outcome::Failed { limit, .. } => limit,
        Outcome::Absent { .. } => panic!("{check}"),
    }
}

#[test]
fn this_build_agrees_with_the_fixtures() {
    let checks = run(&fixtures(), None).unwrap();
    assert_eq!(failed(&checks), BTreeSet::new());
    let absent = checks
        .iter()
        .filter(|c| matches!(c.outcome, Outcome::Absent { .. }));
    let absent: BTreeSet<&str> = absent.map(|check| check.name.as_str()).collect();
    let expected = ["LPIPS", "unweighted VGG distance", "FID, KID and precision"];
    assert_eq!(absent, BTreeSet::from(expected));

    for task in ["colourization", "generic", "super_resolution"] {
        // No check is of ill-conditioned parameters, because the fixtures permit the strict limit.
        let name = format!("tim_{task}: gradients");
        let gradients = checks.iter().filter(|check| check.name.starts_with(&name));
        let limits: Vec<f64> = gradients.map(limit).collect();
        assert_eq!(limits, [2e-3]);
    }
    // Pillow's bicubic filter is reproduced exactly.
    let bicubic = checks
        .iter()
        .find(|check| check.name == "img_waves: bicubic, levels apart");
    assert!(matches!(
        bicubic.unwrap().outcome,
        Outcome::Passed { largest: 0.0, .. }
    ));
}

#[test]
fn an_altered_number_fails_its_own_check_and_no_other() {
    let folder = copy_of("generic");
    let path = |name: &str| folder.path().join(name);
    let io = path("tim_generic_io.safetensors");
    add(&io, "output.2", 1e-3);
    add(&io, "rgb.0", f32::NAN);
    add(&io, "loss.1", 1e-2);
    add(&io, "search.distance", 1e-2);
    change(&io, "search.selected", 8, |b| {
        (i64::from_le_bytes(b) ^ 1).to_le_bytes()
    });
    let gradients = path("tim_generic_grads.safetensors");
    add(&gradients, "level_3_out.0.bias", 0.1);
    let stepped = path("tim_generic_after_adam.safetensors");
    add(&stepped, "level_3_out.0.bias", 1e-4);
    // The change is half a step of a mapping network.
    add(&stepped, "level_2_map.4.weight", 5e-6);
    add(&path("lab_to_rgb.safetensors"), "grad", 1e4);
    let photograph = path("img_waves.safetensors");
    add(&photograph, "lab", 0.1);
    change(&photograph, "bicubic.4", 5, |[level]: [u8; 1]| [level ^ 4]);
    let metrics = fs::read_to_string(path("metrics.json")).unwrap();
    let changed = metrics.replace("\"ssim_jpeg_q1_420\": 0.", "\"ssim_jpeg_q1_420\": 0.0");
    assert_ne!(changed, metrics);
    fs::write(path("metrics.json"), changed).unwrap();

    let checks = run(folder.path(), None).unwrap();
    let expected = [
        "tim_generic: outputs, level 3",
        "tim_generic: RGB, level 1",
        // The check of RGB fails too, because it converts the altered output.
        "tim_generic: RGB, level 3",
        "tim_generic: loss, level 2",
        "tim_generic: search, distances",
        "tim_generic: search, chosen candidates",
        "tim_generic: gradients",
        "tim_generic: parameters after a step of Adam",
        "tim_generic: mapping networks after a step of Adam",
        "Lab to sRGB, gradient",
        "img_waves: Lab",
        "img_waves: bicubic, levels apart",
        "img_waves: bicubic, share unequal",
        "img_waves: ssim_jpeg_q1_420",
    ];
    assert_eq!(failed(&checks), BTreeSet::from(expected));

    // The line names the place.
    let line = |name: &str| checks.iter().find(|c| c.name == name).unwrap().to_string();
    assert!(line("tim_generic: outputs, level 3").contains("`output.2` [0, 0, 0, 0]: "));
    assert!(
        line("tim_generic: search, chosen candidates").contains("example 0, level 2: candidate")
    );
    assert!(line("tim_generic: gradients").contains("`level_3_out.0.bias` [0]: "));
}

#[test]
fn a_gradient_that_only_one_side_has_fails() {
    let name = "tim_generic_grads.safetensors";
    let file = fs::read(fixtures().join(name)).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap().tensors();
    let (last_up, unused) = ("level_2_up.3.bias", "level_3_up.3.bias");
    let renamed = |name: &str| {
        if name == last_up {
            unused.to_owned()
        } else {
            name.to_owned()
        }
    };
    let missing = tensors.iter().filter(|(name, _)| name != last_up);
    let missing = safetensors::serialize(missing.cloned(), None).unwrap();
    let moved = tensors.iter().map(|(name, view)| (renamed(name), view));
    let moved = safetensors::serialize(moved, None).unwrap();

    for (bytes, place) in [
        (
            missing,
            "`level_2_up.3.bias` has no gradient in tim_generic_grads.safetensors",
        ),
        (moved, "`level_3_up.3.bias` has no gradient here"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for ending in [".json", ".pth", "_io.safetensors"] {
            let file = format!("tim_generic{ending}");
            fs::copy(fixtures().join(&file), folder.path().join(&file)).unwrap();
        }
        fs::write(folder.path().join(name), bytes).unwrap();
        let checks = run(folder.path(), None).unwrap();
        assert_eq!(failed(&checks), BTreeSet::from(["tim_generic: gradients"]));
        let gradients = checks.iter().find(|check| check.failed()).unwrap();
        assert!(gradients.to_string().contains(place), "{gradients}");
    }
}

#[test]
fn a_folder_without_reference_numbers_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    // A folder of weights does not help, and neither does a network without its parameters.
    for weights in [None, Some(path)] {
        let message = run(path, weights).unwrap_err().to_string();
        assert!(message.starts_with("nothing was checked"), "{message}");
        assert!(message.contains(path.to_str().unwrap()), "{message}");
    }
    fs::write(path.join("metrics.json"), "{}").unwrap();
    fs::copy(fixtures().join("tim_generic.json"), path.join("tim_x.json")).unwrap();
    let mut absent = Vec::new();
    let found = verify::<Autodiff<Flex>>(path, None, &Default::default(), &mut |check| {
        assert!(matches!(check.outcome, Outcome::Absent { .. }), "{check}");
        absent.push(check.to_string());
    });
    assert!(matches!(found, Err(Error::NothingChecked { .. })));
    // The missing files are still named.
    assert!(absent[0].contains("no tim_x.pth"), "{absent:?}");
    assert!(absent.len() >= 4);

    let nowhere = path.join("nowhere");
    let message = run(&nowhere, None).unwrap_err().to_string();
    assert!(message.contains("nowhere"), "{message}");
}

#[test]
fn without_weights_the_images_are_checked_nonetheless() {
    // If no loss is named, the network's loss is LPIPS.
    let folder = copy_of("super_resolution");
    let json = folder.path().join("tim_super_resolution.json");
    let config = fs::read_to_string(&json).unwrap();
    fs::write(&json, config.replace("\"loss\": \"l2\",", "")).unwrap();
    let checks = run(folder.path(), None).unwrap();
    assert_eq!(failed(&checks), BTreeSet::new());
    let line = |start: &str| {
        let mut found = checks.iter().filter(|check| check.name.starts_with(start));
        found.next().unwrap().to_string()
    };
    assert!(line("tim_super_resolution: outputs, level 3").starts_with("passed"));
    assert!(line("tim_super_resolution: losses").contains("no folder of perceptual weights"));
    assert!(line("LPIPS").starts_with("absent"));
}

#[test]
fn a_malformed_file_is_an_error_that_names_it() {
    let original = fs::read_to_string(fixtures().join("tim_colourization.json")).unwrap();
    let replaced = |from: &str, to: &str| {
        assert!(original.contains(from), "{from}");
        original.replacen(from, to, 1).into_bytes()
    };
    let io = fs::read(fixtures().join("tim_colourization_io.safetensors")).unwrap();
    let json = "tim_colourization.json";
    for (file, bytes, expected) in [
        (json, b"[1, 2]".to_vec(), "expected a map"),
        (
            json,
            replaced("\"batch\"", "\"bath\""),
            "missing field `batch`",
        ),
        (
            json,
            replaced("\"batch\": 2", "\"batch\": 3"),
            "`input.0` has shape [2, 1, 4, 4]",
        ),
        (
            json,
            replaced("Colourization", "Cubism"),
            "`task`: \"Cubism\"",
        ),
        (
            json,
            replaced("\"input_side\": 4", "\"input_side\": 123456789012"),
            "`input_side`",
        ),
        (
            json,
            replaced("\"latent\": 5", "\"latent\": 6"),
            "a different network",
        ),
        (
            json,
            replaced("\"lr\"", "\"rate\""),
            "`adam`: missing field `lr`",
        ),
        (
            json,
            replaced("\"l2\"", "\"l3\""),
            "`loss`: unknown variant `l3`",
        ),
        (
            "tim_colourization_io.safetensors",
            io[..io.len() / 2].to_vec(),
            "damaged",
        ),
        ("tim_colourization.pth", b"PK".to_vec(), "damaged"),
        ("metrics.json", b"{".to_vec(), "EOF"),
        ("img_waves.safetensors", vec![0; 40], "damaged"),
    ] {
        let folder = copy_of("colourization");
        fs::write(folder.path().join(file), bytes).unwrap();
        let message = run(folder.path(), None).unwrap_err().to_string();
        let stem = file.split('.').next().unwrap();
        assert!(message.contains(stem), "{file}: {message}");
        assert!(message.contains(expected), "{file}: {message}");
    }
}
