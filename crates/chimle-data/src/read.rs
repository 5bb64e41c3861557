//! Reading of image files as upright 8-bit RGB.

use std::any::Any;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, ImageReader,
    Limits, Rgb, RgbImage,
};

use crate::DataError;
use crate::budget::{Budget, Share};
use crate::jpeg_markers::{self, JpegHeader};

/// The largest memory that images may take while they are decoded, in bytes (2 GiB). All threads of the
/// process share it. An image that needs more is rejected before it is decoded.
pub const MAX_IMAGE_BYTES: u64 = 2 << 30;

/// The largest memory that the metadata of an image may take, in bytes (64 MiB). A file of 1 MB can
/// contain a compressed color profile of 1 GiB.
const MAX_METADATA: u64 = 64 << 20;

/// The budget that all images share while they are decoded.
static BUDGET: Budget = Budget::new(MAX_IMAGE_BYTES);

/// The largest side of an image in pixels.
const MAX_SIDE: u32 = 65535;

/// Formats recognized by their content.
const FORMATS: [ImageFormat; 5] = [
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::WebP,
    ImageFormat::Tiff,
    ImageFormat::Bmp,
];

/// Reads a JPEG, PNG, WebP, TIFF or BMP image as 8-bit RGB. The format is recognized by the file's
/// content, not by its name.
///
/// 16-bit values are rounded to 8 bits. Gray becomes three equal channels, and transparent pixels are
/// blended with white. The orientation in the file's EXIF data is applied. Embedded color profiles are
/// ignored.
///
/// # Errors
///
/// - [`DataError::Unreadable`], [`DataError::NotAnImage`], [`DataError::Damaged`] or
///   [`DataError::Decoder`] if the file cannot be read as an image
/// - [`DataError::Truncated`] if the file ends too early. A JPEG without its end-of-image marker is
///   truncated.
/// - [`DataError::TooLarge`] if the image needs more than [`MAX_IMAGE_BYTES`] while it is decoded, or
///   a side exceeds 65535 pixels
///
/// Each error names the file.
pub fn read_rgb(path: impl AsRef<Path>) -> Result<RgbImage, DataError> {
    with_rgb(path.as_ref(), |image| image)
}

/// Decodes an image that is in memory, in the same way as [`read_rgb`] decodes a file. Errors call the
/// image `name`, for example "the photograph".
///
/// `most_pixels` is the largest accepted number of pixels. It is compared with the size in the header,
/// so a larger image is refused before it is decoded.
///
/// # Errors
///
/// The errors of [`read_rgb`], with `name` in place of the file's name. [`DataError::TooLarge`] also if
/// the image has more than `most_pixels` pixels.
///
/// # Examples
///
/// ```
/// use chimle_data::decode_rgb;
///
/// let error = decode_rgb("the photograph", b"no image at all", 1_000_000).unwrap_err();
/// assert_eq!(error.to_string(), "the photograph is not a JPEG, PNG, WebP, TIFF or BMP image");
/// ```
pub fn decode_rgb(name: &str, bytes: &[u8], most_pixels: u64) -> Result<RgbImage, DataError> {
    let path = Path::new(name);
    let needed = catching(path, || bytes_needed(path, Cursor::new(bytes)))?;
    let (width, height) = needed.size;
    if u64::from(width) * u64::from(height) > most_pixels {
        let reason = format!("{width}x{height} pixels, the limit is {most_pixels} pixels");
        return Err(too_large(path, reason));
    }
    let _share = take(path, needed.bytes.saturating_add(MAX_METADATA), needed.size)?;
    catching(path, || decode(path, bytes))
}

/// Reads an image as [`read_rgb`] does, and calls `work` with it. Meanwhile, the image's memory still
/// counts as taken. `work` must not read another image.
pub(crate) fn with_rgb<T>(path: &Path, work: impl FnOnce(RgbImage) -> T) -> Result<T, DataError> {
    let size = regular_file(path)?;
    if size > MAX_IMAGE_BYTES {
        return Err(too_large(path, format!("the file has {size} bytes")));
    }
    // The header tells how much memory the image needs. This memory is taken before the whole file is
    // read.
    let needed = catching(path, || {
        let file = File::open(path).map_err(|error| DataError::unreadable(path, error))?;
        bytes_needed(path, BufReader::new(file))
    })?;
    let _share = take(
        path,
        needed
            .bytes
            .saturating_add(MAX_METADATA)
            .saturating_add(size),
        needed.size,
    )?;
    let image = catching(path, || {
        let bytes = std::fs::read(path).map_err(|error| DataError::unreadable(path, error))?;
        decode(path, &bytes)
    })?;
    Ok(work(image))
}

