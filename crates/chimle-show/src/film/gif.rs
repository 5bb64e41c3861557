//! Animated GIF.

use gif::{DisposalMethod, Encoder, Repeat};

use super::palette::Palette;
use super::{Frame, changes, common_size};
use crate::Error;

/// The shortest delay. Programs show a frame with a shorter delay for 100 ms.
const SHORTEST_HUNDREDTHS: u16 = 2;

/// Encodes `frames` as an animated GIF that repeats forever.
///
/// Delays are rounded to hundredths of a second, so that the rounding errors do not add up over the
/// animation. Each delay is at least 20 ms, because programs slow down shorter delays.
///
/// # Errors
///
/// If there are no frames, frames differ in size or have no pixels, or a side is over 65,535
/// pixels.
pub fn gif(frames: &[Frame]) -> Result<Vec<u8>, Error> {
    let (width, height) = common_size(frames)?;
    let side = |side: u32| {
        u16::try_from(side).map_err(|_| Error::TooLarge {
            width,
            height,
            format: "a GIF",
        })
    };
    let size = (side(width)?, side(height)?);
    encode(frames, size).map_err(|error| Error::encode("a GIF")(&error))
}

fn encode(frames: &[Frame], (width, height): (u16, u16)) -> Result<Vec<u8>, gif::EncodingError> {
    let mut palette = Palette::of(frames);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height, &palette.bytes())?;
    encoder.set_repeat(Repeat::Infinite)?;
    let (mut due, mut shown) = (0u64, 0u64);
    for (frame, changed) in changes(frames) {
        due += u64::from(frame.milliseconds);
        let rest = (due + 5) / 10;
        let delay = u16::try_from(rest.saturating_sub(shown))
            .unwrap_or(u16::MAX)
            .max(SHORTEST_HUNDREDTHS);
        shown += u64::from(delay);
        let indices: Vec<u8> = changed
            .pixels(&frame.image)
            .map(|(x, y, color)| palette.index(x, y, color))
            .collect();
        // The rectangle lies within the frame, whose sides fit into 16 bits.
        let within = |length: u32| length as u16;
        encoder.write_frame(&gif::Frame {
            delay,
            dispose: DisposalMethod::Keep,
            left: within(changed.left),
            top: within(changed.top),
            width: within(changed.width),
            height: within(changed.height),
            buffer: indices.into(),
            ..gif::Frame::default()
        })?;
    }
    drop(encoder);
    Ok(bytes)
}
