//! A round: inputs that are drawn together, their codes, and the number of steps trained on them.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_data::{Batch, Dataset, Example, Loader};
use chimle_imle::{Candidate, CodePool, ExampleId, GroupedPool, SeededPool, Target};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::{BatchOrder, RunConfig, Split};
use crate::error::Error;
use crate::generator::NetworkConfig;
use crate::position::RoundPosition;
use crate::seed::{Stream, derive};

/// An endless sequence of passes over `0..len`. Each pass has its own random order. Any part of the sequence
/// can be computed from the seed, so a run only needs to remember its position.
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

    /// Computes the order of one pass.
    pub(crate) fn pass(&self, pass: u64) -> Vec<usize> {
        let mut indices: Vec<usize> = (0..self.len as usize).collect();
        let seed = derive(self.seed, Stream::Order, pass);
        indices.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        indices
    }

    pub(crate) fn stretch(&self, positions: Range<u64>) -> Vec<usize> {
        let mut shuffled: Option<(u64, Vec<usize>)> = None;
        positions
            .map(|position| {
                let (pass, place) = (position / self.len, position % self.len);
                if shuffled.as_ref().is_none_or(|&(known, _)| known != pass) {
                    shuffled = Some((pass, self.pass(pass)));
                }
                shuffled
                    .as_ref()
                    .map_or(0, |(_, indices)| indices[place as usize])
            })
            .collect()
    }
}

/// The inputs that are searched together and then trained on with their codes held.
pub(crate) struct Round {
    index: u64,
    /// The number of examples in the drawing, including those that could not be read.
    drawn: usize,
    entries: Vec<Entry>,
    /// The number of entries, counted from the first, whose codes are found.
    found: usize,
    /// The number of steps trained on the round.
    steps: u64,
    /// The candidates of the round.
    pool: Pool,
}

/// The pool of a round's candidates.
pub(crate) type Pool = GroupedPool<SeededPool>;

/// An example of a round.
struct Entry {
    /// The example's place in the drawing.
    place: usize,
    example: Example,
    /// The chosen candidate at each level, once the search has found it.
    candidates: Vec<usize>,
}

/// An example that could not be loaded.
pub(crate) struct Unreadable {
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// Computes the drawing of a round: for each example, its index in the data set and the seed of its
/// augmentation. Inputs are drawn, each with all its observed outputs.
///
/// A pass over the data has `ceil(inputs / round)` rounds. A round never spans two passes, so its inputs are
/// distinct. The rounds of a pass are equally large, to within one input: every round gets the same number of
/// steps, and a network would soon fit the few inputs of a small last round alone.
fn drawing<C: NetworkConfig>(
    config: &RunConfig<C>,
    dataset: &Dataset,
    split: &Split,
    index: u64,
) -> Vec<(usize, u64)> {
    let inputs = split.training.len();
    let size = config.training.round.min(inputs);
    let rounds = inputs.div_ceil(size) as u64;
    let (pass, part) = (index / rounds, (index % rounds) as usize);
    let order = Order::new(inputs, config.seed).pass(pass);
    let first = |part: usize| part * inputs / rounds as usize;
    let drawn = &order[first(part)..first(part + 1)];
    let seed = derive(config.seed, Stream::Augmentation, index);
    drawn
        .iter()
        .flat_map(|&place| dataset.observed(split.training[place]))
        .map(|example| (example, seed))
        .collect()
}

impl Round {
    /// Draws and loads the round with an index. Examples that cannot be read are skipped, and are returned
    /// with the reasons.
    pub(crate) fn draw<C: NetworkConfig>(
        config: &RunConfig<C>,
        dataset: &Dataset,
        split: &Split,
        index: u64,
    ) -> Result<(Self, Vec<Unreadable>), Error> {
        let drawn = drawing(config, dataset, split, index);
        let places: Vec<usize> = (0..drawn.len()).collect();
        let (entries, unreadable) = load(config, dataset, &drawn, &places)?;
        let round = Self {
            index,
            drawn: drawn.len(),
            entries,
            found: 0,
            steps: 0,
            pool: pool(config, index),
        };
        Ok((round, unreadable))
    }

