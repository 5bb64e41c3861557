//! The state between two levels of the generator.

use std::sync::Arc;

use burn::tensor::{Tensor, backend::Backend};
use chimle_imle::{Rows, Selection};

/// The latent code of one level, standard normal.
#[derive(Clone, Debug)]
pub struct LatentCode<B: Backend> {
    /// The part for the global stream, `[batch, map_code]`.
    pub global: Tensor<B, 2>,
    /// The part for the local stream, `[batch, code_channels, height, width]` at the level's own
    /// side.
    pub local: Tensor<B, 4>,
}

/// The state of a generator after some number of levels, for a batch of examples.
///
/// A state can be cloned and continued in several ways. Its rows can be selected and repeated (see
/// [`Rows`]), so the search continues one chosen prefix with many candidates. A state shares its
/// conditioning with the states that were selected from it. A row of the conditioning is copied only
/// when a level is evaluated.
#[derive(Clone, Debug)]
pub struct State<B: Backend> {
    source: Source<B>,
    /// The raw image of the level below, in super-resolution.
    pub(crate) below: Option<Tensor<B, 4>>,
    pub(crate) handed_up: Option<Tensor<B, 4>>,
    pub(crate) styles: Vec<Tensor<B, 2>>,
    levels: usize,
}

impl<B: Backend> State<B> {
    /// Creates the state before the first level. `conditioning` has one image per level, coarse to
    /// fine, or one image for super-resolution.
    pub(crate) fn new(conditioning: Vec<Tensor<B, 4>>, levels: usize) -> Self {
        Self {
            source: Source::new(conditioning),
            below: None,
            handed_up: None,
            styles: Vec::new(),
            levels,
        }
    }

    /// Returns the number of levels evaluated so far.
    pub fn level(&self) -> usize {
        self.styles.len()
    }

    /// Returns the height and width of the local code of the next level, or `None` after the last
    /// level.
    pub fn code_size(&self) -> Option<[usize; 2]> {
        (self.level() < self.levels).then(|| {
            let below = self.below.as_ref();
            let image = below.unwrap_or_else(|| &self.source.images[self.level()]);
            let [.., height, width] = image.dims();
            [height, width]
        })
    }

    /// Takes the conditioning image of the next level, `[batch, channels, h, w]`.
    pub(crate) fn take_conditioning(&mut self) -> Tensor<B, 4> {
        match self.below.take() {
            Some(image) => image,
            None => self.source.image(self.level()),
        }
    }
}

impl<B: Backend> Rows<B> for State<B> {
    fn rows(&self) -> usize {
        self.source.rows.len()
    }

    fn select_rows(&self, rows: &Selection<B>) -> Self {
        Self {
            source: self.source.select(rows),
            below: self.below.select_rows(rows),
            handed_up: self.handed_up.select_rows(rows),
            styles: self.styles.select_rows(rows),
            levels: self.levels,
        }
    }

    /// All parts must be at the same level.
    fn concat(parts: Vec<Self>) -> Self {
        let levels = parts[0].levels;
        let mut source = Vec::with_capacity(parts.len());
        let mut below = Vec::with_capacity(parts.len());
        let mut handed_up = Vec::with_capacity(parts.len());
        let mut styles = Vec::with_capacity(parts.len());
        for part in parts {
            source.push(part.source);
            below.push(part.below);
            handed_up.push(part.handed_up);
            styles.push(part.styles);
        }
        Self {
            source: Source::concat(source),
            below: Rows::concat(below),
            handed_up: Rows::concat(handed_up),
            styles: Rows::concat(styles),
            levels,
        }
    }
}

/// The conditioning images, and for each row of a state the row of these images that belongs to it.
#[derive(Clone, Debug)]
struct Source<B: Backend> {
    /// Coarse to fine.
    images: Arc<Vec<Tensor<B, 4>>>,
    rows: Vec<usize>,
}

impl<B: Backend> Source<B> {
    fn new(images: Vec<Tensor<B, 4>>) -> Self {
        Self {
            rows: (0..images.rows()).collect(),
            images: Arc::new(images),
        }
    }

    fn image(&self, level: usize) -> Tensor<B, 4> {
        let image = &self.images[level];
        if self.rows.iter().copied().eq(0..image.rows()) {
            return image.clone();
        }
        image.select_rows(&Selection::indices(self.rows.iter().copied()))
    }

    fn select(&self, rows: &Selection<B>) -> Self {
        Self {
            images: self.images.clone(),
            rows: rows.select(&self.rows),
        }
    }

    fn concat(parts: Vec<Self>) -> Self {
        let shared = |part: &Self| Arc::ptr_eq(&part.images, &parts[0].images);
        if parts.iter().all(shared) {
            return Self {
                images: parts[0].images.clone(),
                rows: parts.into_iter().flat_map(|part| part.rows).collect(),
            };
        }
        let images = parts.iter().map(|part| {
            let levels = 0..part.images.len();
            levels.map(|level| part.image(level)).collect()
        });
        Self::new(Rows::concat(images.collect()))
    }
}
