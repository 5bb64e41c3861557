//! The state between two levels of the generator.

use burn::tensor::{Tensor, backend::Backend};
use chimle_imle::{Rows, Selection};

/// The latent code of one level, standard normal.
#[derive(Clone, Debug)]
pub struct LatentCode<B: Backend> {
    /// For the global stream, `[batch, map_code]`.
    pub global: Tensor<B, 2>,
    /// For the local stream, `[batch, code_channels, height, width]` at the level's own side.
    pub local: Tensor<B, 4>,
}

/// A generator that is evaluated up to some level, for a batch of examples.
///
/// A state can be cloned and continued in several ways. Its rows can be selected and repeated (see
/// [`Rows`]), so many candidates continue from one chosen prefix.
#[derive(Clone, Debug)]
pub struct State<B: Backend> {
    /// Conditioning of the levels still to come, coarse to fine.
    pub(crate) conditioning: Vec<Tensor<B, 4>>,
    pub(crate) handed_up: Option<Tensor<B, 4>>,
    pub(crate) styles: Vec<Tensor<B, 2>>,
    pub(crate) levels: usize,
}

impl<B: Backend> State<B> {
    /// Returns the number of levels evaluated so far.
    pub fn level(&self) -> usize {
        self.styles.len()
    }

    /// Returns the height and width of the local code of the next level, or `None` after the last
    /// level.
    pub fn code_size(&self) -> Option<[usize; 2]> {
        (self.level() < self.levels).then(|| {
            let [.., height, width] = self.conditioning[0].dims();
            [height, width]
        })
    }
}

impl<B: Backend> Rows<B> for State<B> {
    fn rows(&self) -> usize {
        match self.conditioning.first() {
            Some(image) => image.rows(),
            None => self.styles.rows(),
        }
    }

    fn select_rows(&self, rows: &Selection<B>) -> Self {
        Self {
            conditioning: self.conditioning.select_rows(rows),
            handed_up: self.handed_up.select_rows(rows),
            styles: self.styles.select_rows(rows),
            levels: self.levels,
        }
    }

    /// All parts must stand at the same level.
    fn concat(parts: Vec<Self>) -> Self {
        let levels = parts[0].levels;
        let mut conditioning = Vec::with_capacity(parts.len());
        let mut handed_up = Vec::with_capacity(parts.len());
        let mut styles = Vec::with_capacity(parts.len());
        for part in parts {
            conditioning.push(part.conditioning);
            handed_up.push(part.handed_up);
            styles.push(part.styles);
        }
        Self {
            conditioning: Rows::concat(conditioning),
            handed_up: Rows::concat(handed_up),
            styles: Rows::concat(styles),
            levels,
        }
    }
}
