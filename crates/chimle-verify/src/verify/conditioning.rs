//! How far rounding errors can move the gradients of a reference network.
//!
//! If the input of a LeakyReLU is almost zero, rounding decides on which side of the kink it lies, and so
//! decides the slope of one unit. The gradients of two correct implementations can then differ by percents,
//! although all their images agree. This module measures whether a network has such units, so that the check
//! of the gradients can be strict wherever the network permits it.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use chimle_core::nn::TrainingBackend;
use chimle_core::perceptual::ImageDistance;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::case::Case;
use super::gradients::{Scales, gradients};
use super::parameters::Arrays;
use crate::error::Error;

/// The relative change of every weight: three to five roundings of an `f32`.
const CHANGE: f64 = 3e-7;

/// The number of trials. Each changes every weight up or down at random.
const TRIALS: u64 = 8;

/// Returns how far the gradients of each parameter move if every weight changes by 3e-7 of its value.
///
/// The movement of a parameter is the largest one of its gradients in all trials, relative to the
/// parameter's scale.
pub(super) fn movements<B: TrainingBackend>(
    case: &Case<B>,
    distance: &ImageDistance<B>,
    unmoved: &Arrays,
    scales: &Scales,
) -> Result<BTreeMap<String, f64>, Error> {
    let mut movements = BTreeMap::new();
    for trial in 0..TRIALS {
        let mut change = ChangeWeights(ChaCha8Rng::seed_from_u64(trial));
        let changed = case.generator.clone().map(&mut change);
        let moved = gradients(&changed, case, distance)?;
        for (name, scale) in scales {
            let pairs = moved[name].values.iter().zip(&unmoved[name].values);
            let movements = movements.entry(name.clone()).or_insert(0.0);
            for (&moved, &unmoved) in pairs {
                let movement = f64::from(moved - unmoved).abs() / scale;
                *movements = f64::max(*movements, movement);
            }
        }
    }
    Ok(movements)
}

/// Changes every weight by [`CHANGE`] of its value, up or down.
struct ChangeWeights(ChaCha8Rng);

impl<B: Backend> ModuleMapper<B> for ChangeWeights {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|weights| {
            let (shape, device) = (weights.shape(), weights.device());
            let requires_gradient = weights.is_require_grad();
            let data = weights.into_data();
            let changed: Vec<f32> = data
                .iter::<f32>()
                .map(|weight| {
                    let sign = if self.0.random() { 1.0 } else { -1.0 };
                    (f64::from(weight) * (1.0 + sign * CHANGE)) as f32
                })
                .collect();
            Tensor::from_data(TensorData::new(changed, shape), &device)
                .set_require_grad(requires_gradient)
        })
    }
}
