//! The observed outputs that a search looks for and a loss compares with.

use burn::tensor::backend::{AutodiffBackend, Backend};

use crate::distance::{Distance, TrainingDistance};
use crate::rows::{Rows, Selection};

/// The observed outputs of a batch of inputs: their features at each level.
///
/// An input has one observed output ([`new`](Self::new)) or several ([`of_sets`](Self::of_sets)),
/// such as photographs of one scene on several days. `F` is [`Distance::Features`].
#[derive(Clone, Debug)]
pub struct Target<F> {
    levels: Vec<F>,
    /// The input of each observed output.
    inputs: Vec<usize>,
}

impl<F> Target<F> {
    /// Computes the features of one observed output per input, in the order of the inputs.
    ///
    /// `outputs` holds the true outputs of each level, coarse to fine.
    pub fn new<B, D>(distance: &D, outputs: Vec<D::Output>) -> Self
    where
        B: Backend,
        D: Distance<B, Features = F>,
        F: Rows<B>,
    {
        let levels: Vec<F> = outputs
            .into_iter()
            .map(|output| distance.features(output))
            .collect();
        let count = levels.first().map_or(0, Rows::rows);
        Self::of_features(levels, (0..count).collect())
    }

    /// Computes the features of observed outputs, of which an input may have any number.
    ///
    /// Observed output t belongs to the input `inputs[t]`, a row of the conditioning. `outputs`
    /// holds the true outputs of each level, coarse to fine.
    ///
    /// # Panics
    ///
    /// If `outputs` does not have `inputs.len()` rows.
    pub fn of_sets<B, D>(distance: &D, outputs: Vec<D::Output>, inputs: Vec<usize>) -> Self
    where
        B: Backend,
        D: Distance<B, Features = F>,
        F: Rows<B>,
    {
        let levels = outputs.into_iter();
        let levels = levels.map(|output| distance.features(output)).collect();
        Self::of_features(levels, inputs)
    }

    /// Creates a target from features that are already computed, one batch per level, coarse to
    /// fine. `inputs` has the same meaning as in [`of_sets`](Self::of_sets).
    ///
    /// # Panics
    ///
    /// If a level does not have `inputs.len()` rows.
    pub fn of_features<B: Backend>(levels: Vec<F>, inputs: Vec<usize>) -> Self
    where
        F: Rows<B>,
    {
        for level in &levels {
            assert_eq!(level.rows(), inputs.len(), "observed outputs");
        }
        Self { levels, inputs }
    }

    /// Turns the features into constants of a loss on the backend `B`. `D` is the distance of the
    /// loss.
    pub fn constants<B, D>(self) -> Target<D::Features>
    where
        B: AutodiffBackend,
        D: TrainingDistance<B>,
        D::Valid: Distance<B::InnerBackend, Features = F>,
    {
        Target {
            levels: self.levels.into_iter().map(D::constants).collect(),
            inputs: self.inputs,
        }
    }

    /// Returns the selected observed outputs, in the order of the selection, as the target of a
    /// training step: row t belongs to input t.
    pub fn select<B: Backend>(&self, rows: &Selection<B>) -> Self
    where
        F: Rows<B>,
    {
        let count = rows.count(self.inputs.len());
        Self {
            levels: self
                .levels
                .iter()
                .map(|level| level.select_rows(rows))
                .collect(),
            inputs: (0..count).collect(),
        }
    }

    /// Returns the features of each level.
    pub fn levels(&self) -> &[F] {
        &self.levels
    }

    /// Returns the input of each observed output.
    pub fn inputs(&self) -> &[usize] {
        &self.inputs
    }
}
