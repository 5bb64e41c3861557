//! Reports a panic in one line, like any other error.

use std::panic;
use std::sync::Mutex;

/// The message of the last panic, and its place in the source.
static LAST: Mutex<String> = Mutex::new(String::new());

/// Keeps panics from writing to standard error. Some panics are errors of a library that its
/// caller catches and reports.
pub fn keep_quiet() {
    panic::set_hook(Box::new(|info| {
        let mut text = info.payload_as_str().unwrap_or("no message").to_owned();
        if let Some(place) = info.location() {
            text += &format!(" at {place}");
        }
        if let Ok(mut last) = LAST.lock() {
            *last = text;
        }
    }));
}

/// Returns the message of the last panic, for an error that has no other explanation.
pub fn last() -> String {
    let text = LAST.lock().map(|last| last.clone()).unwrap_or_default();
    format!("internal: {text}")
}

/// Returns the message of the last panic for a user. Errors of a GPU's driver, which also arrive as panics, are
/// explained, because they are not defects of the program.
pub fn explained() -> String {
    let text = last();
    chimle_core::explain(&text).map_or(text, |error| error.to_string())
}
