//! The result of a search.

/// What the search found for one observed output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chosen {
    /// The index of the chosen candidate at each level.
    pub candidates: Vec<usize>,
    /// The distance of every candidate, at each level where candidates were compared: all levels
    /// in the hierarchical search, the last level in the flat one.
    ///
    /// A distance that was not measured is NaN. Only the [exact](crate::Neighbors::Exact) search
    /// measures all distances. The other settings of [`Neighbors`](crate::Neighbors) measure a few.
    pub distances: Vec<Vec<f32>>,
}

impl Chosen {
    /// Returns the distance of the chosen candidate, at each level where candidates were compared.
    pub fn nearest(&self) -> Vec<f32> {
        let compared = &self.candidates[self.candidates.len() - self.distances.len()..];
        self.distances
            .iter()
            .zip(compared)
            .map(|(pool, &chosen)| pool[chosen])
            .collect()
    }
}
