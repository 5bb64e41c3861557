//! What is done to a photograph to make an input of it: downsampling and JPEG compression, as Pillow does them.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegDecoder;
use image::{DynamicImage, RgbImage};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

use crate::DataError;

/// How often a JPEG stores color, compared with brightness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChromaSubsampling {
    /// 4:2:0: one color sample for each 2 x 2 pixels. What the decompression task uses.
    Half,
    /// 4:4:4: one color sample a pixel.
    Full,
}

/// Brings an image to `width` x `height` by Pillow's `BICUBIC`.
///
/// That is cubic convolution with a = -0.5 (Keys 1981; "Catmull-Rom"), widened by the scale when an image is
/// made smaller so that it does not alias, applied along rows and then along columns with rounding to 8 bits
/// after each.
///
/// # Errors
///
/// [`DataError::Setting`] if a side, of the image or asked for, is 0.
pub fn downsample(image: &RgbImage, width: u32, height: u32) -> Result<RgbImage, DataError> {
    let whole = [
        0.0,
        0.0,
        f64::from(image.width()),
        f64::from(image.height()),
    ];
    resize_region(image, whole, width, height)
}

/// [`downsample`] of the region `[left, top, width, height]`, in pixels of `image`, as Pillow's `box` argument.
pub(crate) fn resize_region(
    image: &RgbImage,
    [left, top, region_width, region_height]: [f64; 4],
    width: u32,
    height: u32,
) -> Result<RgbImage, DataError> {
    let refused = |needed| DataError::Setting {
        field: "image size",
        value: format!(
            "{}x{} to be resized to {width}x{height}",
            image.width(),
            image.height()
        ),
        needed,
    };
    if width == 0 || height == 0 || image.width() == 0 || image.height() == 0 {
        return Err(refused("at least one pixel"));
    }
    let source = ImageRef::new(
        image.width(),
        image.height(),
        image.as_raw(),
        PixelType::U8x3,
    )
    .map_err(|_| refused("three bytes a pixel"))?;
    let mut resized = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .crop(left, top, region_width, region_height)
        .use_alpha(false);
    Resizer::new()
        .resize(&source, &mut resized, &options)
        .map_err(|_| refused("a region inside the image"))?;
    RgbImage::from_raw(width, height, resized.into_vec())
        .ok_or_else(|| refused("three bytes a pixel"))
}

/// The image after JPEG compression at `quality` and decompression.
///
/// Quality is on libjpeg's scale (the tables of the standard's Annex K, times 50 / quality below 50), as in
/// Pillow: 1 is the lowest, 100 the highest; values outside are clamped. Color is averaged over 2 x 2 pixels
/// when it is subsampled.
///
/// # Errors
///
/// [`DataError::Jpeg`] if a side is 0 or above 65535.
pub fn jpeg(
    image: &RgbImage,
    quality: u8,
    subsampling: ChromaSubsampling,
) -> Result<RgbImage, DataError> {
    let failed = |reason: &dyn std::fmt::Display| DataError::Jpeg {
        reason: format!("{}x{} image: {reason}", image.width(), image.height()),
    };
    let side = |side: u32| u16::try_from(side).map_err(|_| failed(&"a side is above 65535"));
    let (width, height) = (side(image.width())?, side(image.height())?);

    let mut compressed = Vec::new();
    let mut encoder = Encoder::new(&mut compressed, quality.clamp(1, 100));
    encoder.set_sampling_factor(match subsampling {
        ChromaSubsampling::Half => SamplingFactor::R_4_2_0,
        ChromaSubsampling::Full => SamplingFactor::R_4_4_4,
    });
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    encoder
        .encode(image.as_raw(), width, height, ColorType::Rgb)
        .map_err(|error| failed(&error))?;

    let decoder = JpegDecoder::new(std::io::Cursor::new(&compressed)).map_err(|e| failed(&e))?;
    let decoded = DynamicImage::from_decoder(decoder).map_err(|error| failed(&error))?;
    Ok(decoded.into_rgb8())
}
