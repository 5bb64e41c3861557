//! Examples made ahead of their use, on threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::read::panic_message;
use crate::{DataError, Dataset, Example};

/// Decodes and degrades examples on worker threads, ahead of the one who asks for them.
///
/// An iterator over the examples of `jobs`, in their order whatever the number of threads. An example that
/// cannot be made comes as an error in its place, and the next ones follow: to skip a damaged file, note the
/// error and go on. Dropping the loader ends its threads, after at most the example each is at.
#[derive(Debug)]
pub struct Loader<J> {
    jobs: J,
    workers: Vec<Worker>,
    ahead: usize,
    sent: usize,
    received: usize,
}

/// A job: the example's index, and the seed of its augmentation.
type Job = (usize, u64);

#[derive(Debug)]
struct Worker {
    jobs: Sender<Job>,
    examples: Receiver<Result<Example, DataError>>,
    thread: JoinHandle<()>,
}

impl<J: Iterator<Item = Job>> Loader<J> {
    /// Starts `threads` workers (at least one) on `jobs`, pairs of (index, seed) as for [`Dataset::example`].
    ///
    /// At most `ahead` examples (at least one a thread) are being made or wait to be asked for. `jobs` is
    /// advanced only by [`next`](Iterator::next) and here, on the caller's thread, and may be endless.
    pub fn new(
        dataset: Dataset,
        jobs: impl IntoIterator<IntoIter = J>,
        threads: usize,
        ahead: usize,
    ) -> Self {
        let threads = threads.max(1);
        let mut loader = Self {
            jobs: jobs.into_iter(),
            workers: (0..threads).map(|_| Worker::start(&dataset)).collect(),
            ahead: ahead.max(threads),
            sent: 0,
            received: 0,
        };
        loader.send_jobs();
        loader
    }

    fn send_jobs(&mut self) {
        while self.sent - self.received < self.ahead {
            let Some(job) = self.jobs.next() else { break };
            // Jobs go round the workers, and so are examples collected: this keeps their order. The channels
            // need no bound of their own, as `ahead` bounds what all of them hold.
            let worker = &self.workers[self.sent % self.workers.len()];
            let _ = worker.jobs.send(job); // fails only if the worker is gone, which `next` notices
            self.sent += 1;
        }
    }
}

impl<J: Iterator<Item = Job>> Iterator for Loader<J> {
    type Item = Result<Example, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.send_jobs();
        if self.received == self.sent {
            return None;
        }
        let worker = &self.workers[self.received % self.workers.len()];
        let example = worker.examples.recv().unwrap_or_else(|_| {
            Err(DataError::Decoder {
                name: format!("example {} of the sequence", self.received),
                reason: "its thread ended".into(),
            })
        });
        self.received += 1;
        self.send_jobs();
        Some(example)
    }
}

impl<J> Drop for Loader<J> {
    fn drop(&mut self) {
        // All channels close before any thread is waited for, so that all wind up at once.
        let threads: Vec<_> = self.workers.drain(..).map(|worker| worker.thread).collect();
        for thread in threads {
            // A worker catches its panics, and there is no one to report another to.
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn start(dataset: &Dataset) -> Self {
        let (job_sender, jobs) = channel::<Job>();
        let (example_sender, examples) = channel();
        let dataset = dataset.clone();
        let thread = std::thread::spawn(move || {
            // A closed channel, on either side, means that the loader was dropped.
            while let Ok((index, seed)) = jobs.recv() {
                if example_sender
                    .send(make_example(&dataset, index, seed))
                    .is_err()
                {
                    break;
                }
            }
        });
        Self {
            jobs: job_sender,
            examples,
            thread,
        }
    }
}

/// The example, or an error also where a decoder panics on a damaged file, which must not end a long training.
fn make_example(dataset: &Dataset, index: usize, seed: u64) -> Result<Example, DataError> {
    catch_unwind(AssertUnwindSafe(|| dataset.example(index, seed))).unwrap_or_else(|panic| {
        Err(DataError::Decoder {
            name: dataset.name(index),
            reason: panic_message(&*panic).to_owned(),
        })
    })
}