/// Takes the memory that decoding an image needs.
fn take(path: &Path, bytes: u64, (width, height): (u32, u32)) -> Result<Share<'static>, DataError> {
    BUDGET.take(bytes).map_err(|most| {
        let (all, most) = (bytes.div_ceil(1 << 20), most >> 20);
        let reason =
            format!("decoding {width}x{height} pixels needs {all} MiB, the limit is {most} MiB");
        too_large(path, reason)
    })
}

/// The memory that decoding an image takes at its peak.
struct Needed {
    bytes: u64,
    size: (u32, u32),
}

/// Reads a header and returns the memory that the image needs.
fn bytes_needed(path: &Path, stream: impl BufRead + Seek) -> Result<Needed, DataError> {
    let reader = guess_format(path, stream)?;
    let is_jpeg = reader.format() == Some(ImageFormat::Jpeg);
    if is_jpeg {
        let header = jpeg_header(path, reader.into_inner())?;
        let pixels = u64::from(header.width) * u64::from(header.height);
        return Ok(Needed {
            // Up to four channels, their 16-bit coefficients, and a copy that is turned upright.
            bytes: pixels * (4 + 8 + 4),
            size: (header.width, header.height),
        });
    }
    let is_webp = reader.format() == Some(ImageFormat::WebP);
    let mut decoder = reader
        .into_decoder()
        .map_err(|error| decoding_error(path, error))?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let decoded = decoder.total_bytes();
    let is_turned = !matches!(decoder.orientation(), Ok(Orientation::NoTransforms));
    let turned = if is_turned { decoded } else { 0 };
    let color = decoder.color_type();
    // The 8-bit copies of the image: RGB, and RGBA before it if there is transparency.
    let rgb = match color {
        ColorType::Rgb8 => 0,
        color if color.has_alpha() => 7 * pixels,
        _ => 3 * pixels,
    };
    // The memory that decoders take in addition to the image that they return.
    let scratch = match decoder.original_color_type() {
        ExtendedColorType::Cmyk16 => 8 * pixels,
        ExtendedColorType::Cmyk8 => 4 * pixels,
        _ if is_webp => 4 * pixels,
        _ => 0,
    };
    // The image, and a crop of it.
    let used = 6 * pixels;
    Ok(Needed {
        bytes: decoded
            .saturating_add(turned.max(rgb).max(scratch))
            .max(used),
        size: (width, height),
    })
}

fn decode(path: &Path, bytes: &[u8]) -> Result<RgbImage, DataError> {
    let reader = guess_format(path, Cursor::new(bytes))?;
    if reader.format() == Some(ImageFormat::Jpeg) && !jpeg_markers::is_complete(bytes) {
        return Err(DataError::Truncated {
            path: path.to_owned(),
        });
    }
    let mut decoder = reader
        .into_decoder()
        .map_err(|error| decoding_error(path, error))?;
    let decoded_size = decoder.total_bytes();
    if decoded_size > MAX_IMAGE_BYTES {
        let (width, height) = decoder.dimensions();
        return Err(too_large(
            path,
            format!("{width}x{height} pixels take {decoded_size} bytes"),
        ));
    }
    let limits = limits(decoded_size.saturating_add(MAX_METADATA));
    decoder
        .set_limits(limits)
        .map_err(|error| decoding_error(path, error))?;
    // The pixels may be intact even if the metadata cannot be parsed.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image =
        DynamicImage::from_decoder(decoder).map_err(|error| decoding_error(path, error))?;
    image.apply_orientation(orientation);
    Ok(if image.color().has_alpha() {
        over_white(&image)
    } else {
        image.into_rgb8()
    })
}

/// Reads the size (width, height) of an image after its orientation is applied. Only the beginning of
/// the file is read.
///
/// # Errors
///
/// The errors of [`read_rgb`] that the header reveals.
pub fn image_size(path: impl AsRef<Path>) -> Result<(u32, u32), DataError> {
    let path = path.as_ref();
    regular_file(path)?;
    catching(path, || read_size(path))
}

