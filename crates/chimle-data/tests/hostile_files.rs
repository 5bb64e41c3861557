//! Image files and folders that are made to exhaust memory or to stop a run.

use std::fs;
use std::io::Cursor;
use std::time::{Duration, Instant};

use chimle_data::{
    Colorization, DataError, Dataset, DatasetConfig, NightToDay, Source, image_size, list_images,
    read_rgb,
};
use image::{ImageFormat, Rgb, RgbImage};
use tempfile::TempDir;

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

/// Returns the beginning of a PNG: its header, and the first bytes of its pixels.
fn png_header(width: u32, height: u32, bits: u8, color: u8) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([bits, color, 0, 0, 0]);
    for (kind, data) in [(b"IHDR", &header[..]), (b"IDAT", &[0x78, 0x9c, 0, 0][..])] {
        png.extend((data.len() as u32).to_be_bytes());
        let chunk = [&kind[..], data].concat();
        png.extend(&chunk);
        png.extend(crc32(&chunk).to_be_bytes());
    }
    png
}

/// A complete image of the first size compresses to a file of 260 kB. Decoded, it would take 2 GB, or
/// 6 GB as RGB.
#[test]
fn an_image_that_takes_too_much_is_refused_by_its_header() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("vast.png");
    // Gray of 1 bit; palette; RGB of 16 bits; RGBA.
    let cases = [
        (65_535, 32_767, 1, 0),
        (65_535, 32_767, 8, 0),
        (30_000, 30_000, 16, 2),
        (20_000, 15_000, 8, 6),
    ];
    for (width, height, bits, color) in cases {
        fs::write(&path, png_header(width, height, bits, color)).unwrap();
        let begun = Instant::now();
        let error = read_rgb(&path).unwrap_err();
        assert!(matches!(error, DataError::TooLarge { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(&format!("{width}x{height}")), "{message}");
        assert!(
            message.contains("vast.png") && message.contains("MiB"),
            "{message}"
        );
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
    // As RGB, the last image needs less than half as much memory. It is decoded, and its pixels turn out
    // to be missing.
    fs::write(&path, png_header(20_000, 15_000, 8, 2)).unwrap();
    let error = read_rgb(&path).unwrap_err();
    assert!(!matches!(error, DataError::TooLarge { .. }), "{error}");
}

#[test]
fn a_jpeg_that_takes_too_much_is_refused_by_its_header() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("vast.jpg");
    let frame = |width: u16, height: u16| {
        let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xC2, 0, 17, 8];
        bytes.extend([height.to_be_bytes(), width.to_be_bytes()].concat());
        bytes.extend([3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 0xFF, 0xD9]);
        bytes
    };
    fs::write(&path, frame(60_000, 60_000)).unwrap();
    assert!(matches!(read_rgb(&path), Err(DataError::TooLarge { .. })));
    for empty in [frame(0, 9), frame(9, 0)] {
        fs::write(&path, empty).unwrap();
        assert!(matches!(read_rgb(&path), Err(DataError::Damaged { .. })));
        assert!(image_size(&path).is_err());
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused() {
    for path in ["/dev/zero", "/dev/null", "/"] {
        assert!(matches!(read_rgb(path), Err(DataError::Unreadable { .. })));
        assert!(matches!(
            image_size(path),
            Err(DataError::Unreadable { .. })
        ));
    }
}

/// Images of each format are damaged at random, from a fixed seed. Each gives an error or an image, but
/// no panic.
#[test]
fn changed_files_are_errors_or_images() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("changed");
    let image = RgbImage::from_fn(37, 23, |x, y| Rgb([(x * 7) as u8, (y * 5) as u8, 90]));
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    let (mut refused, mut read) = (0, 0);
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Bmp,
    ] {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        let whole = bytes.into_inner();
        for _ in 0..200 {
            let mut bytes = whole.clone();
            for _ in 0..=random(4) {
                // Most hostile contents are in the header.
                let reach = if random(2) == 0 {
                    bytes.len()
                } else {
                    bytes.len().min(64)
                };
                let at = random(reach);
                match random(5) {
                    0 => bytes.truncate(at.max(1)),
                    1 => bytes[at] = 0xFF,
                    2 => bytes[at] = 0,
                    _ => bytes[at] ^= 1 << random(8),
                }
            }
            fs::write(&path, bytes).unwrap();
            let size = image_size(&path);
            match read_rgb(&path) {
                Ok(image) => {
                    read += 1;
                    assert_eq!(image.dimensions(), size.unwrap());
                }
                Err(error) => {
                    refused += 1;
                    // The panic of a decoder is caught. If a case is found here, it should be reported to
                    // the decoder's authors.
                    let is_panic = matches!(error, DataError::Decoder { .. });
                    assert!(!is_panic, "{format:?}: {error}");
                }
            }
        }
    }
    assert!(
        refused > 200 && read > 100,
        "{refused} refused, {read} read"
    );
}

