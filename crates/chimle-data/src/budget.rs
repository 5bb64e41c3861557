//! A limit on the memory that all images together may take while they are decoded.
//!
//! Each of many threads may decode an image of the largest size. A thread therefore waits until the
//! images of the other threads leave it enough memory.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A number of bytes that all threads share.
pub(crate) struct Budget {
    all: u64,
    taken: Mutex<u64>,
    given_back: Condvar,
}

/// A part of a budget, which is given back on drop.
pub(crate) struct Share<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    pub(crate) const fn new(all: u64) -> Self {
        Self {
            all,
            taken: Mutex::new(0),
            given_back: Condvar::new(),
        }
    }

    /// Takes `bytes` as soon as they are free. The calling thread must hold no other share.
    /// Otherwise, two threads could wait for each other.
    ///
    /// # Errors
    ///
    /// The size of the whole budget, if `bytes` exceeds it.
    pub(crate) fn take(&self, bytes: u64) -> Result<Share<'_>, u64> {
        if bytes > self.all {
            return Err(self.all);
        }
        let mut taken = self.taken();
        while *taken + bytes > self.all {
            let waited = self.given_back.wait(taken);
            taken = waited.unwrap_or_else(PoisonError::into_inner);
        }
        *taken += bytes;
        Ok(Share {
            budget: self,
            bytes,
        })
    }

    fn taken(&self) -> MutexGuard<'_, u64> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.budget.taken() -= self.bytes;
        self.budget.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is() {
        let budget = Budget::new(100);
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (budget, now, most) = (&budget, &now, &most);
                scope.spawn(move || {
                    for turn in 0..50 {
                        let bytes = 10 + (thread * 7 + turn * 13) % 60;
                        let share = budget.take(bytes).unwrap();
                        let sum = now.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        most.fetch_max(sum, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(bytes, Ordering::SeqCst);
                        drop(share);
                    }
                });
            }
        });
        let most = most.into_inner();
        assert!((60..=100).contains(&most), "{most}");
        assert_eq!(*budget.taken(), 0);
        assert_eq!(budget.take(101).err(), Some(100));
        assert!(budget.take(100).is_ok());
    }
}
