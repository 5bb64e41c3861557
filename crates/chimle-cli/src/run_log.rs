//! Reads a run's log for commands that only show it. A problem with the log causes a warning, not an error.

use std::fmt::Display;

use chimle_core::{Event, RunFolder};

use crate::output;

/// Reads the events of a run. Returns none if the log cannot be read.
pub fn events(run: &RunFolder) -> Vec<Event> {
    let log = match run.read_log() {
        Ok(log) => log,
        Err(error) => {
            output::complain("warning", error);
            return Vec::new();
        }
    };
    if let [first, others @ ..] = &log.skipped[..] {
        let more: &dyn Display = match others.len() {
            0 => &"",
            count => &format!(", and {count} more lines"),
        };
        output::complain(
            "warning",
            format_args!(
                "{}: line {} was skipped ({}){more}",
                run.log_path().display(),
                first.line,
                first.reason
            ),
        );
    }
    log.events
}
