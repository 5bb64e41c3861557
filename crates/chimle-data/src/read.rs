//! Image files to 8-bit RGB, upright.

use std::any::Any;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb,
    RgbImage,
};

use crate::DataError;
use crate::budget::{Budget, Share};
use crate::jpeg_markers::{self, JpegHeader};

/// The most memory that images may take while they are decoded, in bytes (2 GiB). It is shared by all
/// threads of the process. An image that needs more is an error; it is not decoded.
pub const MAX_IMAGE_BYTES: u64 = 2 << 30;

/// What the images that are being decoded have taken of it.
static BUDGET: Budget = Budget::new(MAX_IMAGE_BYTES);

/// The most pixels an image may have on a side.
const MAX_SIDE: u32 = 65535;

/// Formats recognized by their content.
const FORMATS: [ImageFormat; 5] = [
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::WebP,
    ImageFormat::Tiff,
    ImageFormat::Bmp,
];

/// Reads an image as 8-bit RGB: JPEG, PNG, WebP, TIFF or BMP, told apart by content rather than by name.
///
/// 16-bit values are rounded to 8; gray becomes three equal channels; what is transparent shows white behind
/// it; the orientation in the file's EXIF data is applied. Embedded color profiles are ignored.
///
/// # Errors
///
/// [`DataError::Unreadable`], [`DataError::NotAnImage`], [`DataError::Truncated`], [`DataError::Damaged`],
/// [`DataError::Decoder`], or [`DataError::TooLarge`] (above [`MAX_IMAGE_BYTES`] while it is decoded or 65535
/// pixels a side), each naming the file. A JPEG without its end-of-image marker counts as truncated.
pub fn read_rgb(path: impl AsRef<Path>) -> Result<RgbImage, DataError> {
    with_rgb(path.as_ref(), |image| image)
}

/// Decodes an image that is in memory, as [`read_rgb`] does one in a file. Errors call it `name`, for
/// example "the photograph".
///
/// `most_pixels` is compared with the size in the header, so a larger image is refused before it is
/// decoded.
///
/// # Errors
///
/// As [`read_rgb`], with `name` in the place of the file's name.
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
    let _share = take(path, needed.bytes, needed.size)?;
    catching(path, || decode(path, bytes))
}

/// Reads an image as [`read_rgb`] does, and works on it while its memory counts as taken. `work` must read no
/// other image.
pub(crate) fn with_rgb<T>(path: &Path, work: impl FnOnce(RgbImage) -> T) -> Result<T, DataError> {
    let size = regular_file(path)?;
    if size > MAX_IMAGE_BYTES {
        return Err(too_large(path, format!("a file of {size} bytes")));
    }
    // Taken before the file is read: its header says what the image needs.
    let needed = catching(path, || {
        let file = File::open(path).map_err(|error| DataError::unreadable(path, error))?;
        bytes_needed(path, BufReader::new(file))
    })?;
    let _share = take(path, needed.bytes.saturating_add(size), needed.size)?;
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
        let reason = format!(
            "{width}x{height} pixels need {all} MiB to be decoded, the limit is {most} MiB"
        );
        too_large(path, reason)
    })
}

/// The memory that decoding an image takes at its peak.
struct Needed {
    bytes: u64,
    size: (u32, u32),
}

/// Reads from a header what an image needs.
fn bytes_needed(path: &Path, stream: impl BufRead + Seek) -> Result<Needed, DataError> {
    let reader = guess_format(path, stream)?;
    let is_jpeg = reader.format() == Some(ImageFormat::Jpeg);
    if is_jpeg {
        let header = jpeg_header(path, reader.into_inner())?;
        let pixels = u64::from(header.width) * u64::from(header.height);
        return Ok(Needed {
            // As many as four channels, 16-bit coefficients of all of them, and the image turned upright.
            bytes: pixels * (4 + 8 + 4),
            size: (header.width, header.height),
        });
    }
    let mut decoder = reader
        .into_decoder()
        .map_err(|error| decoding_error(path, error))?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let decoded = decoder.total_bytes();
    let is_turned = !matches!(decoder.orientation(), Ok(Orientation::NoTransforms));
    let turned = if is_turned { decoded } else { 0 };
    let color = decoder.color_type();
    // In 8 bits: with a channel of transparency, and without it.
    let rgb = match color {
        ColorType::Rgb8 => 0,
        color if color.has_alpha() => 7 * pixels,
        _ => 3 * pixels,
    };
    Ok(Needed {
        bytes: decoded.saturating_add(turned.max(rgb)),
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
    // Metadata that cannot be parsed says nothing about the pixels.
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

/// Reads the size of an image once upright, (width, height), from the beginning of its file.
///
/// # Errors
///
/// As [`read_rgb`], as far as the header shows.
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

/// Reads the header of a JPEG. The image crate reads the whole of a JPEG to learn its size.
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

/// Returns the length of a regular file. Anything else (a folder, a pipe, a device) may have no end.
fn regular_file(path: &Path) -> Result<u64, DataError> {
    let metadata = std::fs::metadata(path).map_err(|error| DataError::unreadable(path, error))?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    Err(DataError::unreadable(path, "it is not a regular file"))
}

/// Makes an error of a decoder's panic: a damaged file must not end the process.
fn catching<T>(path: &Path, work: impl FnOnce() -> Result<T, DataError>) -> Result<T, DataError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(DataError::Decoder {
            name: path.display().to_string(),
            reason: panic_message(&*panic).to_owned(),
        })
    })
}

/// What a panic says.
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
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_IMAGE_BYTES);
    reader.limits(limits);
    Ok(reader)
}

fn decoding_error(path: &Path, error: ImageError) -> DataError {
    match error {
        ImageError::Limits(error) => too_large(path, one_line(&error.to_string())),
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DataError::Truncated {
                path: path.to_owned(),
            }
        }
        // Some decoders say it in several lines.
        error => DataError::Damaged {
            path: path.to_owned(),
            reason: one_line(&error.to_string()),
        },
    }
}

/// Joins lines.
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

    /// No file is known that makes a decoder panic, so the panic is made here.
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
