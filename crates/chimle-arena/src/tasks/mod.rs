//! The tasks that the arena adds to the paper's four.

mod one_mode;
mod simulated_night;
mod tiles;

use std::sync::Once;

pub use one_mode::OneMode;
pub use simulated_night::SimulatedNightToDay;
pub use tiles::Tiles;

/// Registers the arena's tasks `simulated-night-to-day` and `tiles`.
///
/// It can be called any number of times. If the program has already registered a task with one of
/// these names, that task stays.
pub fn register_tasks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // The only possible error is that the name is taken.
        let _ = chimle_core::register(SimulatedNightToDay);
        let _ = chimle_core::register(Tiles);
    });
}