fn photograph(path: std::path::PathBuf) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(16, 16, Rgb([1, 2, 3]))
        .save(path)
        .unwrap();
}

fn opened(source: Source, paired: bool) -> Dataset {
    let config = if paired {
        DatasetConfig::new(NightToDay, 2, 8, 8)
    } else {
        DatasetConfig::new(Colorization, 2, 8, 8)
    };
    Dataset::open(source, config).unwrap()
}

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_or_into_a_circle_are_passed_over() {
    use std::os::unix::fs::symlink;
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    photograph(root.join("a.png"));
    photograph(root.join("sub/b.png"));
    symlink("missing.png", root.join("dangling.png")).unwrap();
    symlink("..", root.join("sub/up")).unwrap();
    symlink("self", root.join("self")).unwrap();
    // A lock file of an editor.
    symlink("missing", root.join(".#lock")).unwrap();
    let listed = list_images(root).unwrap();
    assert_eq!(listed.files, [root.join("a.png"), root.join("sub/b.png")]);
    let mut names: Vec<&str> = listed
        .skipped
        .iter()
        .map(|skipped| &skipped.name[..])
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["dangling.png", "self", "sub/up"]);
    let dataset = opened(Source::Photographs(root.to_owned()), false);
    assert_eq!((dataset.len(), dataset.skipped().len()), (2, 3));

    fs::remove_file(root.join("a.png")).unwrap();
    fs::remove_file(root.join("sub/b.png")).unwrap();
    let message = list_images(root).unwrap_err().to_string();
    assert!(message.starts_with("cannot read"), "{message}");
}

#[cfg(unix)]
#[test]
fn the_partner_of_a_link_that_leads_nowhere_is_passed_over_too() {
    use std::os::unix::fs::symlink;
    let folder = TempDir::new().unwrap();
    let (input, output) = (folder.path().join("input"), folder.path().join("output"));
    for name in ["a.png", "b.png", "sub/c.png"] {
        photograph(input.join(name));
    }
    photograph(output.join("a.png"));
    symlink("missing.jpg", output.join("b.jpg")).unwrap();
    symlink("missing", output.join("sub")).unwrap();
    let dataset = opened(Source::PairedFolders { input, output }, true);
    assert_eq!((dataset.len(), dataset.skipped().len()), (1, 2));
    assert_eq!(dataset.name(0), "a");
}

#[cfg(unix)]
#[test]
#[ignore = "the superuser can read every folder: run it as another user"]
fn a_subfolder_that_cannot_be_read_is_passed_over() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    photograph(folder.path().join("a.png"));
    photograph(folder.path().join("closed/b.png"));
    let closed = folder.path().join("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let listed = list_images(folder.path());
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    let listed = listed.unwrap();
    assert_eq!(listed.files.len(), 1);
    assert_eq!(listed.skipped[0].name, "closed");
}
