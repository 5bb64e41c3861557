//! The training loss: the distance of the chosen codes' outputs from the truth.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::distance::Distance;
use crate::generator::{Output, StagedGenerator};
use crate::target::Target;

/// The training loss, and which levels count in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// Whether the output of every level is compared with the truth at its resolution. If not, only
    /// the output of the last level is compared.
    pub intermediate_supervision: bool,
}

impl Objective {
    /// Evaluates the generator and returns the losses of each level that counts, coarse to fine.
    ///
    /// The losses of a level are the distances of its outputs from their targets, `[batch]`. `code`
    /// returns the codes of a level, as in [`StagedGenerator::evaluate`]. The authors' release
    /// minimizes the sum over levels. If an output contains NaN, its loss is NaN.
    ///
    /// # Panics
    ///
    /// If the generator and `target` have different numbers of levels.
    pub fn losses<B, G, D>(
        &self,
        generator: &G,
        distance: &D,
        conditioning: G::Conditioning,
        code: impl FnMut(usize, &G::State) -> G::Code,
        target: &Target<D::Features>,
    ) -> Vec<Tensor<B, 1>>
    where
        B: Backend,
        G: StagedGenerator<B>,
        D: Distance<B, Output = G::Output>,
    {
        let levels = generator.levels();
        assert_eq!(levels, target.levels().len(), "levels of the target");
        let outputs = generator.evaluate(conditioning, code);
        let skipped = if self.intermediate_supervision {
            0
        } else {
            levels - 1
        };
        outputs
            .into_iter()
            .zip(target.levels())
            .skip(skipped)
            .map(|(output, target)| {
                let diverged = output.has_nan();
                distance
                    .distance(output, target)
                    .mask_fill(diverged, f32::NAN)
            })
            .collect()
    }
}
