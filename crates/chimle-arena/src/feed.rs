//! Training examples in a seeded order that can be resumed from any position.

use chimle_core::data::{Dataset, Example};

use crate::error::Error;
use crate::random::Random;

/// An endless sequence of the examples of a data set, in a new order in each pass.
///
/// Every method reads its examples from its own feed. The examples depend only on the seed and the
/// position, so a resumed run continues with the same examples as a run without a stop.
///
/// # Examples
///
/// ```
/// use chimle_arena::Feed;
/// use chimle_core::Colorization;
/// use chimle_core::data::{Dataset, DatasetConfig, Source};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = DatasetConfig::new(Colorization, 2, 16, 16);
/// let dataset = Dataset::open(Source::Procedural { scenes: 3 }, config)?;
/// let mut feed = Feed::new(dataset.clone(), 0);
/// feed.next(4)?; // the second pass has begun
///
/// let mut resumed = Feed::at(dataset, 0, feed.position());
/// assert_eq!(resumed.next(1)?, feed.next(1)?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Feed {
    dataset: Dataset,
    seed: u64,
    position: u64,
    /// The current pass, and its order.
    order: Option<(u64, Vec<usize>)>,
}

impl Feed {
    /// Creates a feed at the first position. The data set's configuration decides whether examples
    /// are augmented.
    pub fn new(dataset: Dataset, seed: u64) -> Self {
        Self::at(dataset, seed, 0)
    }

    /// Creates a feed at a position.
    pub fn at(dataset: Dataset, seed: u64, position: u64) -> Self {
        Self {
            dataset,
            seed,
            position,
            order: None,
        }
    }

    /// Returns the number of examples read or skipped so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the data set.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Returns the next `count` examples. An example that cannot be read is skipped.
    ///
    /// # Errors
    ///
    /// If no example of a whole pass can be read.
    pub fn next(&mut self, count: usize) -> Result<Vec<Example>, Error> {
        let len = self.dataset.len() as u64;
        let mut examples = Vec::with_capacity(count);
        let mut failures = 0;
        while examples.len() < count {
            let (pass, place) = (self.position / len, (self.position % len) as usize);
            if self.order.as_ref().is_none_or(|(known, _)| *known != pass) {
                let order = Random::new(self.seed, pass).order(self.dataset.len());
                self.order = Some((pass, order));
            }
            let index = self.order.as_ref().map_or(0, |(_, order)| order[place]);
            // The augmentation of an example differs between passes.
            let seed = self.seed ^ pass.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.position += 1;
            match self.dataset.example(index, seed) {
                Ok(example) => {
                    failures = 0;
                    examples.push(example);
                }
                Err(error) => {
                    failures += 1;
                    if failures >= len {
                        return Err(error.into());
                    }
                }
            }
        }
        Ok(examples)
    }
}

#[cfg(test)]
mod tests {
    use chimle_core::Colorization;
    use chimle_core::data::{DatasetConfig, Source};

    use super::*;

    #[test]
    fn a_feed_visits_all_once_in_a_pass_and_continues_where_it_was() {
        let config = DatasetConfig::new(Colorization, 2, 16, 16);
        let dataset = Dataset::open(Source::Procedural { scenes: 7 }, config).unwrap();
        let names = |examples: Vec<Example>| -> Vec<String> {
            examples.into_iter().map(|example| example.name).collect()
        };
        let mut feed = Feed::new(dataset.clone(), 3);
        let passes = [(); 2].map(|()| names(feed.next(7).unwrap()));
        for pass in &passes {
            let distinct: std::collections::BTreeSet<_> = pass.iter().collect();
            assert_eq!(distinct.len(), 7);
        }
        assert_ne!(passes[0], passes[1]);

        let mut first = Feed::new(dataset.clone(), 3);
        let begun = first.next(5).unwrap();
        let mut resumed = Feed::at(dataset, 3, first.position());
        assert_eq!(begun.len(), 5);
        assert_eq!(resumed.next(6).unwrap(), first.next(6).unwrap());
    }
}
