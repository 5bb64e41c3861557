//! Measures how much memory reading an image takes. The tests run one after the other.
#![cfg(target_os = "linux")]

use std::fs;
use std::sync::{Mutex, PoisonError};

use chimle_data::{Colorization, Dataset, DatasetConfig, Source, image_size, read_rgb};

/// Runs some work, and returns by how many MiB the memory grows at its peak.
fn growth(work: impl FnOnce()) -> u64 {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mebibytes = |field: &str| -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().unwrap() / 1024
    };
    // Resets the recorded peak.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = mebibytes("VmRSS:");
    work();
    mebibytes("VmHWM:") - before
}

#[test]
fn a_photograph_is_cropped_in_twice_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    // 103 MiB as RGB.
    image::GrayImage::new(6000, 6000)
        .save(folder.path().join("large.png"))
        .unwrap();
    let config = DatasetConfig::new(Colorization, 2, 16, 16);
    let data = Dataset::open(Source::Photographs(folder.path().to_owned()), config).unwrap();
    let grown = growth(|| drop(data.example(0, 1).unwrap()));
    assert!(grown < 2 * 103 + 30, "{grown} MiB");
}

/// A zlib stream of many zeros: one literal, and then repetitions of it, 258 at a time.
fn deflated_zeros(count: usize) -> Vec<u8> {
    let mut bytes = vec![0x78, 0x01];
    let (mut byte, mut used) = (0u8, 0);
    let mut bits = |bits: &[u8]| {
        for bit in bits {
            byte |= bit << used;
            used += 1;
            if used == 8 {
                bytes.push(byte);
                (byte, used) = (0, 0);
            }
        }
    };
    // The last block, with the codes that the format defines; the literal 0.
    bits(&[1, 1, 0]);
    bits(&[0, 0, 1, 1, 0, 0, 0, 0]);
    for _ in 0..count / 258 {
        // The length 258 at the distance 1.
        bits(&[1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
    }
    // The end of the block.
    bits(&[0; 7]);
    bits(&[0; 7]);
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[test]
fn a_color_profile_is_not_inflated_without_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile.png");
    let image = image::RgbImage::from_pixel(64, 64, image::Rgb([9, 9, 9]));
    image.save(&path).unwrap();
    let mut png = fs::read(&path).unwrap();
    // 400 MiB in a chunk after the header: a name, the method, and the profile.
    let profile = [&b"iCCPx\0\0"[..], &deflated_zeros(400 << 20)].concat();
    let length = (profile.len() - 4) as u32;
    let chunk = [
        &length.to_be_bytes()[..],
        &profile,
        &crc32(&profile).to_be_bytes(),
    ]
    .concat();
    assert!(chunk.len() < 3 << 20);
    // After the signature and the header.
    png.splice(33..33, chunk);
    fs::write(&path, &png).unwrap();

    let grown = growth(|| {
        assert_eq!(image_size(&path).unwrap(), (64, 64));
        assert_eq!(read_rgb(&path).unwrap(), image);
    });
    assert!(grown < 160, "{grown} MiB");
}