fn read_size(path: &Path) -> Result<(u32, u32), DataError> {
    let file = File::open(path).map_err(|error| DataError::unreadable(path, error))?;
    let reader = guess_format(path, BufReader::new(file))?;
    let (size, orientation) = if reader.format() == Some(ImageFormat::Jpeg) {
        let header = jpeg_header(path, reader.into_inner())?;
        ((header.width, header.height), header.orientation)
    } else {
        let mut decoder = reader
            .into_decoder()
            .map_err(|error| decoding_error(path, error))?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        (decoder.dimensions(), orientation)
    };
    let (width, height) = size;
    Ok(match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        Orientation::NoTransforms
        | Orientation::Rotate180
        | Orientation::FlipHorizontal
        | Orientation::FlipVertical => (width, height),
    })
}

/// Reads the header of a JPEG. The `image` crate would read the whole file to find the size.
fn jpeg_header(path: &Path, mut stream: impl BufRead + Seek) -> Result<JpegHeader, DataError> {
    let header = stream
        .rewind()
        .and_then(|()| jpeg_markers::read_header(&mut stream))
        .map_err(|error| decoding_error(path, ImageError::IoError(error)))?;
    if header.width == 0 || header.height == 0 {
        let reason = format!("it has {}x{} pixels", header.width, header.height);
        let path = path.to_owned();
        return Err(DataError::Damaged { path, reason });
    }
    Ok(header)
}

/// Returns the length of a regular file. Anything else (a folder, a pipe, a device) is an error,
/// because it may be endless.
fn regular_file(path: &Path) -> Result<u64, DataError> {
    let metadata = std::fs::metadata(path).map_err(|error| DataError::unreadable(path, error))?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    Err(DataError::unreadable(path, "it is not a regular file"))
}

/// Turns a decoder's panic into an error, because a damaged file must not end the process.
fn catching<T>(path: &Path, work: impl FnOnce() -> Result<T, DataError>) -> Result<T, DataError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(DataError::Decoder {
            name: path.display().to_string(),
            reason: panic_message(&*panic).to_owned(),
        })
    })
}

/// Returns the message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
    message.unwrap_or("no message")
}

fn guess_format<R: BufRead + Seek>(path: &Path, reader: R) -> Result<ImageReader<R>, DataError> {
    let mut reader = ImageReader::new(reader)
        .with_guessed_format()
        .map_err(|error| DataError::unreadable(path, error))?;
    if !reader.format().is_some_and(|f| FORMATS.contains(&f)) {
        return Err(DataError::NotAnImage {
            path: path.to_owned(),
        });
    }
    // The pixels are added once their number is known.
    reader.limits(limits(MAX_METADATA));
    Ok(reader)
}

/// Returns the limits of a decoder that may take this much memory.
fn limits(bytes: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(bytes);
    limits
}

fn decoding_error(path: &Path, error: ImageError) -> DataError {
    match error {
        ImageError::Limits(error) => too_large(path, one_line(&error.to_string())),
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DataError::Truncated {
                path: path.to_owned(),
            }
        }
        // Some decoders give a message of several lines.
        error => DataError::Damaged {
            path: path.to_owned(),
            reason: one_line(&error.to_string()),
        },
    }
}

/// Joins the lines of a text.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn too_large(path: &Path, reason: String) -> DataError {
    DataError::TooLarge {
        path: path.to_owned(),
        reason,
    }
}

fn over_white(image: &DynamicImage) -> RgbImage {
    let rgba = image.to_rgba8();
    RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, alpha] = rgba.get_pixel(x, y).0;
        let alpha = u32::from(alpha);
        Rgb([r, g, b].map(|v| ((u32::from(v) * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(path: &Path) -> Needed {
        bytes_needed(path, BufReader::new(File::open(path).unwrap())).unwrap()
    }

    /// The decoder of WebP decodes to four channels before it returns three.
    #[test]
    fn what_a_decoder_keeps_for_itself_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.webp");
        let image = RgbImage::from_pixel(20, 10, Rgb([1, 2, 3]));
        image.save(&path).unwrap();
        assert_eq!(needed(&path).bytes, 200 * (3 + 4));
    }

    #[test]
    fn a_crop_of_the_image_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let image = RgbImage::from_pixel(20, 10, Rgb([1, 2, 3]));
        image.save(&path).unwrap();
        assert_eq!(needed(&path).bytes, 200 * (3 + 3));
    }

    /// No known file makes a decoder panic, so the test itself panics.
    #[test]
    fn a_panic_of_a_decoder_is_an_error_that_names_the_file() {
        let caught = catching(Path::new("a.png"), || -> Result<(), DataError> {
            panic!("index out of bounds")
        });
        let message = caught.unwrap_err().to_string();
        assert!(
            message.contains("a.png") && message.contains("index out of bounds"),
            "{message}"
        );
    }
}
