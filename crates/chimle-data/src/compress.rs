//! JPEG compression of an image in memory, on libjpeg's scale of quality.

use image::codecs::jpeg::JpegDecoder;
use image::{DynamicImage, RgbImage};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

use crate::DataError;

/// How finely a JPEG samples color, compared with brightness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChromaSubsampling {
    /// 4:2:0: one color sample per 2 x 2 pixels. The decompression task uses this.
    Half,
    /// 4:4:4: one color sample per pixel.
    Full,
}

/// Compresses an image as a JPEG at `quality` and decompresses it again.
///
/// Quality is on libjpeg's scale, as in Pillow: 1 is the lowest and 100 the highest, and values outside
/// that range are clamped. Below 50, the quantization tables are those of the standard's Annex K times
/// 50 / quality. Subsampled color is the average over 2 x 2 pixels.
///
/// # Errors
///
/// [`DataError::Jpeg`] if a side is 0 or above 65535.
///
/// # Examples
///
/// ```
/// use chimle_data::{ChromaSubsampling, jpeg};
/// use image::{Rgb, RgbImage};
///
/// # fn main() -> Result<(), chimle_data::DataError> {
/// let image = RgbImage::from_pixel(17, 33, Rgb([90, 160, 30]));
/// let compressed = jpeg(&image, 95, ChromaSubsampling::Half)?;
/// assert_eq!(compressed.dimensions(), (17, 33));
/// assert!(compressed.get_pixel(3, 3).0[1].abs_diff(160) < 6);
/// # Ok(())
/// # }
/// ```
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

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn images_of_any_size_keep_it() {
        for (width, height) in [(1, 1), (1, 9), (8, 8), (16, 3), (17, 33), (130, 2)] {
            let image = RgbImage::from_pixel(width, height, Rgb([90, 160, 30]));
            for subsampling in [ChromaSubsampling::Half, ChromaSubsampling::Full] {
                let compressed = jpeg(&image, 95, subsampling).unwrap();
                assert_eq!(compressed.dimensions(), (width, height));
                for (a, b) in compressed.iter().zip(image.iter()) {
                    assert!(a.abs_diff(*b) < 6, "{width}x{height}: {a} for {b}");
                }
            }
        }
        assert!(jpeg(&RgbImage::new(0, 4), 50, ChromaSubsampling::Half).is_err());
    }
}