    /// Loads the round of a position again. If an older version drew another number of examples for the round,
    /// the round is drawn and searched again.
    ///
    /// If the search was complete, only the examples that were searched are loaded, and all of them must be
    /// readable.
    pub(crate) fn resume<C: NetworkConfig>(
        config: &RunConfig<C>,
        dataset: &Dataset,
        split: &Split,
        mut position: RoundPosition,
    ) -> Result<(Self, Vec<Unreadable>), Error> {
        let index = position.index;
        let drawn = drawing(config, dataset, split, index);
        let is_known = position.drawn == Some(drawn.len());
        let listed = position.chosen.len();
        let mut chosen: BTreeMap<usize, Vec<usize>> = position.chosen.into_iter().collect();
        let levels = config.generator.levels();
        let is_empty = position.searched && chosen.is_empty();
        let limit = if is_known { drawn.len() } else { dataset.len() };
        if chosen.keys().any(|&place| place >= limit)
            || chosen.values().any(|candidates| candidates.len() != levels)
            || chosen.len() != listed
            || is_empty
        {
            return Err(Error::Setting {
                field: "position.json",
                reason: "does not fit config.toml and the data".to_owned(),
            });
        }
        if !is_known {
            position.searched = false;
            chosen.clear();
        }
        let places: Vec<usize> = if position.searched {
            chosen.keys().copied().collect()
        } else {
            (0..drawn.len()).collect()
        };
        let (mut entries, unreadable) = load(config, dataset, &drawn, &places)?;
        let lost = unreadable.first().filter(|_| position.searched);
        if let Some(Unreadable { name, reason }) = lost {
            return Err(Error::Setting {
                field: "data",
                reason: format!("no longer contains {name}, which is being trained on: {reason}"),
            });
        }
        for entry in &mut entries {
            if let Some(candidates) = chosen.get(&entry.place) {
                entry.candidates.clone_from(candidates);
            }
        }
        let found = entries
            .iter()
            .take_while(|entry| !entry.candidates.is_empty());
        let found = found.count();
        let round = Self {
            index,
            drawn: drawn.len(),
            entries,
            found,
            steps: position.steps,
            pool: pool(config, index),
        };
        Ok((round, unreadable))
    }

    /// Returns the position of the round.
    pub(crate) fn position(&self) -> RoundPosition {
        let found = &self.entries[..self.found];
        RoundPosition {
            index: self.index,
            steps: self.steps,
            searched: self.is_searched(),
            drawn: Some(self.drawn),
            chosen: found
                .iter()
                .map(|entry| (entry.place, entry.candidates.clone()))
                .collect(),
        }
    }

    /// Returns the index of the round, from 0.
    pub(crate) fn index(&self) -> u64 {
        self.index
    }

    /// Returns the number of steps trained on the round.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the number of examples.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the number of examples whose codes are found.
    pub(crate) fn found(&self) -> usize {
        self.found
    }

    /// Returns whether all codes are found.
    pub(crate) fn is_searched(&self) -> bool {
        self.found == self.entries.len()
    }

    /// Returns the candidates of the round.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Returns the next examples to search, divided evenly among `workers`. Each worker gets the examples of
    /// at most `inputs` inputs. All observed outputs of an input go to the same worker.
    pub(crate) fn next_to_search(&self, inputs: usize, workers: usize) -> Vec<Searched<'_>> {
        let mut rest = &self.entries[self.found..];
        let left = rest
            .chunk_by(|one, next| one.example.input == next.example.input)
            .count();
        let calls = left.div_ceil(inputs.max(1) * workers).max(1);
        let inputs = left.div_ceil(calls * workers);
        let parts = (0..workers).map(|_| {
            let part = Searched::first_of(rest, inputs);
            rest = &rest[part.len()..];
            part
        });
        parts.collect()
    }

    /// Stores the candidates that were chosen for the next examples.
    pub(crate) fn take(&mut self, found: impl IntoIterator<Item = Vec<usize>>) {
        for candidates in found {
            self.entries[self.found].candidates = candidates;
            self.found += 1;
        }
    }

    /// Returns the `batch` examples of the next step, and counts the step.
    pub(crate) fn next_step(&mut self, batch: usize, seed: u64, order: BatchOrder) -> Step<'_> {
        let len = self.entries.len();
        let first = self.steps * batch as u64;
        self.steps += 1;
        let positions = first..first + batch as u64;
        let places = match order {
            BatchOrder::Shuffled => {
                let order = Order::new(len, derive(seed, Stream::Batches, self.index));
                order.stretch(positions)
            }
            BatchOrder::AsDrawn => positions
                .map(|position| (position % len as u64) as usize)
                .collect(),
        };
        Step {
            entries: places.iter().map(|&place| &self.entries[place]).collect(),
            pool: &self.pool,
        }
    }
}

/// The examples of one call of the search.
pub(crate) struct Searched<'a> {
    /// One example per input.
    inputs: Vec<&'a Example>,
    /// One example per observed output.
    outputs: Vec<&'a Example>,
    /// For each observed output, the index of its input in `inputs`.
    input_of_output: Vec<usize>,
}

