//! A lock for programs that differentiate on several threads.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits until no other thread of this process differentiates, and keeps others waiting until the
/// guard is dropped.
///
/// With Burn 0.21, gradients went missing without an error when several threads of a process built
/// graphs and called `backward` at the same time. So a thread holds this lock from the first
/// operation that is recorded to the end of `backward`. `Trainer` of `chimle-core` does. A program
/// that differentiates on one thread need not.
pub fn differentiate_alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A thread that panicked left no graph that others use.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
