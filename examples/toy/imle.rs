//! IMLE (Li and Malik 2018) on points, with the library's search and objective.

use burn::module::AutodiffModule;
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use chimle_core::imle::{
    Candidate, CodePool, Distance, ExampleId, Objective, Search, SeededPool, StagedGenerator,
    Strategy, Target, TrainingDistance, Unconditional,
};

use crate::{Flex, Mixture, Noise, Perceptron, Training, adam, cosine_decay};

/// The training settings of a generator of points.
#[derive(Debug, Clone)]
pub struct Config {
    /// The number of values in a code.
    pub code: usize,
    /// The width of each of the three hidden layers.
    pub hidden: usize,
    /// The number of data points in a step.
    pub batch: usize,
    /// The number of codes drawn for each data point. With few codes, a mode is sometimes missed.
    /// With very many codes, every data point already has a sample nearby, and nothing pulls the
    /// other samples into the modes.
    pub pool: usize,
    /// The number of steps taken with the chosen codes, before new data and codes are drawn.
    pub hold: usize,
    /// The total number of steps.
    pub steps: usize,
    /// Adam's learning rate at the start. It falls to 0.
    pub rate: f64,
}

/// A perceptron as a generator of one level without conditioning: codes `[rows, first width]` become
/// points `[rows, last width]`.
impl<B: Backend> StagedGenerator<B> for Perceptron<B> {
    type Conditioning = Unconditional;
    type State = Unconditional;
    type Code = Tensor<B, 2>;
    type Output = Tensor<B, 2>;

    fn levels(&self) -> usize {
        1
    }

    fn device(&self) -> B::Device {
        self.layers[0].weight.device()
    }

    fn begin(&self, conditioning: Unconditional) -> Unconditional {
        conditioning
    }

    fn code_len(&self, _: &Unconditional) -> usize {
        self.layers[0].weight.dims()[0]
    }

    fn code(&self, _: &Unconditional, values: Tensor<B, 2>) -> Tensor<B, 2> {
        values
    }

    fn advance(&self, state: Unconditional, code: Tensor<B, 2>) -> (Unconditional, Tensor<B, 2>) {
        (state, self.forward(code))
    }
}

/// The squared Euclidean distance of points `[n, dimension]`.
#[derive(Debug, Clone, Copy)]
pub struct Squared;

impl<B: Backend> Distance<B> for Squared {
    type Output = Tensor<B, 2>;
    type Features = Tensor<B, 2>;

    fn features(&self, points: Tensor<B, 2>) -> Tensor<B, 2> {
        points
    }

    fn compare(&self, candidates: &Tensor<B, 2>, targets: &Tensor<B, 2>) -> Tensor<B, 1> {
        let ([n, dimension], [g, _]) = (candidates.dims(), targets.dims());
        let candidates = candidates.clone().reshape([g, n / g, dimension]);
        let difference = candidates - targets.clone().reshape([g, 1, dimension]);
        difference.square().sum_dim(2).reshape([n])
    }
}

impl<B: AutodiffBackend> TrainingDistance<B> for Squared {
    type Valid = Self;

    fn valid(&self) -> Self {
        *self
    }

    fn constants(features: Tensor<B::InnerBackend, 2>) -> Tensor<B, 2> {
        Tensor::from_inner(features)
    }
}

/// Creates a generator with fresh weights, from `[rows, code]` to `[rows, dimension]`.
pub fn generator(config: &Config, dimension: usize, noise: &mut Noise) -> Perceptron<Training> {
    let (code, hidden) = (config.code, config.hidden);
    Perceptron::new(&[code, hidden, hidden, hidden, dimension], noise)
}

/// Trains a generator by IMLE.
///
/// A round draws data points, finds the code whose output is nearest to each of them, and takes
/// `hold` steps with these codes. `watch` is called with the step and the generator before each
/// search and at the end.
pub fn train(
    config: &Config,
    mixture: &Mixture,
    mut noise: Noise,
    mut watch: impl FnMut(usize, &Perceptron<Flex>),
) -> Perceptron<Flex> {
    let device = Default::default();
    let mut generator = generator(config, mixture.dimension(), &mut noise);
    let mut optimizer = adam::<Training, Perceptron<Training>>(0.9);
    let pools = vec![config.pool];
    let search = Search::new(Strategy::Hierarchical { pools }, config.batch * config.pool);
    let objective = Objective {
        intermediate_supervision: false,
    };
    // Each data point has its own pool, so each data point counts as one input without conditioning.
    let inputs: Vec<ExampleId> = (0..config.batch as u64).map(ExampleId).collect();
    let everything = Unconditional(config.batch);

    for round in (0..config.steps).step_by(config.hold) {
        let data = mixture.draw::<Flex>(config.batch, &mut noise);
        let target = Target::new(&Squared, vec![data]);
        let pool = SeededPool::new(noise.seed());
        let now = generator.valid();
        watch(round, &now);
        let found = search.run(&now, &Squared, everything, &target, &pool, &inputs);
        let found = found.expect("the outputs are finite");

        let chosen = inputs
            .iter()
            .zip(&found)
            .map(|(&example, chosen)| Candidate {
                example,
                index: chosen.candidates[0],
            });
        let chosen: Vec<Candidate> = chosen.collect();
        let codes: Tensor<Training, 2> = pool.draw(0, &chosen, config.code, &device);
        let target = target.constants::<Training, Squared>();
        for step in round..(round + config.hold).min(config.steps) {
            let code = |_, _: &Unconditional| codes.clone();
            let losses = objective.losses(&generator, &Squared, everything, code, &target);
            let loss = losses[0].clone().mean();
            let gradients = GradientsParams::from_grads(loss.backward(), &generator);
            let rate = cosine_decay(config.rate, step, config.steps);
            generator = optimizer.step(rate, generator, gradients);
        }
    }
    let trained = generator.valid();
    watch(config.steps, &trained);
    trained
}
