//! What a distance keeps of an image.

use std::ops::Range;

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor};
use chimle_kernels::select_rows;

/// What a [`Distance`](crate::Distance) needs to know of a batch of images: the images
/// themselves, their Laplacian bands, or normalized VGG features, each `[n, c, h, w]`.
///
/// A target's are computed once and compared with many candidates.
#[derive(Clone, Debug)]
pub struct Features<B: Backend>(pub Vec<Tensor<B, 4>>);

impl<B: Backend> Features<B> {
    /// How many images these are the features of.
    pub fn rows(&self) -> usize {
        self.0.first().map_or(0, |part| part.dims()[0])
    }

    /// The features of the images with these indices, in this order; an index may repeat.
    pub fn select(&self, rows: Tensor<B, 1, Int>) -> Self {
        self.map(|part| select_rows(part, rows.clone()))
    }

    /// The features of consecutive images.
    ///
    /// # Panics
    ///
    /// If the range is empty or reaches past [`rows`](Self::rows).
    pub fn slice(&self, rows: Range<usize>) -> Self {
        self.map(|part| part.narrow(0, rows.start, rows.len()))
    }

    fn map(&self, change: impl Fn(Tensor<B, 4>) -> Tensor<B, 4>) -> Self {
        Self(self.0.iter().cloned().map(change).collect())
    }
}

impl<B: AutodiffBackend> Features<B> {
    /// Features computed without autodiff, as constants for a loss.
    pub fn from_inner(inner: Features<B::InnerBackend>) -> Self {
        Self(inner.0.into_iter().map(Tensor::from_inner).collect())
    }
}
