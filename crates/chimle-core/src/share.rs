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
    pub(crate) loaded: Loaded,
    /// The chosen candidate of each level.
    pub(crate) candidates: Vec<usize>,
}

/// An example that was drawn for a share.
pub(crate) struct Loaded {
    /// Its place in the share as drawn.
    pub(crate) slot: usize,
    /// Which of the share's inputs it has: where several examples have the same, they are observed
    /// outputs of one input, and share its candidates.
    pub(crate) input: usize,
    pub(crate) example: Example,
}

/// What a round draws: for each example its index and the seed of its augmentation. Inputs are drawn,
/// each with all that was observed for it.
pub(crate) fn drawn(
    config: &RunConfig,
    dataset: &Dataset,
    training: usize,
    round: u64,
) -> Vec<(usize, u64)> {
    let share = config.training.share as u64;
    let positions = round * share..(round + 1) * share;
    let inputs = Order::new(training, config.seed).stretch(positions.clone());
    positions
        .zip(inputs)
        .flat_map(|(position, input)| {
            let seed = derive(config.seed, Stream::Augmentation, position);
            dataset.observed(input).map(move |index| (index, seed))
        })
        .collect()
}

/// Loads the examples of a round's share in the order drawn. Those that cannot be read are
/// reported and left out; with `only`, the others are not read at all.
pub(crate) fn load_examples(
    config: &RunConfig,
    dataset: &Dataset,
    drawn: &[(usize, u64)],
    only: Option<&[usize]>,
    observer: &mut dyn Observer,
) -> Result<Vec<Loaded>, Error> {
    let slots: Vec<usize> = match only {
        Some(slots) => slots.to_vec(),
        None => (0..drawn.len()).collect(),
    };
    let jobs: Vec<(usize, u64)> = slots.iter().map(|&slot| drawn[slot]).collect();
    let loader = Loader::new(
        dataset.clone(),
        jobs,
        config.data.threads,
        4 * config.data.threads.max(1),
    );
    let mut loaded: Vec<Loaded> = Vec::with_capacity(slots.len());
    let mut last = String::new();
    for (slot, example) in slots.into_iter().zip(loader) {
        match example {
            Ok(example) => {
                let input = loaded.last().map_or(0, |before| {
                    // Drawn together, they were augmented alike; but an output of another size may
                    // have been cropped differently, and its input with it.
                    let together = drawn[before.slot].1 == drawn[slot].1;
                    let same = together && before.example.conditioning == example.conditioning;
                    before.input + usize::from(!same)
                });
                loaded.push(Loaded {
                    slot,
                    input,
                    example,
                });
            }
            Err(error) => {
                last = error.to_string();
                observer.notice(&Event::Skipped {
                    name: dataset.name(drawn[slot].0),
                    reason: last.clone(),
                });
            }
        }
    }
    if loaded.is_empty() {
        return Err(Error::NothingReadable {
            count: drawn.len(),
            last,
        });
    }
    Ok(loaded)
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
