//! Adam over a generator whose mapping networks learn at a rate of their own.

use burn::module::{Param, ParamId};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{Adam, AdamConfig, GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use chimle_nn::{Generator, NamedVisitor, is_mapping};

/// The optimizer of a generator.
pub(crate) type GeneratorAdam<B> = OptimizerAdaptor<Adam, Generator<B>, B>;

/// PyTorch's; Burn's default is a thousand times larger.
const EPSILON: f32 = 1e-8;

/// A generator's parameters, by the rate at which they learn.
#[derive(Debug)]
pub(crate) struct Groups {
    /// Those of the mapping networks.
    pub(crate) mapping: Vec<ParamId>,
    /// All others.
    pub(crate) rest: Vec<ParamId>,
}

impl Groups {
    pub(crate) fn of<B: Backend>(generator: &Generator<B>) -> Self {
        let mut groups = Self {
            mapping: Vec::new(),
            rest: Vec::new(),
        };
        generator.visit_named(&mut groups);
        groups
    }
}

impl<B: Backend> NamedVisitor<B> for Groups {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
        let group = if is_mapping(name) {
            &mut self.mapping
        } else {
            &mut self.rest
        };
        group.push(param.id);
    }
}

/// Adam (Kingma & Ba 2015), nothing remembered yet.
pub(crate) fn adam<B: AutodiffBackend>((beta_1, beta_2): (f32, f32)) -> GeneratorAdam<B> {
    AdamConfig::new()
        .with_beta_1(beta_1)
        .with_beta_2(beta_2)
        .with_epsilon(EPSILON)
        .init()
}

/// One step of every parameter that has a gradient: the mapping networks' at `mapping_rate`, the
/// others' at `rate`.
pub(crate) fn step<B: AutodiffBackend>(
    optimizer: &mut GeneratorAdam<B>,
    generator: Generator<B>,
    mut gradients: B::Gradients,
    groups: &Groups,
    rate: f64,
    mapping_rate: f64,
) -> Generator<B> {
    [(&groups.rest, rate), (&groups.mapping, mapping_rate)]
        .into_iter()
        .fold(generator, |generator, (group, rate)| {
            let gradients = GradientsParams::from_params(&mut gradients, &generator, group);
            optimizer.step(rate, generator, gradients)
        })
}
