//! Event files of scalars that TensorBoard reads.
//!
//! An event file is a sequence of TFRecords, each of which is a protocol buffer message `Event`.
//! This module writes them itself, because the existing crates need `protoc` to build, or have had
//! no release for years.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::error::Error;

/// The used part of TensorFlow's `Event`. Field numbers are those of `event.proto`.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

/// The `Summary` of `summary.proto`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `SessionLog.START`. TensorBoard drops the values of earlier files at this step and later steps.
const START: i32 = 1;

/// A file of scalars over steps.
///
/// # Examples
///
/// ```
/// use chimle_show::TensorBoard;
///
/// let folder = tempfile::tempdir()?;
/// let mut file = TensorBoard::create(folder.path(), 0)?;
/// file.write(1, &[("loss", 0.5), ("learning rate", 1e-4)])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    path: PathBuf,
    file: File,
}

impl TensorBoard {
    /// Creates a new event file in a folder, and the folder if it does not exist. A run that is
    /// resumed from `step` passes this step, and TensorBoard then ignores later steps in other
    /// files of the folder.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] if the file cannot be written.
    pub fn create(folder: &Path, step: u64) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(|source| Error::write(folder, source))?;
        let time = now();
        let name = format!("events.out.tfevents.{:010}.{}", time as u64, process::id());
        let path = folder.join(name);
        let file = File::create(&path).map_err(|source| Error::write(&path, source))?;
        let mut events = Self { path, file };
        events.append(&Event {
            wall_time: time,
            file_version: Some("brain.Event:2".to_owned()),
            ..Event::default()
        })?;
        events.append(&Event {
            wall_time: time,
            step: step as i64 + 1,
            session_log: Some(SessionLog { status: START }),
            ..Event::default()
        })?;
        Ok(events)
    }

    /// Writes named scalars of one step. TensorBoard groups charts by the part of a name before a
    /// slash.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&mut self, step: u64, scalars: &[(&str, f64)]) -> Result<(), Error> {
        let value = scalars.iter().map(|&(tag, value)| Value {
            tag: tag.to_owned(),
            simple_value: Some(value as f32),
        });
        let event = Event {
            wall_time: now(),
            step: step as i64,
            summary: Some(Summary {
                value: value.collect(),
            }),
            ..Event::default()
        };
        self.append(&event)
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a TFRecord: the length, the data, and a masked CRC-32C of each.
    fn append(&mut self, event: &Event) -> Result<(), Error> {
        let data = event.encode_to_vec();
        let length = (data.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(data.len() + 16);
        record.extend_from_slice(&length);
        record.extend_from_slice(&masked_crc(&length).to_le_bytes());
        record.extend_from_slice(&data);
        record.extend_from_slice(&masked_crc(&data).to_le_bytes());
        // One call per record, so that a killed run leaves only whole records.
        let written = self.file.write_all(&record);
        written.map_err(|source| Error::write(&self.path, source))
    }
}

/// Computes the checksum of TFRecord: CRC-32C, rotated, plus a constant.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// Returns the seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads all records, and checks their checksums.
    fn read(path: &Path) -> Vec<Event> {
        let bytes = fs::read(path).unwrap();
        let (mut rest, mut events) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            let (length, after) = rest.split_at(8);
            let (length_crc, after) = after.split_at(4);
            assert_eq!(length_crc, masked_crc(length).to_le_bytes());
            let count = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            let (data, after) = after.split_at(count);
            let (data_crc, after) = after.split_at(4);
            assert_eq!(data_crc, masked_crc(data).to_le_bytes());
            events.push(Event::decode(data).unwrap());
            rest = after;
        }
        events
    }

    #[test]
    fn the_checksum_is_crc_32c_masked() {
        // The check value of CRC-32C, and the mask that TFRecord defines.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        let (high, low) = (0xe306_9283_u32 >> 15, 0xe306_9283_u32 << 17);
        assert_eq!(
            masked_crc(b"123456789"),
            (high | low).wrapping_add(0xa282_ead8)
        );
    }

    #[test]
    fn scalars_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = TensorBoard::create(folder.path(), 7).unwrap();
        file.write(8, &[("loss", 0.5), ("validation/best", 0.25)])
            .unwrap();
        let events = read(file.path());
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        assert_eq!(
            (
                events[1].step,
                events[1].session_log.as_ref().unwrap().status
            ),
            (8, START)
        );
        let values = &events[2].summary.as_ref().unwrap().value;
        assert_eq!((events[2].step, values.len()), (8, 2));
        assert_eq!(
            (values[1].tag.as_str(), values[1].simple_value),
            ("validation/best", Some(0.25))
        );
    }
}
