//! Measures of sets, and MS-SSIM, agree with the numbers in `expected/`, which `expected/make.py`
//! computed.

use std::path::{Path, PathBuf};

use chimle_metrics::{
    ImageView, Moments, Neighborhoods, Rows, frechet_distance, kid, ms_ssim, neighborhoods,
};
use safetensors::SafeTensors;
use serde_json::Value;

fn expected() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Reads the f64 rows with a name, and returns them with the number of features in a row.
fn features(path: &Path, name: &str) -> (Vec<f64>, usize) {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let (values, _) = view.data().as_chunks::<8>();
    let values = values.iter().map(|b| f64::from_le_bytes(*b)).collect();
    (values, view.shape()[1])
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Asserts that all measures have the expected values: counts exactly, the others to 1e-6.
fn check(real: Rows<'_, f64>, fake: Rows<'_, f64>, numbers: &Value) {
    let near = |name: &str, found: f64, limit: f64| {
        let expected = numbers[name].as_f64().unwrap();
        let error = (found / expected - 1.0).abs();
        println!("{name}: {error:e} (relative)");
        assert!(error < limit, "{name}: {found} in place of {expected}");
    };
    let distance = frechet_distance(&Moments::of(real), &Moments::of(fake)).unwrap();
    near("fid", distance, 1e-6);
    near("kid", kid(real, fake, None).unwrap(), 1e-9);
    for (k, numbers) in numbers["prdc"].as_object().unwrap() {
        let found = neighborhoods(real, fake, k.parse().unwrap()).unwrap();
        check_neighborhoods(&found, numbers);
    }
}

fn check_neighborhoods(found: &Neighborhoods, numbers: &Value) {
    for (name, values) in [
        ("precision", &found.precision),
        ("recall", &found.recall),
        ("density", &found.density),
        ("coverage", &found.coverage),
    ] {
        let expected = numbers[name].as_f64().unwrap();
        // A difference of one image would change the mean by at least 1e-3.
        let error = (mean(values) - expected).abs();
        assert!(error < 1e-12, "{name}: {} for {expected}", mean(values));
    }
}

#[test]
fn sets_agree_with_pytorch_fid_and_prdc() {
    let numbers = json(&expected().join("numbers.json"));
    let file = expected().join("sets.safetensors");
    for name in ["full", "singular"] {
        let (real, dimension) = features(&file, &format!("{name}.real"));
        let (fake, _) = features(&file, &format!("{name}.fake"));
        let real = Rows::new(&real, dimension).unwrap();
        check(real, Rows::new(&fake, dimension).unwrap(), &numbers[name]);
    }
}

/// Returns the pictures of `expected/make.py`, `[3, height, width]`.
fn pictures(height: usize, width: usize) -> [Vec<f32>; 2] {
    let triangle = |n: usize, period: usize| (n % (2 * period)).abs_diff(period);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for c in 0..3 {
        for y in 0..height {
            for x in 0..width {
                let waves = triangle(3 * x + 5 * y + 7 * c, 97)
                    + triangle(x * (c + 2), 41)
                    + triangle(2 * y, 59);
                let hash = (x * 7919 + y * 104_729 + c * 1_299_709) as u64;
                let noise = hash.wrapping_mul(2_654_435_761) % (1 << 32) / (1 << 16);
                let value = waves as f64 / 197.0;
                first.push(value as f32);
                second.push((0.1 + 0.7 * value + 0.2 * noise as f64 / 65535.0) as f32);
            }
        }
    }
    [first, second]
}

#[test]
fn ms_ssim_agrees_with_its_definition_in_numpy() {
    let numbers = json(&expected().join("numbers.json"));
    for case in numbers["ms_ssim"].as_array().unwrap() {
        let [height, width] = [0, 1].map(|i| case["size"][i].as_u64().unwrap() as usize);
        let [first, second] = pictures(height, width);
        let view = |values| ImageView::new(values, [3, height, width]).unwrap();
        let found = ms_ssim(view(&first), view(&second)).unwrap();
        let expected = case["value"].as_f64().unwrap();
        println!("{height}x{width}: {:e}", (found - expected).abs());
        assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
    }
}
