//! The network of all models on points.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{AdamConfig, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::activation::silu;
use burn::tensor::backend::{AutodiffBackend, Backend};

use crate::noise::Noise;

/// A perceptron: linear layers with SiLU between them.
#[derive(Module, Debug)]
pub struct Perceptron<B: Backend> {
    pub(crate) layers: Vec<Linear<B>>,
}

impl<B: Backend> Perceptron<B> {
    /// Creates layers between these widths. Weights are Kaiming normal, and biases are standard
    /// normal. With one or two inputs and no biases, all units would have their bend at 0.
    pub fn new(widths: &[usize], noise: &mut Noise) -> Self {
        let layer = |pair: &[usize]| {
            let (from, to) = (pair[0], pair[1]);
            let scale = (2.0 / from as f32).sqrt();
            let bias = noise.normals::<B>(1, to).reshape([to]);
            Linear {
                weight: Param::from_tensor(noise.normals::<B>(from, to) * scale),
                bias: Some(Param::from_tensor(bias)),
            }
        };
        Self {
            layers: widths.windows(2).map(layer).collect(),
        }
    }

    /// Maps `[rows, first width]` to `[rows, last width]`.
    pub fn forward(&self, input: Tensor<B, 2>) -> Tensor<B, 2> {
        let (last, hidden) = self.layers.split_last().expect("a perceptron has a layer");
        let hidden = hidden
            .iter()
            .fold(input, |values, layer| silu(layer.forward(values)));
        last.forward(hidden)
    }
}

/// The optimizer of a module.
pub type Adam<M, B> = OptimizerAdaptor<burn::optim::Adam, M, B>;

/// Creates Adam with this decay rate of the first moment, which is 0.9 for everything except GANs.
pub fn adam<B: AutodiffBackend, M: burn::module::AutodiffModule<B>>(beta_1: f32) -> Adam<M, B>
where
    Adam<M, B>: Optimizer<M, B>,
{
    AdamConfig::new()
        .with_beta_1(beta_1)
        .with_beta_2(0.999)
        .with_epsilon(1e-8)
        .init()
}

/// Returns the learning rate at `step` of `steps`, which falls from `rate` to 0 along half a
/// cosine.
pub fn cosine_decay(rate: f64, step: usize, steps: usize) -> f64 {
    0.5 * rate * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Training;
    use burn::module::ModuleVisitor;
    use burn::optim::GradientsParams;

    struct Values(Vec<Vec<f32>>);

    impl ModuleVisitor<Training> for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Training, D>>) {
            self.0.push(param.val().into_data().to_vec().unwrap());
        }
    }

    fn values(network: &Perceptron<Training>) -> Vec<Vec<f32>> {
        let mut values = Values(Vec::new());
        network.visit(&mut values);
        values.0
    }

    #[test]
    fn a_step_moves_every_parameter() {
        let mut noise = Noise::new(0, 0);
        let network = Perceptron::<Training>::new(&[3, 8, 8, 2], &mut noise);
        let loss = network.forward(noise.normals(16, 3)).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        let before = values(&network);
        let after = values(&adam::<Training, _>(0.9).step(1e-3, network, gradients));
        assert_eq!(before.len(), 6);
        for (before, after) in before.iter().zip(&after) {
            assert!(before.iter().zip(after).all(|(b, a)| b != a));
        }
    }
}
