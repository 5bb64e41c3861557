//! The features that an image distance compares.

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use chimle_imle::{Rows, Selection};

/// The features of a batch of images for an [`ImageDistance`](crate::ImageDistance): the images
/// themselves, their Laplacian bands, or the normalized feature maps of a network, each
/// `[batch, channels, height, width]`.
///
/// The features of a target are computed once and compared with many candidates.
#[derive(Clone, Debug)]
pub struct Features<B: Backend>(pub Vec<Tensor<B, 4>>);

impl<B: Backend> Rows<B> for Features<B> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn select_rows(&self, rows: &Selection<B>) -> Self {
        Self(self.0.select_rows(rows))
    }

    fn concat(parts: Vec<Self>) -> Self {
        Self(Rows::concat(parts.into_iter().map(|part| part.0).collect()))
    }
}

impl<B: AutodiffBackend> Features<B> {
    /// Turns features that were computed without autodiff into constants of a loss.
    pub fn from_inner(inner: Features<B::InnerBackend>) -> Self {
        Self(inner.0.into_iter().map(Tensor::from_inner).collect())
    }
}
