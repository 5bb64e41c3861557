//! The log of a run, `log.jsonl`: one line of JSON for each event, with the time.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::error::Error;
use crate::event::{Event, Observer};

/// An observer that writes events to the log and passes them on to another observer.
///
/// If writing fails, the error is kept until [`check`](Log::check) returns it. Code that reports events
/// therefore needs no error handling.
pub(crate) struct Log<'a> {
    path: PathBuf,
    file: File,
    /// The length of the complete lines in bytes. An incomplete line after them is cut off.
    whole: u64,
    /// Whether the file may be longer than its complete lines.
    is_torn: bool,
    error: Option<std::io::Error>,
    observer: &'a mut dyn Observer,
}

/// The contents of a log: its events, in order, and the lines that were skipped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunLog {
    /// The events. A step can be done twice if a run was killed and resumed. In this case, only the events
    /// of the second time are listed.
    pub events: Vec<Event>,
    /// The lines that are not events. A full disk or another version of chimle can leave such a line.
    pub skipped: Vec<SkippedLine>,
}

/// A line of a log that is not an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedLine {
    /// The number of the line, from 1.
    pub line: usize,
    /// The reason why the line was skipped.
    pub reason: String,
}

/// Reads a log. An incomplete last line is ignored without a warning, because a run that is killed while it
/// writes leaves such a line.
pub(crate) fn read(path: &Path) -> Result<RunLog, Error> {
    let bytes = fs::read(path).map_err(Error::file("read", path))?;
    let mut log = RunLog::default();
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let Some(line) = line.strip_suffix(b"\n") else {
            break;
        };
        let event = match serde_json::from_slice(line) {
            Ok(event) => event,
            Err(error) => {
                log.skipped.push(SkippedLine {
                    line: index + 1,
                    reason: error.to_string(),
                });
                continue;
            }
        };
        if let Event::Started { step, .. } = event {
            log.events
                .retain(|before| before.step().is_none_or(|done| done <= step));
        }
        log.events.push(event);
    }
    Ok(log)
}

#[derive(Serialize)]
struct Line<'a> {
    /// The time in seconds since the beginning of 1970.
    time: f64,
    #[serde(flatten)]
    event: &'a Event,
}

impl<'a> Log<'a> {
    /// Opens a log to continue after its last complete line. If a run was killed while it wrote, an incomplete
    /// line is cut off.
    pub(crate) fn open(path: PathBuf, observer: &'a mut dyn Observer) -> Result<Self, Error> {
        let open = || {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            let whole = text
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |end| end + 1);
            file.set_len(whole as u64)?;
            Ok((file, whole as u64))
        };
        let (file, whole) = open().map_err(Error::file("write", &path))?;
        Ok(Self {
            path,
            file,
            whole,
            is_torn: true,
            error: None,
            observer,
        })
    }

    /// Appends a line after the complete lines. If this fails, no part of the line stays in the file.
    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.whole)?;
            self.file.seek(SeekFrom::Start(self.whole))?;
            self.is_torn = false;
        }
        let written = self.file.write_all(line);
        match written {
            Ok(()) => self.whole += line.len() as u64,
            Err(_) => {
                // The incomplete line is cut off now, because no other line may follow.
                self.is_torn = true;
                let _ = self.file.set_len(self.whole);
            }
        }
        written
    }

    /// Returns the first error of writing, if there was one.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        self.error.take().map_or(Ok(()), |source| {
            Err(Error::file("write", &self.path)(source))
        })
    }
}

impl Observer for Log<'_> {
    fn notice(&mut self, event: &Event) {
        if !matches!(event, Event::Searching { .. }) {
            let time = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |t| t.as_secs_f64());
            let mut line =
                serde_json::to_string(&Line { time, event }).expect("an event is plain data");
            line.push('\n');
            if let Err(error) = self.write(line.as_bytes()) {
                self.error.get_or_insert(error);
            }
        }
        self.observer.notice(event);
    }
}
