//! The marker segments of a JPEG stream (ITU-T T.81, Annex B).
//!
//! They give an image's size without reading the whole file, and show whether the stream is complete.
//! A decoder cannot answer the second question: it fills missing parts with gray and reports success.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use image::metadata::Orientation;

const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;
const APP1: u8 = 0xE1;
const EXIF: &[u8] = b"Exif\0\0";

/// The contents of the segments before the first scan.
pub(crate) struct JpegHeader {
    pub width: u32,
    pub height: u32,
    pub orientation: Orientation,
}

/// Reads up to the frame header, and seeks over all segments that are not needed.
///
/// # Errors
///
/// [`ErrorKind::UnexpectedEof`] if the stream ends before the frame header,
/// [`ErrorKind::InvalidData`] if the stream is not a JPEG.
pub(crate) fn read_header(reader: &mut (impl Read + Seek)) -> io::Result<JpegHeader> {
    let mut orientation = Orientation::NoTransforms;
    if read_marker(reader)? != START_OF_IMAGE {
        return Err(invalid("it does not begin like a JPEG"));
    }
    loop {
        let marker = read_marker(reader)?;
        if is_standalone(marker) {
            continue;
        }
        if marker == END_OF_IMAGE || marker == START_OF_SCAN {
            return Err(invalid("it has no frame header"));
        }
        let length = read_segment_length(reader)?;
        if is_frame_header(marker) {
            let mut frame = [0; 5]; // precision, height (2), width (2)
            reader.read_exact(&mut frame)?;
            return Ok(JpegHeader {
                height: u32::from(u16::from_be_bytes([frame[1], frame[2]])),
                width: u32::from(u16::from_be_bytes([frame[3], frame[4]])),
                orientation,
            });
        }
        if marker == APP1 {
            let mut segment = vec![0; usize::from(length)];
            reader.read_exact(&mut segment)?;
            if let Some(exif) = segment.strip_prefix(EXIF) {
                orientation = Orientation::from_exif_chunk(exif).unwrap_or(orientation);
            }
        } else {
            reader.seek(SeekFrom::Current(i64::from(length)))?;
        }
    }
}

/// Returns whether a JPEG stream reaches its end-of-image marker. Bytes after the marker are ignored.
///
/// The marker of an embedded thumbnail is not counted, because segments are skipped by their length.
pub(crate) fn is_complete(stream: &[u8]) -> bool {
    let mut position = 0;
    let mut in_scan = false;
    while position + 1 < stream.len() {
        // Within a scan, 0xFF is followed by 0 (a data byte), by a restart marker, or by the marker that
        // ends the scan.
        if stream[position] != 0xFF {
            position += 1;
            continue;
        }
        let marker = stream[position + 1];
        match marker {
            0xFF => position += 1,
            END_OF_IMAGE => return true,
            0 if in_scan => position += 2,
            _ if is_standalone(marker) => position += 2,
            _ => {
                let Some(length) = stream.get(position + 2..position + 4) else {
                    return false;
                };
                position += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
                in_scan = marker == START_OF_SCAN;
            }
        }
    }
    false
}

/// Reads the next marker and returns its second byte. Fill bytes are skipped.
fn read_marker(reader: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    if byte[0] != 0xFF {
        return Err(invalid("a marker was expected"));
    }
    while byte[0] == 0xFF {
        reader.read_exact(&mut byte)?;
    }
    Ok(byte[0])
}

/// Reads the length of a segment's content.
fn read_segment_length(reader: &mut impl Read) -> io::Result<u16> {
    let mut length = [0; 2];
    reader.read_exact(&mut length)?;
    // The length counts its own two bytes.
    u16::from_be_bytes(length)
        .checked_sub(2)
        .ok_or_else(|| invalid("a segment is shorter than its length field"))
}

/// Returns whether no segment follows a marker: start of image, the restarts, and 0x01 (TEM).
fn is_standalone(marker: u8) -> bool {
    matches!(marker, 0x01 | 0xD0..=START_OF_IMAGE)
}

/// Returns whether a marker is one of SOF0 to SOF15. Three codes of that range mean something else.
fn is_frame_header(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}
