//! Trains a generator of points with `chimle-imle`, as a project outside of the workspace would.
//!
//! The generator has two levels: the first turns its code into a point, and the second moves the
//! point according to its own code. The distance is the squared Euclidean distance.

use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::activation::silu;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_flex::Flex;
use chimle_imle::{
    Candidate, CodePool, Distance, ExampleId, Objective, Search, SearchError, SeededPool,
    StagedGenerator, Strategy, Target, TrainingDistance, Unconditional,
};

/// The backend that trains.
pub type Training = Autodiff<Flex>;

/// The number of values in the code of one level.
const CODE: usize = 2;
/// The number of candidates per level.
const POOLS: [usize; 2] = [12, 6];
/// The number of steps taken with the chosen codes.
const HOLD: usize = 5;
/// The learning rate of Adam.
const LEARNING_RATE: f64 = 3e-3;

/// Two layers, from `[rows, inputs]` to `[rows, 2]`.
#[derive(Module, Debug)]
struct Level<B: Backend> {
    hidden: Linear<B>,
    point: Linear<B>,
}

/// A generator of points in the plane, with one code per level.
#[derive(Module, Debug)]
pub struct Points<B: Backend> {
    levels: Vec<Level<B>>,
}

impl<B: Backend> Points<B> {
    /// Creates a generator with fresh weights, which are drawn from the backend's random state.
    pub fn new(hidden: usize, device: &B::Device) -> Self {
        let level = |inputs| Level {
            hidden: LinearConfig::new(inputs, hidden).init(device),
            point: LinearConfig::new(hidden, 2).init(device),
        };
        Self {
            levels: vec![level(CODE), level(2 + CODE)],
        }
    }

    /// Draws points, `[count, 2]`.
    pub fn sample(&self, count: usize, seed: u64) -> Tensor<B, 2> {
        let device = self.device();
        let pool = SeededPool::new(seed);
        let rows: Vec<Candidate> = (0..count).map(|row| candidate(row, 0)).collect();
        let code = |level, _: &_| pool.draw(level, &rows, CODE, &device);
        let mut outputs = self.evaluate(Unconditional(count), code);
        outputs.remove(1)
    }
}

impl<B: Backend> StagedGenerator<B> for Points<B> {
    type Conditioning = Unconditional;
    /// The number of rows, and the points of the first level.
    type State = (Unconditional, Option<Tensor<B, 2>>);
    type Code = Tensor<B, 2>;
    type Output = Tensor<B, 2>;

    fn levels(&self) -> usize {
        self.levels.len()
    }

    fn device(&self) -> B::Device {
        self.levels[0].hidden.weight.device()
    }

    fn begin(&self, rows: Unconditional) -> Self::State {
        (rows, None)
    }

    fn code_len(&self, _: &Self::State) -> usize {
        CODE
    }

    fn code(&self, _: &Self::State, values: Tensor<B, 2>) -> Tensor<B, 2> {
        values
    }

    fn advance(
        &self,
        (rows, point): Self::State,
        code: Tensor<B, 2>,
    ) -> (Self::State, Tensor<B, 2>) {
        let evaluate = |level: &Level<B>, input| {
            let hidden = silu(level.hidden.forward(input));
            level.point.forward(hidden)
        };
        let point = match point {
            None => evaluate(&self.levels[0], code),
            Some(point) => {
                let input = Tensor::cat(vec![point.clone(), code], 1);
                point + evaluate(&self.levels[1], input)
            }
        };
        ((rows, Some(point.clone())), point)
    }
}

/// The squared Euclidean distance of points `[n, 2]`.
#[derive(Clone, Copy, Debug)]
pub struct Squared;

impl<B: Backend> Distance<B> for Squared {
    type Output = Tensor<B, 2>;
    type Features = Tensor<B, 2>;

    fn features(&self, points: Tensor<B, 2>) -> Tensor<B, 2> {
        points
    }

    fn compare(&self, candidates: &Tensor<B, 2>, targets: &Tensor<B, 2>) -> Tensor<B, 1> {
        let ([n, d], [g, _]) = (candidates.dims(), targets.dims());
        let candidates = candidates.clone().reshape([g, n / g, d]);
        let difference = candidates - targets.clone().reshape([g, 1, d]);
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

fn candidate(row: usize, index: usize) -> Candidate {
    Candidate {
        example: ExampleId(row as u64),
        index,
    }
}

/// Trains a generator on points `[n, 2]`, and returns it with the mean loss of each step.
///
/// # Errors
///
/// If a distance is not finite.
pub fn train(
    data: &Tensor<Flex, 2>,
    steps: usize,
    seed: u64,
) -> Result<(Points<Flex>, Vec<f32>), SearchError> {
    let device = Default::default();
    Training::seed(&device, seed);
    let mut generator = Points::<Training>::new(32, &device);
    let mut optimizer = AdamConfig::new().init();
    let pools = POOLS.to_vec();
    let search = Search::new(Strategy::Hierarchical { pools }, 1024);
    let objective = Objective {
        intermediate_supervision: true,
    };
    // Each data point is the target of both levels, and has its own pool.
    let count = data.dims()[0];
    let everything = Unconditional(count);
    let inputs: Vec<ExampleId> = (0..count as u64).map(ExampleId).collect();
    let target = Target::new(&Squared, vec![data.clone(), data.clone()]);
    let constants = target.clone().constants::<Training, Squared>();

    let mut losses = Vec::with_capacity(steps);
    while losses.len() < steps {
        let pool = SeededPool::new(seed + losses.len() as u64);
        let now = generator.valid();
        let found = search.run(&now, &Squared, everything, &target, &pool, &inputs)?;
        let codes = [0, 1].map(|level| {
            let rows = found.iter().enumerate();
            let chosen = rows.map(|(row, chosen)| candidate(row, chosen.candidates[level]));
            let chosen: Vec<Candidate> = chosen.collect();
            pool.draw(level, &chosen, CODE, &device)
        });
        for _ in 0..HOLD {
            let code = |level: usize, _: &_| codes[level].clone();
            let by_level = objective.losses(&generator, &Squared, everything, code, &constants);
            let loss = by_level.into_iter().map(Tensor::mean).reduce(|a, b| a + b);
            let loss = loss.expect("the generator has levels");
            losses.push(loss.clone().into_scalar());
            let gradients = GradientsParams::from_grads(loss.backward(), &generator);
            generator = optimizer.step(LEARNING_RATE, generator, gradients);
        }
    }
    Ok((generator.valid(), losses))
}
