//! Image files to 8-bit RGB, upright.

use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind, Seek};
use std::path::Path;

use image::metadata::Orientation;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage,
};

use crate::DataError;
use crate::jpeg_markers::{self, JpegHeader};

/// The most memory a decoded image may take, in bytes (2 GiB); larger ones are an error.
pub const MAX_IMAGE_BYTES: u64 = 2 << 30;

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
/// [`DataError::Unreadable`], [`DataError::NotAnImage`], [`DataError::Truncated`], [`DataError::Damaged`], or
/// [`DataError::TooLarge`] (above [`MAX_IMAGE_BYTES`] decoded or 65535 pixels a side), each naming the file. A
/// JPEG without its end-of-image marker counts as truncated.
pub fn read_rgb(path: impl AsRef<Path>) -> Result<RgbImage, DataError> {
    let path = path.as_ref();
    let size = std::fs::metadata(path)
        .map_err(|error| DataError::unreadable(path, error))?
        .len();
    if size > MAX_IMAGE_BYTES {
        return Err(too_large(path, format!("a file of {size} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| DataError::unreadable(path, error))?;
    let reader = guess_format(path, Cursor::new(&bytes))?;
    if reader.format() == Some(ImageFormat::Jpeg) && !jpeg_markers::is_complete(&bytes) {
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

/// (width, height) of an image once upright, from the beginning of its file.
///
/// # Errors
///
/// As [`read_rgb`], as far as the header shows.
pub(crate) fn read_size(path: &Path) -> Result<(u32, u32), DataError> {
    let file = File::open(path).map_err(|error| DataError::unreadable(path, error))?;
    let reader = guess_format(path, BufReader::new(file))?;
    let (size, orientation) = if reader.format() == Some(ImageFormat::Jpeg) {
        // The image crate reads the whole of a JPEG to learn its size.
        let mut stream = reader.into_inner();
        let JpegHeader {
            width,
            height,
            orientation,
        } = stream
            .rewind()
            .and_then(|()| jpeg_markers::read_header(&mut stream))
            .map_err(|error| decoding_error(path, ImageError::IoError(error)))?;
        ((width, height), orientation)
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

fn guess_format<R: std::io::BufRead + Seek>(
    path: &Path,
    reader: R,
) -> Result<ImageReader<R>, DataError> {
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
        ImageError::Limits(error) => too_large(path, error.to_string()),
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DataError::Truncated {
                path: path.to_owned(),
            }
        }
        error => DataError::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    }
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
