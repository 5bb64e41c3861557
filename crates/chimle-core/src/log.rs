//! A run's `log.jsonl`: one line of JSON for each event, with the time.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::error::Error;
use crate::event::{Event, Observer};

/// Writes events to the log and passes them on.
///
/// An error of writing is kept until [`check`](Log::check), so code that reports events does not
/// handle it.
pub(crate) struct Log<'a> {
    path: PathBuf,
    file: File,
    error: Option<std::io::Error>,
    observer: &'a mut dyn Observer,
}

/// Reads the events in a log, in order. A last line that is not whole is left out: a run that is
/// killed while it writes leaves one. Of steps done twice, as after a run was killed and resumed, the
/// last counts.
pub(crate) fn read(path: &Path) -> Result<Vec<Event>, Error> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut events: Vec<Event> = Vec::new();
    for (index, line) in whole.lines().enumerate() {
        let event = serde_json::from_str(line).map_err(|e| Error::Config {
            path: path.to_owned(),
            reason: format!("line {}: {e}", index + 1),
        })?;
        if let Event::Started { step, .. } = event {
            events.retain(|before| before.step().is_none_or(|done| done <= step));
        }
        events.push(event);
    }
    Ok(events)
}

#[derive(Serialize)]
struct Line<'a> {
    /// Seconds since 1970.
    time: f64,
    #[serde(flatten)]
    event: &'a Event,
}

impl<'a> Log<'a> {
    /// Opens a log to continue after its last line. A run that was killed while it wrote may have
    /// left half a line, which is cut off.
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
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().map_err(Error::file("write", &path))?;
        Ok(Self {
            path,
            file,
            error: None,
            observer,
        })
    }

    /// The first error of writing, if there was one.
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
            if let Err(error) = self.file.write_all(line.as_bytes()) {
                self.error.get_or_insert(error);
            }
        }
        self.observer.notice(event);
    }
}
