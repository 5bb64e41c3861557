//! Adam over a generator, some of whose parameters learn at a rate of their own.

use burn::module::{AutodiffModule, ParamId};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{Adam, AdamConfig, GradientsAccumulator, GradientsParams, Optimizer};
use burn::tensor::backend::AutodiffBackend;

use crate::generator::ImageGenerator;
use crate::parameters::identities;

/// Adam (Kingma and Ba 2015) over a module.
pub type ModuleAdam<B, G> = OptimizerAdaptor<Adam, G, B>;

/// PyTorch's default. Burn's default is a thousand times larger.
const EPSILON: f32 = 1e-8;

/// The parameters of a generator, by the rate at which they learn.
#[derive(Debug)]
pub struct Groups {
    /// The parameters that learn at a rate of their own, as the mapping networks do.
    pub slow: Vec<ParamId>,
    /// All other parameters.
    pub rest: Vec<ParamId>,
}

impl Groups {
    /// Divides the parameters of a generator by [`ImageGenerator::slow_parameters`].
    pub fn of<B: AutodiffBackend, G: ImageGenerator<B>>(generator: &G) -> Self {
        let slow = generator.slow_parameters();
        let mut rest = identities(generator);
        rest.retain(|id| !slow.contains(id));
        Self { slow, rest }
    }
}

/// Creates an Adam without memory of any gradient.
pub fn adam<B: AutodiffBackend, G: AutodiffModule<B>>(
    (beta_1, beta_2): (f32, f32),
) -> ModuleAdam<B, G> {
    AdamConfig::new()
        .with_beta_1(beta_1)
        .with_beta_2(beta_2)
        .with_epsilon(EPSILON)
        .init()
}

/// The sum of the gradients of several parts of a batch, by group.
pub(crate) struct Accumulated<G> {
    slow: GradientsAccumulator<G>,
    rest: GradientsAccumulator<G>,
}

impl<G> Accumulated<G> {
    /// Starts without any gradient.
    pub(crate) fn new() -> Self {
        Self {
            slow: GradientsAccumulator::new(),
            rest: GradientsAccumulator::new(),
        }
    }

    /// Adds the gradients of one part.
    pub(crate) fn add<B: AutodiffBackend>(
        &mut self,
        generator: &G,
        mut gradients: B::Gradients,
        groups: &Groups,
    ) where
        G: AutodiffModule<B>,
    {
        let mut of = |group| GradientsParams::from_params(&mut gradients, generator, group);
        let (rest, slow) = (of(&groups.rest), of(&groups.slow));
        self.rest.accumulate(generator, rest);
        self.slow.accumulate(generator, slow);
    }

    /// Steps every parameter that has a gradient: the slow ones at `slow_rate`, the others at `rate`.
    pub(crate) fn step<B: AutodiffBackend>(
        mut self,
        optimizer: &mut ModuleAdam<B, G>,
        generator: G,
        rate: f64,
        slow_rate: f64,
    ) -> G
    where
        G: AutodiffModule<B>,
    {
        let generator = optimizer.step(rate, generator, self.rest.grads());
        optimizer.step(slow_rate, generator, self.slow.grads())
    }
}

/// Steps every parameter that has a gradient: the slow ones at `slow_rate`, the others at `rate`.
pub fn step<B: AutodiffBackend, G: AutodiffModule<B>>(
    optimizer: &mut ModuleAdam<B, G>,
    generator: G,
    mut gradients: B::Gradients,
    groups: &Groups,
    rate: f64,
    slow_rate: f64,
) -> G {
    [(&groups.rest, rate), (&groups.slow, slow_rate)]
        .into_iter()
        .fold(generator, |generator, (group, rate)| {
            let gradients = GradientsParams::from_params(&mut gradients, &generator, group);
            optimizer.step(rate, generator, gradients)
        })
}
