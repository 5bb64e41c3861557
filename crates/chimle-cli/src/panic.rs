//! A panic is a defect, and still gets one line.

use std::panic;
use std::sync::Mutex;

/// What the last panic said, and where.
static LAST: Mutex<String> = Mutex::new(String::new());

/// Keeps panics from writing to standard error. Some are errors of a library that its caller catches and reports.
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

/// The last panic in words, for an error that nothing else explains.
pub fn last() -> String {
    let text = LAST.lock().map(|last| last.clone()).unwrap_or_default();
    format!("internal: {text}")
}

/// The last panic for a user: what a GPU's driver makes known in this way is no defect of the program.
pub fn explained() -> String {
    let text = last();
    chimle_core::explain(&text).map_or(text, |error| error.to_string())
}
