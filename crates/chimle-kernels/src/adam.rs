//! A step of Adam (Kingma & Ba 2015) as one operation on tensors.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};

use crate::kernels::Kernels;

/// The moments of a parameter: moving averages of its gradient and of the gradient's square.
pub type Moments<T> = [T; 2];

/// The factors of one step of Adam. They are the same for all values of a parameter.
///
/// [`AdamFactors::new`] computes them from Adam's settings and the number of the step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamFactors {
    /// The decay rates of the two moments.
    pub betas: [f32; 2],
    /// The factor that corrects the bias of the ratio of the moments, `sqrt(1 - beta_2^t) / (1 -
    /// beta_1^t)`.
    pub correction: f32,
    /// The number that is added to the root of the second moment, `epsilon sqrt(1 - beta_2^t)`.
    pub epsilon: f32,
    /// The learning rate.
    pub rate: f64,
}

impl AdamFactors {
    /// Computes the factors of a step with the decay rates `betas`, Adam's `epsilon` and a learning
    /// rate. `time` is the number of the step, counted from 1.
    ///
    /// The formulas and their rounding are those of Burn's Adam.
    pub fn new(betas: [f32; 2], epsilon: f32, rate: f64, time: usize) -> Self {
        let bias = betas.map(|beta| 1.0 - beta.powi(time as i32));
        let root = bias[1].sqrt();
        Self {
            betas,
            correction: root / bias[0],
            epsilon: epsilon * root,
            rate,
        }
    }
}

/// A parameter and its moments after a step of Adam.
#[derive(Clone, Debug)]
pub struct AdamStep<B: Backend> {
    /// The new value of the parameter.
    pub parameter: FloatTensor<B>,
    /// The new moments.
    pub moments: Moments<FloatTensor<B>>,
}

/// Takes a step of Adam (Kingma & Ba 2015, algorithm 1), and returns the new parameter and the new
/// moments. All tensors have the same shape.
///
/// Without `moments`, this is the first step, in which both moments are zero. The values are those
/// of [`burn::optim::Adam`], to the last bit on Flex. There, the step is one pass, and it reuses the
/// memory of the parameter and the moments if nothing else refers to them.
///
/// # Panics
///
/// If the shapes differ.
pub fn adam_step<B: Kernels, const D: usize>(
    parameter: Tensor<B, D>,
    gradient: Tensor<B, D>,
    moments: Option<Moments<Tensor<B, D>>>,
    factors: &AdamFactors,
) -> (Tensor<B, D>, Moments<Tensor<B, D>>) {
    let shape = parameter.dims();
    assert_eq!(gradient.dims(), shape, "the gradient of a parameter");
    for moment in moments.iter().flatten() {
        assert_eq!(moment.dims(), shape, "a moment of a parameter");
    }
    let primitive = |tensor: Tensor<B, D>| tensor.into_primitive().tensor();
    let moments = moments.map(|moments| moments.map(primitive));
    let stepped = B::adam_step(primitive(parameter), primitive(gradient), moments, factors);
    let tensor = |primitive| Tensor::from_primitive(TensorPrimitive::Float(primitive));
    (tensor(stepped.parameter), stepped.moments.map(tensor))
}
