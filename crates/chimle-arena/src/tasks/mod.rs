//! The tasks that the arena adds to the paper's four.

mod one_mode;
mod simulated_night;
mod tiles;

use std::sync::Once;

pub use one_mode::OneMode;
pub use simulated_night::SimulatedNightToDay;
pub use tiles::Tiles;

/// Makes the arena's tasks known by their names: `simulated-night-to-day` and `tiles`.
///
/// It can be called any number of times. A task of the program that already has one of the names stays.
pub fn register_tasks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // The only error is that a name is taken.
        let _ = chimle_core::register(SimulatedNightToDay);
        let _ = chimle_core::register(Tiles);
    });
}
