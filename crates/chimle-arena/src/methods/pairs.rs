//! Batches of inputs and true outputs for GANs.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_core::data::{Batch, Example};
use chimle_core::nn::Generator;
use chimle_kernels::Kernels;

use crate::backbone::generate;
use crate::error::Error;
use crate::space::{Space, signed_inputs};

/// A batch of pairs.
pub struct Pairs<B: Backend> {
    /// The conditioning of the shared generator, one tensor per level.
    pub conditioning: Vec<Tensor<B, 4>>,
    /// The signed inputs at the output's size, `[n, channels, h, w]`.
    pub input: Tensor<B, 4>,
    /// The signed truths, `[n, 3, h, w]`.
    pub truth: Tensor<B, 4>,
}

impl<B: Backend> Pairs<B> {
    /// Stacks examples.
    ///
    /// # Errors
    ///
    /// If an input cannot be resized to the output's size.
    pub fn of(examples: &[Example], space: Space, device: &B::Device) -> Result<Self, Error> {
        let examples: Vec<&Example> = examples.iter().collect();
        Ok(Self {
            conditioning: Batch::collate(&examples, device).conditioning,
            input: signed_inputs(&examples, device)?,
            truth: space.signed_truths(&examples, device),
        })
    }

    /// Returns the number of pairs.
    pub fn len(&self) -> usize {
        self.truth.dims()[0]
    }
}

impl<B: Kernels> Pairs<B> {
    /// Computes G(x, z): one signed image for each pair and its code. `z` is `[n, values]`, and the
    /// images are `[n, 3, h, w]`.
    pub fn make(&self, generator: &Generator<B>, space: Space, z: &Tensor<B, 2>) -> Tensor<B, 4> {
        let raw = generate(generator, self.conditioning.clone(), z).pop();
        space.signed_of_raw(raw.expect("a generator has levels"))
    }
}
