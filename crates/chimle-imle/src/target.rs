//! The observed outputs that a search looks for and a loss compares with.

use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use chimle_nn::Kernels;
use chimle_perceptual::{Distance, Features};

/// The observed outputs of a batch of inputs: what the distance needs to know of them, at each
/// level.
///
/// An input has one observed output ([`new`](Self::new)) or several
/// ([`of_sets`](Self::of_sets)), as one night scene has many days.
#[derive(Clone, Debug)]
pub struct Target<B: Kernels> {
    levels: Vec<Features<B>>,
    /// The input of each observed output.
    inputs: Vec<usize>,
}

impl<B: Kernels> Target<B> {
    /// One observed output for each input, in the same order.
    ///
    /// Works out the features once. `images` holds the true image at each level's own resolution,
    /// `[batch, 3, h, w]` in [0, 1], coarse to fine.
    pub fn new(distance: &Distance<B>, images: Vec<Tensor<B, 4>>) -> Self {
        let outputs = images.first().map_or(0, |image| image.dims()[0]);
        Self::of_sets(distance, images, (0..outputs).collect())
    }

    /// Observed outputs of which number t belongs to the input `inputs[t]`, a row of the
    /// conditioning; an input may have any number of them.
    ///
    /// `images` are as in [`new`](Self::new), with `inputs.len()` rows.
    ///
    /// # Panics
    /// If the number of rows is another.
    pub fn of_sets(distance: &Distance<B>, images: Vec<Tensor<B, 4>>, inputs: Vec<usize>) -> Self {
        for image in &images {
            assert_eq!(image.dims()[0], inputs.len(), "observed outputs");
        }
        Self {
            levels: images
                .into_iter()
                .map(|image| distance.features(image))
                .collect(),
            inputs,
        }
    }

    /// Features worked out without autodiff, as constants of a loss.
    pub fn from_inner(inner: Target<B::InnerBackend>) -> Self
    where
        B: AutodiffBackend<InnerBackend: Kernels>,
    {
        Self {
            levels: inner.levels.into_iter().map(Features::from_inner).collect(),
            inputs: inner.inputs,
        }
    }

    /// The features at each level.
    pub fn levels(&self) -> &[Features<B>] {
        &self.levels
    }

    /// The input of each observed output.
    pub fn inputs(&self) -> &[usize] {
        &self.inputs
    }
}
