//! IMLE (Li and Malik 2018) on points.

use burn::module::AutodiffModule;
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::{Int, Tensor, TensorData};
use chimle_core::knn::{Exact, NearestNeighbors, Points};

use crate::{Flex, Mixture, Noise, Perceptron, Training, adam, cosine_decay};

/// How a generator of points is trained.
#[derive(Debug, Clone)]
pub struct Config {
    /// Numbers in a code.
    pub code: usize,
    /// Width of each of three hidden layers.
    pub hidden: usize,
    /// Data points of a step.
    pub batch: usize,
    /// Codes drawn for each of them to choose from. With few a mode is missed now and then; with so many that samples
    /// spread over everything leave none far from a data point, nothing draws samples into the modes.
    pub pool: usize,
    /// Steps taken with the codes so chosen, before new data and new codes are drawn.
    pub hold: usize,
    /// Steps in all.
    pub steps: usize,
    /// Adam's learning rate at the start; it falls to 0.
    pub rate: f64,
}

/// A generator before it has learned anything: `[rows, code]` to `[rows, dimension]`.
pub fn generator(config: &Config, dimension: usize, noise: &mut Noise) -> Perceptron<Training> {
    let (code, hidden) = (config.code, config.hidden);
    Perceptron::new(&[code, hidden, hidden, hidden, dimension], noise)
}

/// Draws data and codes, finds for each data point the code whose output is nearest, moves these outputs closer,
/// and again. `watch` sees the step and the generator before each search, and the last.
pub fn train(
    config: &Config,
    mixture: &Mixture,
    mut noise: Noise,
    mut watch: impl FnMut(usize, &Perceptron<Flex>),
) -> Perceptron<Flex> {
    let mut generator = generator(config, mixture.dimension(), &mut noise);
    let mut optimizer = adam::<Training, Perceptron<Training>>(0.9);
    for round in (0..config.steps).step_by(config.hold) {
        let data = mixture.draw::<Training>(config.batch, &mut noise);
        let codes = noise.normals::<Training>(config.batch * config.pool, config.code);
        let now = generator.valid();
        watch(round, &now);
        let samples = now.forward(codes.clone().inner());
        let chosen = codes.select(0, nearest(samples, data.clone().inner()));
        for step in round..(round + config.hold).min(config.steps) {
            let differences = generator.forward(chosen.clone()) - data.clone();
            let loss = differences.square().sum_dim(1).mean();
            let gradients = GradientsParams::from_grads(loss.backward(), &generator);
            let rate = cosine_decay(config.rate, step, config.steps);
            generator = optimizer.step(rate, generator, gradients);
        }
    }
    let trained = generator.valid();
    watch(config.steps, &trained);
    trained
}

/// Which row of `samples` is nearest to each row of `data` among those of its own pool, which are as many for each.
fn nearest(samples: Tensor<Flex, 2>, data: Tensor<Flex, 2>) -> Tensor<Training, 1, Int> {
    let [rows, dimension] = data.dims();
    let pool = samples.dims()[0] / rows;
    let values = |tensor: Tensor<Flex, 2>| tensor.into_data().to_vec::<f32>().expect("f32");
    let (samples, data) = (values(samples), values(data));
    let pools = samples.chunks_exact(pool * dimension);
    let queries = data.chunks_exact(dimension);
    let chosen = pools
        .zip(queries)
        .enumerate()
        .map(|(row, (samples, point))| {
            let samples = Points::new(samples, dimension).expect("whole rows");
            let found = Exact::new(samples).query(point, 1);
            (row * pool + found.expect("outputs are finite")[0].index) as i64
        });
    let chosen: Vec<i64> = chosen.collect();
    Tensor::from_data(TensorData::new(chosen, [rows]), &Default::default())
}