impl<'a> Searched<'a> {
    /// Selects the first entries, as long as they belong to at most `inputs` inputs.
    fn first_of(entries: &'a [Entry], inputs: usize) -> Self {
        let mut searched = Self {
            inputs: Vec::new(),
            outputs: Vec::new(),
            input_of_output: Vec::new(),
        };
        for entry in entries {
            let last = searched.inputs.last();
            if last.is_none_or(|last: &&Example| last.input != entry.example.input) {
                if searched.inputs.len() == inputs {
                    break;
                }
                searched.inputs.push(&entry.example);
            }
            searched.outputs.push(&entry.example);
            searched.input_of_output.push(searched.inputs.len() - 1);
        }
        searched
    }

    /// Returns the number of examples.
    pub(crate) fn len(&self) -> usize {
        self.outputs.len()
    }

    /// Returns the conditioning of the inputs.
    pub(crate) fn conditioning<B: Backend>(&self, device: &B::Device) -> Vec<Tensor<B, 4>> {
        Batch::conditioning_of(&self.inputs, device)
    }

    /// Computes the features of the observed outputs.
    pub(crate) fn target<B, D>(&self, distance: &D, device: &B::Device) -> Target<D::Features>
    where
        B: Backend,
        D: chimle_imle::Distance<B, Output = Tensor<B, 4>>,
    {
        let outputs = Batch::targets_of(&self.outputs, device);
        Target::of_sets(distance, outputs, self.input_of_output.clone())
    }

    /// Returns the identities of the inputs.
    pub(crate) fn identities(&self) -> Vec<ExampleId> {
        let inputs = self.inputs.iter();
        inputs.map(|example| ExampleId(example.input.0)).collect()
    }
}

/// The examples of one training step, with their codes.
pub(crate) struct Step<'a> {
    entries: Vec<&'a Entry>,
    pool: &'a Pool,
}

impl<'a> Step<'a> {
    /// Returns the examples of a range.
    pub(crate) fn part(&self, range: Range<usize>) -> Step<'a> {
        Step {
            entries: self.entries[range].to_vec(),
            pool: self.pool,
        }
    }

    /// Returns the examples at these rows.
    pub(crate) fn selected(&self, rows: &[usize]) -> Step<'a> {
        Step {
            entries: rows.iter().map(|&row| self.entries[row]).collect(),
            pool: self.pool,
        }
    }

    /// Returns the place of each example in the round's drawing.
    pub(crate) fn places(&self) -> Vec<usize> {
        self.entries.iter().map(|entry| entry.place).collect()
    }

    /// Stacks the conditioning of the examples.
    pub(crate) fn conditioning<B: Backend>(&self, device: &B::Device) -> Vec<Tensor<B, 4>> {
        Batch::conditioning_of(&self.examples(), device)
    }

    /// Stacks the true images of the examples.
    pub(crate) fn targets<B: Backend>(&self, device: &B::Device) -> Vec<Tensor<B, 4>> {
        Batch::targets_of(&self.examples(), device)
    }

    fn examples(&self) -> Vec<&'a Example> {
        self.entries.iter().map(|entry| &entry.example).collect()
    }

    /// Draws the chosen codes of a level again, `[batch, len]`.
    pub(crate) fn codes<B: Backend>(
        &self,
        level: usize,
        len: usize,
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let candidates = self.entries.iter().map(|entry| Candidate {
            example: ExampleId(entry.example.input.0),
            index: entry.candidates[level],
        });
        let candidates: Vec<Candidate> = candidates.collect();
        self.pool.draw(level, &candidates, len, device)
    }
}

/// Creates the pool of a round's candidates.
fn pool<C: NetworkConfig>(config: &RunConfig<C>, index: u64) -> Pool {
    let pool = SeededPool::new(derive(config.seed, Stream::Pool, index));
    let global = config.generator.global_values();
    GroupedPool::new(pool, global, config.search.locals.clone())
}

/// Loads the examples at some places of a drawing, in order.
fn load<C: NetworkConfig>(
    config: &RunConfig<C>,
    dataset: &Dataset,
    drawn: &[(usize, u64)],
    places: &[usize],
) -> Result<(Vec<Entry>, Vec<Unreadable>), Error> {
    let jobs: Vec<(usize, u64)> = places.iter().map(|&place| drawn[place]).collect();
    let threads = config.data.threads;
    let loader = Loader::new(dataset.clone(), jobs, threads, 4 * threads.max(1));
    let mut entries = Vec::with_capacity(places.len());
    let mut unreadable = Vec::new();
    for (&place, example) in places.iter().zip(loader) {
        match example {
            Ok(example) => entries.push(Entry {
                place,
                example,
                candidates: Vec::new(),
            }),
            Err(error) => unreadable.push(Unreadable {
                name: dataset.name(drawn[place].0),
                reason: error.to_string(),
            }),
        }
    }
    match unreadable.last() {
        Some(last) if entries.is_empty() => Err(Error::NothingReadable {
            count: places.len(),
            last: last.reason.clone(),
        }),
        _ => Ok((entries, unreadable)),
    }
}

