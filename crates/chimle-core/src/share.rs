//! The share of the data that is searched together and then trained on.

use std::ops::Range;

use chimle_data::{Dataset, Example, Loader};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::RunConfig;
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::seed::{Stream, derive};

/// An endless walk over `0..len`, shuffled anew each time round. Any stretch of it can be asked
/// for, so that a position is all there is to remember.
pub(crate) struct Order {
    len: u64,
    seed: u64,
}

impl Order {
    pub(crate) fn new(len: usize, seed: u64) -> Self {
        Self {
            len: len as u64,
            seed,
        }
    }

    pub(crate) fn stretch(&self, positions: Range<u64>) -> Vec<usize> {
        let mut shuffled: Option<(u64, Vec<usize>)> = None;
        positions
            .map(|position| {
                let (epoch, place) = (position / self.len, position % self.len);
                if shuffled.as_ref().is_none_or(|&(known, _)| known != epoch) {
                    let mut indices: Vec<usize> = (0..self.len as usize).collect();
                    indices.shuffle(&mut ChaCha8Rng::seed_from_u64(derive(
                        self.seed,
                        Stream::Order,
                        epoch,
                    )));
                    shuffled = Some((epoch, indices));
                }
                shuffled
                    .as_ref()
                    .map_or(0, |(_, indices)| indices[place as usize])
            })
            .collect()
    }
}

/// Examples with their codes held: each code is the index of a candidate of the round's pool.
pub(crate) struct Share {
    pub(crate) round: u64,
    pub(crate) members: Vec<Member>,
    /// Steps trained on it so far.
    pub(crate) steps: u64,
}

/// One example of a share.
pub(crate) struct Member {
    /// Its place in the share as drawn.
    pub(crate) slot: usize,
    pub(crate) example: Example,
    /// The chosen candidate of each level.
    pub(crate) candidates: Vec<usize>,
}

/// Loads the examples of a round's share in the order drawn. Those that cannot be read are
/// reported and left out; with `only`, the others are not read at all.
pub(crate) fn load_examples(
    config: &RunConfig,
    dataset: &Dataset,
    training: usize,
    round: u64,
    only: Option<&[usize]>,
    observer: &mut dyn Observer,
) -> Result<Vec<(usize, Example)>, Error> {
    let share = config.training.share as u64;
    let positions = round * share..(round + 1) * share;
    let drawn = Order::new(training, config.seed).stretch(positions.clone());
    let slots: Vec<usize> = match only {
        Some(slots) => slots.to_vec(),
        None => (0..config.training.share).collect(),
    };
    let jobs: Vec<(usize, u64)> = slots
        .iter()
        .map(|&slot| {
            (
                drawn[slot],
                derive(
                    config.seed,
                    Stream::Augmentation,
                    positions.start + slot as u64,
                ),
            )
        })
        .collect();

    let mut examples = Vec::with_capacity(slots.len());
    let mut last = String::new();
    let loader = Loader::new(
        dataset.clone(),
        jobs.clone(),
        config.data.threads,
        4 * config.data.threads.max(1),
    );
    for ((slot, (index, _)), example) in slots.into_iter().zip(jobs).zip(loader) {
        match example {
            Ok(example) => examples.push((slot, example)),
            Err(error) => {
                last = error.to_string();
                observer.notice(&Event::Skipped {
                    name: dataset.name(index),
                    reason: last.clone(),
                });
            }
        }
    }
    if examples.is_empty() {
        return Err(Error::NothingReadable {
            count: config.training.share,
            last,
        });
    }
    Ok(examples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_all_once_in_an_order_of_its_own() {
        let order = Order::new(7, 3);
        let epochs: Vec<Vec<usize>> = (0..4).map(|e| order.stretch(7 * e..7 * (e + 1))).collect();
        for epoch in &epochs {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..7).collect::<Vec<_>>());
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_eq!(
            order.stretch(5..9),
            [&epochs[0][5..], &epochs[1][..2]].concat()
        );
    }
}
