//! Adam over a generator whose mapping networks have their own learning rate.
//!
//! [`Trainer`](crate::Trainer) uses this module; a training loop of your own can use it too.

use burn::module::{Param, ParamId};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{Adam, AdamConfig, GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use chimle_nn::{Generator, NamedVisitor, is_mapping};

/// The optimizer of a generator, with the moments of every parameter.
pub type GeneratorAdam<B> = OptimizerAdaptor<Adam, Generator<B>, B>;

/// PyTorch's default; Burn's is a thousand times larger.
const EPSILON: f32 = 1e-8;

/// A generator's parameters, grouped by their learning rate.
#[derive(Debug)]
pub struct Groups {
    mapping: Vec<ParamId>,
    rest: Vec<ParamId>,
}

impl Groups {
    /// Collects the parameters of the mapping networks, and all others.
    pub fn of<B: Backend>(generator: &Generator<B>) -> Self {
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

/// Returns Adam (Kingma & Ba 2015) with the given betas and all moments zero.
pub fn adam<B: AutodiffBackend>((beta_1, beta_2): (f32, f32)) -> GeneratorAdam<B> {
    AdamConfig::new()
        .with_beta_1(beta_1)
        .with_beta_2(beta_2)
        .with_epsilon(EPSILON)
        .init()
}

/// Makes one step and returns the changed generator.
///
/// Every parameter that has a gradient moves: those of the mapping networks with the learning rate
/// `mapping_rate`, all others with `rate`. The release trains with `mapping_rate = 0.01 * rate`.
pub fn step<B: AutodiffBackend>(
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