#[cfg(test)]
mod tests {
    use chimle_data::Colorization;
    use chimle_nn::Preset;

    use super::*;
    use crate::DataSource;

    #[test]
    fn every_pass_visits_all_once_in_an_order_of_its_own() {
        let order = Order::new(7, 3);
        let passes: Vec<Vec<usize>> = (0..4).map(|p| order.stretch(7 * p..7 * (p + 1))).collect();
        for pass in &passes {
            let mut sorted = pass.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..7).collect::<Vec<_>>());
        }
        assert_ne!(passes[0], passes[1]);
        assert_eq!(
            order.stretch(5..9),
            [&passes[0][5..], &passes[1][..2]].concat()
        );
    }

    fn config(scenes: usize, round: usize) -> RunConfig {
        let mut config = RunConfig::new(Colorization, Preset::Tiny);
        config.data.source = DataSource::Procedural { scenes };
        config.training.round = round;
        config
    }

    #[test]
    fn the_rounds_of_a_pass_draw_every_training_input_once() {
        for (scenes, round, rounds) in [(25, 10, 3), (20, 6, 3), (8, 100, 1u64)] {
            let config = config(scenes, round);
            let dataset = config.dataset(true).unwrap();
            let split = config.split(&dataset);
            for pass in 0..2 {
                let drawn = |part| drawing(&config, &dataset, &split, pass * rounds + part);
                let mut inputs: Vec<usize> = (0..rounds)
                    .flat_map(drawn)
                    .map(|(index, _)| index)
                    .collect();
                inputs.sort_unstable();
                assert_eq!(inputs, split.training);
                let sizes = (0..rounds).map(|part| drawn(part).len());
                let (least, most) = (sizes.clone().min(), sizes.max());
                assert!(most.unwrap() - least.unwrap() <= 1, "{least:?} to {most:?}");
            }
        }
    }

    #[test]
    fn a_round_of_an_older_version_is_searched_again() {
        let config = config(25, 10);
        let dataset = config.dataset(true).unwrap();
        let split = config.split(&dataset);
        let position = |drawn| RoundPosition {
            index: 0,
            steps: 3,
            searched: true,
            chosen: vec![(0, vec![0; config.generator.levels()])],
            drawn,
        };
        let (size, resume) = (drawing(&config, &dataset, &split, 0).len(), |drawn| {
            Round::resume(&config, &dataset, &split, position(drawn))
                .unwrap()
                .0
        });
        assert!(resume(Some(size)).is_searched());
        let again = resume(None);
        assert!(!again.is_searched());
        assert_eq!((again.steps(), again.entries.len()), (3, size));
    }

    #[test]
    fn a_search_is_divided_evenly_among_workers() {
        let config = config(20, 20);
        let dataset = config.dataset(true).unwrap();
        let split = config.split(&dataset);
        let (mut round, _) = Round::draw(&config, &dataset, &split, 0).unwrap();
        let mut sizes = Vec::new();
        while !round.is_searched() {
            let parts = round.next_to_search(4, 2);
            let found: Vec<usize> = parts.iter().map(|part| part.inputs.len()).collect();
            let examples = parts.iter().map(Searched::len).sum();
            sizes.push(found);
            round.take(vec![vec![0; 3]; examples]);
        }
        // Two workers search at most 8 inputs at once, so 18 inputs take three calls.
        assert_eq!(sizes, [[3, 3], [3, 3], [3, 3]]);
        // One worker could search the whole round at once, but the round is still divided evenly.
        let (round, _) = Round::draw(&config, &dataset, &split, 0).unwrap();
        let parts = round.next_to_search(64, 2);
        let sizes: Vec<usize> = parts.iter().map(|part| part.inputs.len()).collect();
        assert_eq!(sizes, [9, 9]);
    }

    #[test]
    fn held_out_inputs_are_drawn_over_the_whole_set() {
        let dataset = config(500, 10).dataset(false).unwrap();
        let [first, second] = [0, 1].map(|seed| Split::draw(&dataset, 50, seed));
        assert_eq!(first.held_out.len(), 50);
        assert_eq!(first.training.len(), 450);
        assert_ne!(first, second);
        for quarter in 0..4 {
            let range = 125 * quarter..125 * (quarter + 1);
            let count = first.held_out.iter().filter(|&input| range.contains(input));
            assert!(count.count() >= 4);
        }
    }
}
