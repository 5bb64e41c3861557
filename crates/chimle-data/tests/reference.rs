//! Agreement with Pillow, libjpeg-turbo and scikit-image on three photographs.

use std::path::Path;

use chimle_data::{ChromaSubsampling, downsample, grayscale_lightness, jpeg, lab, read_rgb};
use image::RgbImage;
use safetensors::SafeTensors;

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference");

/// Calls `check` with each photograph and what the reference programs made of it.
fn for_each_photograph(check: impl Fn(&str, &RgbImage, &SafeTensors)) {
    if !Path::new(REFERENCE).is_dir() {
        eprintln!("absent: {REFERENCE}");
        return;
    }
    for name in ["astronaut", "chelsea", "coffee"] {
        let stem = Path::new(REFERENCE).join(format!("img_{name}"));
        let image = read_rgb(stem.with_extension("png")).unwrap();
        let bytes = std::fs::read(stem.with_extension("safetensors")).unwrap();
        check(name, &image, &SafeTensors::deserialize(&bytes).unwrap());
    }
}

/// (share of values that are equal, largest difference, mean absolute difference).
fn compare(a: &[u8], b: &[u8]) -> (f64, u8, f64) {
    assert_eq!(a.len(), b.len());
    let differences: Vec<u8> = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).collect();
    let count = differences.len() as f64;
    let equal = differences.iter().filter(|d| **d == 0).count() as f64 / count;
    let mean = differences.iter().map(|d| f64::from(*d)).sum::<f64>() / count;
    (equal, *differences.iter().max().unwrap(), mean)
}

#[test]
fn downsampling_is_pillows_bicubic() {
    for_each_photograph(|name, image, reference| {
        for divisor in [2, 4, 8, 16] {
            let expected = reference.tensor(&format!("bicubic.{divisor}")).unwrap();
            let small = downsample(image, image.width() / divisor, image.height() / divisor);
            let (equal, largest, _) = compare(small.unwrap().as_raw(), expected.data());
            println!("{name} / {divisor}: {equal:.5} equal, at most {largest} apart");
            assert_eq!(largest, 0);
        }
    });
}

#[test]
fn jpeg_is_libjpegs() {
    use ChromaSubsampling::{Full, Half};
    for_each_photograph(|name, image, reference| {
        for quality in [1, 10, 50] {
            for (subsampling, suffix) in [(Half, "420"), (Full, "444")] {
                let expected = reference.tensor(&format!("jpeg.q{quality}.{suffix}"));
                let ours = jpeg(image, quality, subsampling).unwrap();
                let (equal, largest, mean) = compare(ours.as_raw(), expected.unwrap().data());
                println!(
                    "{name} q{quality} {suffix}: mean {mean:.4}, largest {largest}, {equal:.4} equal"
                );
                assert!(mean <= 1.0);
            }
        }
    });
}

#[test]
fn lab_is_scikit_images() {
    for_each_photograph(|name, image, reference| {
        let tensor = reference.tensor("lab").unwrap();
        let bytes_per_value = tensor.data().len() / (256 * 256 * 3);
        let expected: Vec<f64> = tensor
            .data()
            .chunks_exact(bytes_per_value)
            .map(|bytes| match bytes_per_value {
                4 => f64::from(f32::from_le_bytes(bytes.try_into().unwrap())),
                _ => f64::from_le_bytes(bytes.try_into().unwrap()),
            })
            .collect();
        let ours = lab(image);
        let lightness = grayscale_lightness(image);
        let mut largest = 0.0_f64;
        for (i, expected) in expected.iter().enumerate() {
            let (row, column, channel) = (i / 3 / 256, i / 3 % 256, i % 3);
            largest = largest.max((f64::from(ours.get(channel, row, column)) - expected).abs());
            if channel == 0 {
                let l = f64::from(lightness.get(0, row, column)) * 100.0;
                largest = largest.max((l - expected).abs());
            }
        }
        println!("{name}: Lab at most {largest:.6} apart");
        assert!(largest <= 0.01);
    });
}
