//! Reading of image files: the pixels of valid ones, and the errors of others.

use std::io::Cursor;
use std::path::PathBuf;

use chimle_data::{DataError, read_rgb};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageBuffer, ImageEncoder, ImageFormat, Luma, Rgb, RgbImage, Rgba};
use tempfile::TempDir;

/// Returns a smooth image whose left side is dark and whose top is blue.
fn gradient(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let red = (x * 255 / width) as u8;
        Rgb([red, red / 2, 255 - (y * 255 / height) as u8])
    })
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn lossless_formats_are_read_back_exactly_whatever_they_are_called() {
    let folder = TempDir::new().unwrap();
    let image = gradient(40, 30);
    for format in [
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Bmp,
    ] {
        let path = write(&folder, "misnamed.jpg", &encode(image.clone(), format));
        assert_eq!(read_rgb(&path).unwrap(), image, "{format:?}");
    }
}

#[test]
fn sixteen_bits_become_eight() {
    let folder = TempDir::new().unwrap();
    let deep: ImageBuffer<Rgb<u16>, Vec<u16>> =
        ImageBuffer::from_fn(4, 4, |x, y| Rgb([x as u16 * 257, y as u16 * 257, 0xFFFF]));
    let path = write(&folder, "deep.png", &encode(deep, ImageFormat::Png));
    assert_eq!(read_rgb(&path).unwrap().get_pixel(3, 2).0, [3, 2, 255]);
}

#[test]
fn gray_becomes_three_equal_channels() {
    let folder = TempDir::new().unwrap();
    let gray: ImageBuffer<Luma<u16>, Vec<u16>> =
        ImageBuffer::from_fn(4, 4, |x, _| Luma([x as u16 * 257 * 50]));
    let path = write(&folder, "gray.png", &encode(gray, ImageFormat::Png));
    assert_eq!(read_rgb(&path).unwrap().get_pixel(2, 0).0, [100; 3]);
}

#[test]
fn transparent_pixels_show_white() {
    let folder = TempDir::new().unwrap();
    let image = image::RgbaImage::from_fn(3, 1, |x, _| Rgba([200, 0, 0, [0, 51, 255][x as usize]]));
    let path = write(&folder, "alpha.png", &encode(image, ImageFormat::Png));
    let read = read_rgb(&path).unwrap();
    assert_eq!(read.get_pixel(0, 0).0, [255, 255, 255]);
    assert_eq!(read.get_pixel(1, 0).0, [244, 204, 204]);
    assert_eq!(read.get_pixel(2, 0).0, [200, 0, 0]);
}

/// Returns a JPEG with an EXIF block that contains only the orientation.
fn jpeg_with_orientation(image: &RgbImage, orientation: u8) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    encoder.set_exif_metadata(exif).unwrap();
    encoder.encode_image(image).unwrap();
    bytes
}

#[test]
fn exif_orientation_turns_the_image_upright() {
    let folder = TempDir::new().unwrap();
    let image = gradient(48, 32);
    // Orientation 6: the stored image must be turned clockwise to be upright.
    let path = write(&folder, "turned.jpg", &jpeg_with_orientation(&image, 6));
    let read = read_rgb(&path).unwrap();
    assert_eq!(read.dimensions(), (32, 48));
    let upright = image::imageops::rotate90(&image);
    let difference: u64 = (read.as_raw().iter().zip(upright.as_raw()))
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    assert!(difference < 4 * read.as_raw().len() as u64);
}

#[test]
fn a_jpeg_cut_short_anywhere_is_an_error() {
    let folder = TempDir::new().unwrap();
    let bytes = encode(gradient(160, 120), ImageFormat::Jpeg);
    let path = write(&folder, "whole.jpg", &bytes);
    assert_eq!(read_rgb(&path).unwrap().dimensions(), (160, 120));
    for length in [bytes.len() / 2, bytes.len() - 2, bytes.len() - 20, 40, 12] {
        let path = write(&folder, "half.jpg", &bytes[..length]);
        let error = read_rgb(&path).unwrap_err();
        assert!(
            matches!(error, DataError::Truncated { .. }),
            "{length}: {error}"
        );
        assert!(error.to_string().contains("half.jpg"));
    }
}

#[test]
fn a_jpeg_whose_thumbnail_alone_is_complete_is_truncated() {
    let folder = TempDir::new().unwrap();
    let mut thumbnail = b"Exif\0\0".to_vec();
    thumbnail.extend(encode(gradient(16, 16), ImageFormat::Jpeg));
    let image = encode(gradient(160, 120), ImageFormat::Jpeg);
    let mut bytes = image[..2].to_vec();
    bytes.extend([0xFF, 0xE1]);
    bytes.extend((thumbnail.len() as u16 + 2).to_be_bytes());
    bytes.extend(thumbnail);
    bytes.extend(&image[2..]);
    let path = write(&folder, "photo.jpg", &bytes);
    assert!(read_rgb(&path).is_ok());
    let path = write(&folder, "photo.jpg", &bytes[..bytes.len() - 200]);
    assert!(matches!(read_rgb(&path), Err(DataError::Truncated { .. })));
}

#[test]
fn other_formats_cut_short_are_errors_that_name_the_file() {
    let folder = TempDir::new().unwrap();
    for format in [
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Bmp,
    ] {
        let bytes = encode(gradient(160, 120), format);
        let path = write(&folder, "half.png", &bytes[..bytes.len() / 2]);
        let error = read_rgb(&path).unwrap_err();
        assert!(
            error.to_string().contains("half.png"),
            "{format:?}: {error}"
        );
    }
}

#[test]
fn text_is_not_an_image() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "notes.jpg", b"Remember to take photographs.");
    assert!(matches!(read_rgb(&path), Err(DataError::NotAnImage { .. })));
    let path = write(&folder, "empty.jpg", b"");
    assert!(matches!(read_rgb(&path), Err(DataError::NotAnImage { .. })));
    let missing = read_rgb(folder.path().join("missing.jpg"));
    assert!(matches!(missing, Err(DataError::Unreadable { .. })));
}

#[test]
fn an_image_that_would_not_fit_memory_is_refused_before_it_is_decoded() {
    let folder = TempDir::new().unwrap();
    // A PNG header that promises 60000 x 60000 pixels.
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(&[0; 3], 1, 1, image::ExtendedColorType::Rgb8)
        .unwrap();
    bytes[16..20].copy_from_slice(&60000_u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60000_u32.to_be_bytes());
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    let path = write(&folder, "vast.png", &bytes);
    let error = read_rgb(&path).unwrap_err();
    assert!(matches!(error, DataError::TooLarge { .. }), "{error}");
    assert!(error.to_string().contains("vast.png"));
}

/// Computes the checksum of a PNG chunk (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
