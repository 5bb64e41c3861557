//! Animated PNG.

use png::{BitDepth, BlendOp, ColorType, Compression, DisposeOp, Encoder, EncodingError};

use super::{Frame, changes, common_size};
use crate::Error;

/// Encodes `frames` as an animated PNG that repeats forever.
///
/// A program that does not support animation shows the first frame. Delays are exact up to 65
/// seconds.
///
/// # Errors
///
/// If there are no frames, or frames differ in size or have no pixels.
pub fn apng(frames: &[Frame]) -> Result<Vec<u8>, Error> {
    let size = common_size(frames)?;
    encode(frames, size).map_err(|error| Error::encode("an animated PNG")(&error))
}

fn encode(frames: &[Frame], (width, height): (u32, u32)) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
    encoder.set_animated(count, 0)?;
    let mut writer = encoder.write_header()?;
    for (index, (frame, changed)) in changes(frames).enumerate() {
        if index > 0 {
            writer.set_frame_dimension(changed.width, changed.height)?;
            writer.set_frame_position(changed.left, changed.top)?;
        }
        writer.set_blend_op(BlendOp::Source)?;
        writer.set_dispose_op(DisposeOp::None)?;
        let (numerator, denominator) = fraction(frame.milliseconds);
        writer.set_frame_delay(numerator, denominator)?;
        let pixels: Vec<u8> = changed
            .pixels(&frame.image)
            .flat_map(|(_, _, color)| color)
            .collect();
        writer.write_image_data(&pixels)?;
    }
    writer.finish()?;
    Ok(bytes)
}

/// Returns a delay in seconds as a fraction of 16-bit numbers.
fn fraction(milliseconds: u32) -> (u16, u16) {
    u16::try_from(milliseconds).map_or_else(
        |_| (u16::try_from(milliseconds / 1000).unwrap_or(u16::MAX), 1),
        |milliseconds| (milliseconds, 1000),
    )
}
