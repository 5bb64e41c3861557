//! A loader that makes examples on worker threads before they are needed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::read::panic_message;
use crate::{DataError, Dataset, Example};

/// An iterator over examples that worker threads decode and degrade in advance.
///
/// The examples come in the order of the jobs, for any number of threads. If an example cannot be
/// made, its error takes its place and the next examples follow. To skip a damaged file, note the error
/// and continue. Dropping the loader ends its threads as soon as each has finished its current example.
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
    /// Starts `threads` worker threads (at least one). A job is a pair (index, seed) of
    /// [`Dataset::example`].
    ///
    /// At most `ahead` examples are made in advance, including those in progress. If `ahead` is below
    /// `threads`, it is raised to `threads`. `jobs` may be endless: it is advanced only by this function
    /// and by [`next`](Iterator::next), on the caller's thread.
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
            // The workers get jobs in turn, and examples are collected from them in the same turn, which
            // keeps the order. The channels need no bound, because `ahead` limits their contents.
            let worker = &self.workers[self.sent % self.workers.len()];
            let _ = worker.jobs.send(job); // fails only if the worker has ended, which `next` notices
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
        // All channels are closed before the first join, so that the threads end at the same time.
        let threads: Vec<_> = self.workers.drain(..).map(|worker| worker.thread).collect();
        for thread in threads {
            // A worker catches the panics of decoders. Any other panic could not be reported here.
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

/// Makes an example. A decoder that panics on a damaged file gives an error, because the panic must not
/// end a long training run.
fn make_example(dataset: &Dataset, index: usize, seed: u64) -> Result<Example, DataError> {
    catch_unwind(AssertUnwindSafe(|| dataset.example(index, seed))).unwrap_or_else(|panic| {
        Err(DataError::Decoder {
            name: dataset.name(index),
            reason: panic_message(&*panic).to_owned(),
        })
    })
}
