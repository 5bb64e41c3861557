//! The workers of a run: one per device, each with a replica of the generator.
//!
//! Each worker searches its part of a round and trains on its part of every batch. The gradients of
//! all workers are summed ([`Peers`]), so all replicas take the same step and stay equal. A single
//! worker exchanges nothing.

#[cfg(feature = "collective")]
mod collective;
mod features;
mod found;
#[cfg(feature = "collective")]
mod nodes;
mod peers;

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use chimle_imle::{Candidate, Chosen, CodePool, ExampleId, Search, SeededPool, Target};
use chimle_nn::{TrainingBackend, fresh_leaves};

use crate::config::TrainingConfig;
use crate::error::Error;
use crate::generator::{ImageGenerator, TrainableDistance, TrainableGenerator};
use crate::optimizer::{Gradients, Groups, ModuleAdam};
use crate::round::{Pool, Searched, Step};
use crate::times::{Times, timed};
use features::FeatureCache;

pub(crate) use found::{Exchange, Found, SearchSummary};
#[cfg(feature = "collective")]
pub(crate) use nodes::{Joining, Membership};
#[cfg(feature = "collective")]
pub use nodes::{NodesConfig, Orchestrator};
pub(crate) use peers::Peers;

/// One device, with the generator, the distance and the optimizer that it searches and trains with.
pub(crate) struct Worker<B, G, D>
where
    B: TrainingBackend,
    G: TrainableGenerator<B>,
    D: TrainableDistance<B>,
{
    device: B::Device,
    distance: D,
    /// The generator. It is absent only while the optimizer takes a step.
    generator: Option<G>,
    optimizer: ModuleAdam<B, G>,
    features: FeatureCache<B, D>,
    /// The generator and the distance without autodiff, during a search.
    searching: Option<(G::Evaluated, <D as TrainableDistance<B>>::Evaluated)>,
    times: Times,
    /// The CPU threads of this worker. With `None` the worker uses the threads of the whole process.
    threads: Option<rayon::ThreadPool>,
}

