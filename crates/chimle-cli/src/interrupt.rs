//! Ctrl-C during a long command.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::output;

/// The exit code of a program that Ctrl-C ended: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// Notices Ctrl-C, and on Unix also SIGTERM and SIGHUP.
///
/// The first one only sets a flag, so the command can save its work and end. The second one ends the
/// program at once.
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts to notice interrupts. `what` says what the command does after the first one, as in
    /// "finishing the step and saving".
    pub fn watch(what: &'static str) -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&flag);
        let watched = ctrlc::set_handler(move || {
            if shared.swap(true, Ordering::SeqCst) {
                std::process::exit(INTERRUPTED);
            }
            output::complain(
                "note",
                format_args!("{what}; press Ctrl-C again to exit at once"),
            );
        });
        if let Err(error) = watched {
            output::complain(
                "warning",
                format_args!("Ctrl-C will end the command without saving: {error}"),
            );
        }
        Self(flag)
    }

    /// Returns whether there was an interrupt.
    pub fn happened(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