impl<B, G, D> Worker<B, G, D>
where
    B: TrainingBackend,
    G: TrainableGenerator<B>,
    D: TrainableDistance<B>,
{
    pub(crate) fn new(
        device: B::Device,
        distance: D,
        generator: G,
        optimizer: ModuleAdam<B, G>,
    ) -> Self {
        Self {
            device,
            distance,
            generator: Some(generator),
            optimizer,
            features: FeatureCache::default(),
            searching: None,
            times: Times::default(),
            threads: None,
        }
    }

    /// Creates a worker on another device with a copy of this worker's generator and optimizer.
    #[cfg(feature = "collective")]
    pub(crate) fn replica(&self, device: B::Device, distance: D) -> Result<Self, Error> {
        let generator = self.generator().clone().fork(&device);
        let optimizer = crate::optimizer::on_device(&self.optimizer, &device)?;
        Ok(Self::new(device, distance, generator, optimizer))
    }

    /// Creates `threads` CPU threads that only this worker uses.
    #[cfg(feature = "collective")]
    pub(crate) fn set_threads(&mut self, threads: usize) -> Result<(), Error> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        self.threads = Some(pool.map_err(|error| Error::Device {
            reason: error.to_string(),
        })?);
        Ok(())
    }

    /// Returns the time that each part of this worker's work has taken.
    pub(crate) fn times(&self) -> &Times {
        &self.times
    }

    pub(crate) fn device(&self) -> &B::Device {
        &self.device
    }

    pub(crate) fn generator(&self) -> &G {
        self.generator.as_ref().expect("no step is being taken")
    }

    pub(crate) fn optimizer(&self) -> &ModuleAdam<B, G> {
        &self.optimizer
    }

    /// Replaces the generator and the optimizer's state.
    pub(crate) fn set_state(&mut self, generator: G, optimizer: ModuleAdam<B, G>) {
        self.generator = Some(generator);
        self.optimizer = optimizer;
    }

    /// Prepares the generator and the distance for a search.
    pub(crate) fn prepare_search(&mut self) {
        let generator = self.generator().valid().prepared();
        self.searching = Some((generator, TrainableDistance::searched(&self.distance)));
    }

    /// Frees the generator and the distance of [`prepare_search`](Self::prepare_search).
    pub(crate) fn end_search(&mut self) {
        self.searching = None;
    }

    /// Searches the nearest codes for some examples.
    pub(crate) fn search(
        &mut self,
        search: &Search,
        examples: &Searched<'_>,
        pool: &Pool,
    ) -> Result<Vec<Chosen>, Error> {
        let (generator, distance) = self.searching.as_ref().expect("the search is prepared");
        let begun = Instant::now();
        let pool = TimedPool {
            pool,
            nanoseconds: AtomicU64::new(0),
        };
        let found = search.run(
            generator,
            distance,
            examples.conditioning(&self.device),
            &examples.target(distance, &self.device),
            &pool,
            &examples.identities(),
        )?;
        let codes = Duration::from_nanos(pool.nanoseconds.into_inner());
        self.times.codes += codes;
        self.times.search += begun.elapsed().saturating_sub(codes);
        Ok(found)
    }

    /// Computes the sum of the gradients of this worker's examples, and the sum of their losses at each
    /// level. Both sums are divided by the batch size, which counts the examples of all workers. At most
    /// `at_once` examples are evaluated together.
    pub(crate) fn gradients(
        &mut self,
        step: &Step<'_>,
        examples: &Examples<'_>,
        at_once: usize,
    ) -> Result<(Gradients, Vec<f32>), Error> {
        let mut gradients = Gradients::none();
        let mut levels: Vec<f32> = Vec::new();
        let Range { start, end } = examples.range.clone();
        for first in (start..end).step_by(at_once) {
            let part = step.part(first..(first + at_once).min(end));
            let conditioning = timed(&mut self.times.data, || {
                part.conditioning::<B>(&self.device)
            });
            let begun = Instant::now();
            let mut drawing = Duration::ZERO;
            let target = self.features.target(&part, &self.distance, &self.device);
            let target: Target<D::Features> = target.constants::<B, D>();
            let generator = fresh_leaves::<B, G>(self.generator.take().expect("no step is taken"));
            let generator = self.generator.insert(generator);
            let losses = examples.training.objective.losses(
                generator,
                &self.distance,
                conditioning,
                |level, state| {
                    let len = generator.code_len(state);
                    let codes = timed(&mut drawing, || {
                        let codes = part.codes(level, len, &self.device);
                        examples.noise.added_to(codes, level, first, &self.device)
                    });
                    generator.code(state, codes)
                },
                &target,
            );
            // Divided by the batch size, so that the sum over all workers is the mean over the batch.
            let weight = 1.0 / examples.training.batch as f64;
            let terms = losses.into_iter().map(|loss| loss.sum().mul_scalar(weight));
            let terms: Vec<Tensor<B, 1>> = terms.collect();
            let values = Tensor::cat(terms.clone(), 0).inner().into_data();
            levels.resize(terms.len(), 0.0);
            for (sum, value) in levels.iter_mut().zip(values.iter::<f32>()) {
                *sum += value;
            }
            let total = terms.into_iter().reduce(|sum, term| sum + term);
            let total = total.expect("a generator has levels");
            gradients.add::<B, G>(generator, total.backward(), examples.groups);
            self.times.codes += drawing;
            self.times.gradients += begun.elapsed().saturating_sub(drawing);
        }
        Ok((gradients, levels))
    }

    /// Takes one step of Adam.
    pub(crate) fn step(&mut self, gradients: Gradients, rate: f64, slow_rate: f64) {
        let begun = Instant::now();
        // The generator is moved, not cloned: each old parameter is freed when it is replaced.
        let generator = self.generator.take().expect("no step is being taken");
        let stepped = gradients.step::<B, G>(&mut self.optimizer, generator, rate, slow_rate);
        self.generator = Some(stepped);
        self.times.optimizer += begun.elapsed();
    }

    /// Sums the gradients and the numbers of all workers.
    pub(crate) fn exchange(
        &mut self,
        index: usize,
        peers: &Peers,
        gradients: &mut Gradients,
        numbers: Vec<f32>,
    ) -> Result<Vec<f32>, Error> {
        let begun = Instant::now();
        let generator = self.generator.as_ref().expect("no step is being taken");
        gradients.change::<B, G>(generator, |values| peers.sum(index, values))?;
        let numbers = sum_of::<B>(peers, index, numbers, &self.device)?;
        self.times.exchange += begun.elapsed();
        Ok(numbers)
    }

    /// Sets the round of the next examples, and whether the features of its targets are kept.
    pub(crate) fn keep_features(&mut self, round: u64, keeps: bool) {
        self.features.begin(round, keeps);
    }
}

/// The examples of a worker in one step, and how their loss is computed.
pub(crate) struct Examples<'a> {
    pub(crate) training: &'a TrainingConfig,
    pub(crate) groups: &'a Groups,
    pub(crate) noise: &'a Noise,
    /// The part of the batch that belongs to the worker.
    pub(crate) range: Range<usize>,
}

/// Calls `work` for all workers at the same time, each on its own thread, and returns the results in
/// order.
///
/// If one worker fails, the workers that wait for it are released with an error.
///
/// # Errors
///
/// The first error. A panic of a worker becomes [`Error::Worker`], which names the worker.
pub(crate) fn together<B, G, D, R>(
    workers: &mut [Worker<B, G, D>],
    peers: &Peers,
    work: impl Fn(usize, &mut Worker<B, G, D>) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error>
where
    B: TrainingBackend,
    G: TrainableGenerator<B>,
    D: TrainableDistance<B>,
    R: Send,
{
    if let [alone] = workers {
        return Ok(vec![work(0, alone)?]);
    }
    let guarded = |index: usize, worker: &mut Worker<B, G, D>| {
        let threads = worker.threads.take();
        let result = catch_unwind(AssertUnwindSafe(|| match &threads {
            Some(pool) => pool.install(|| work(index, &mut *worker)),
            None => work(index, &mut *worker),
        }));
        worker.threads = threads;
        let result = result.unwrap_or_else(|panic| {
            Err(Error::Worker {
                worker: index + 1,
                reason: words(panic.as_ref()).to_owned(),
            })
        });
        if result.is_err() {
            peers.release::<B::InnerBackend>();
        }
        result
    };
    let results: Vec<Result<R, Error>> = std::thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter_mut()
            .enumerate()
            .map(|(index, worker)| scope.spawn(move || guarded(index, worker)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|result| result.expect("a panic of a worker is caught"))
            .collect()
    });
    let mut done = Vec::with_capacity(results.len());
    let mut released = None;
    for result in results {
        match result {
            Ok(value) => done.push(value),
            // Another worker failed first. Its error is more useful.
            Err(error @ Error::Collective { .. }) => released = Some(error),
            Err(error) => return Err(error),
        }
    }
    released.map_or(Ok(done), Err)
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown")
}

/// Returns the part of `0..len` that belongs to one of `count` workers.
pub(crate) fn part(worker: usize, count: usize, len: usize) -> Range<usize> {
    len * worker / count..len * (worker + 1) / count
}

/// Sums numbers over all workers.
fn sum_of<B: AutodiffBackend>(
    peers: &Peers,
    worker: usize,
    numbers: Vec<f32>,
    device: &B::Device,
) -> Result<Vec<f32>, Error> {
    let count = numbers.len();
    let numbers =
        Tensor::<B::InnerBackend, 1>::from_data(TensorData::new(numbers, [count]), device);
    let sum = peers.sum(worker, numbers)?;
    Ok(sum.into_data().iter::<f32>().collect())
}

/// A pool that measures the time for drawing its codes.
struct TimedPool<'a> {
    pool: &'a Pool,
    nanoseconds: AtomicU64,
}

impl<B: Backend> CodePool<B> for TimedPool<'_> {
    fn draw(
        &self,
        level: usize,
        candidates: &[Candidate],
        len: usize,
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let begun = Instant::now();
        let codes = self.pool.draw(level, candidates, len, device);
        let nanoseconds = begun.elapsed().as_nanos() as u64;
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        codes
    }
}

/// The noise that is added to chosen codes at one step.
pub(crate) struct Noise {
    pub(crate) deviation: f64,
    pub(crate) pool: SeededPool,
}

impl Noise {
    fn added_to<B: AutodiffBackend>(
        &self,
        codes: Tensor<B, 2>,
        level: usize,
        first: usize,
        device: &B::Device,
    ) -> Tensor<B, 2> {
        if self.deviation == 0.0 {
            return codes;
        }
        let rows: Vec<Candidate> = (first..first + codes.dims()[0])
            .map(|index| Candidate {
                example: ExampleId(0),
                index,
            })
            .collect();
        let noise: Tensor<B, 2> = self.pool.draw(level, &rows, codes.dims()[1], device);
        codes + noise.mul_scalar(self.deviation)
    }
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn parts_cover_a_batch_once_and_differ_by_at_most_one() {
        for (count, len) in [(1, 5), (2, 5), (3, 10), (4, 4), (7, 100)] {
            let parts: Vec<_> = (0..count).map(|worker| part(worker, count, len)).collect();
            let joined: Vec<usize> = parts.iter().cloned().flatten().collect();
            assert_eq!(joined, (0..len).collect::<Vec<_>>());
            let sizes = parts.iter().map(ExactSizeIterator::len);
            assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
        }
    }
}
