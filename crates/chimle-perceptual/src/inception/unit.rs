//! The unit of Inception-v3: convolution, batch normalization, ReLU.

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use chimle_kernels::Kernels;
use chimle_weights::{WeightFile, WeightsError};

use crate::frozen::{FrozenConv2d, Window};

/// The epsilon of batch normalization in TensorFlow's Inception.
const EPSILON: f64 = 1e-3;

/// A unit in the file: its name within its block, its output channels, and its window.
pub(super) type UnitSpec = (&'static str, usize, Window);

/// The file that units are loaded from, and the device that they are loaded onto.
pub(super) struct Source<'a, B: Backend> {
    pub(super) file: &'a WeightFile,
    pub(super) device: &'a B::Device,
}

impl<B: Backend> Source<'_, B> {
    /// Loads a unit and folds its normalization into the convolution. With
    /// s = gamma / sqrt(variance + eps), the weight is s w and the bias is beta - s mean.
    fn unit(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
        window: Window,
    ) -> Result<FrozenConv2d<B>, WeightsError> {
        let values = |name: String, shape: &[usize]| {
            let data = self.file.data(&name, shape)?;
            Ok(data.iter::<f64>().collect::<Vec<f64>>())
        };
        let of_normalization = |what: &str| values(format!("{name}.bn.{what}"), &[outputs]);
        let gamma = of_normalization("weight")?;
        let beta = of_normalization("bias")?;
        let mean = of_normalization("running_mean")?;
        let variance = of_normalization("running_var")?;
        let scale: Vec<f64> = gamma
            .iter()
            .zip(&variance)
            .map(|(gamma, variance)| gamma / (variance + EPSILON).sqrt())
            .collect();

        let [height, width] = window.kernel;
        let shape = [outputs, inputs, height, width];
        let weight = values(format!("{name}.conv.weight"), &shape)?;
        let weight: Vec<f32> = weight
            .chunks_exact(inputs * height * width)
            .zip(&scale)
            .flat_map(|(filter, scale)| filter.iter().map(move |w| (w * scale) as f32))
            .collect();
        let bias: Vec<f32> = (0..outputs)
            .map(|k| (beta[k] - scale[k] * mean[k]) as f32)
            .collect();
        Ok(FrozenConv2d::new(
            Tensor::from_data(TensorData::new(weight, shape), self.device),
            Tensor::from_data(TensorData::new(bias, [outputs]), self.device),
            window,
        ))
    }

    /// Loads a chain of units, which belong to `block` or, if it is `None`, to no block. The first unit
    /// has `inputs` input channels.
    pub(super) fn chain(
        &self,
        block: Option<&str>,
        inputs: usize,
        units: &[UnitSpec],
    ) -> Result<Chain<B>, WeightsError> {
        let mut inputs = inputs;
        let mut chain = Vec::with_capacity(units.len());
        for &(name, outputs, window) in units {
            let name = block.map_or_else(|| name.to_owned(), |block| format!("{block}.{name}"));
            chain.push(self.unit(&name, inputs, outputs, window)?);
            inputs = outputs;
        }
        Ok(Chain { units: chain })
    }
}

/// Units that are applied one after another.
#[derive(Module, Debug)]
pub(super) struct Chain<B: Backend> {
    units: Vec<FrozenConv2d<B>>,
}

impl<B: Backend> Chain<B> {
    /// Returns the output channels of the last unit, or `inputs` if there are no units.
    pub(super) fn outputs(&self, inputs: usize) -> usize {
        self.units.last().map_or(inputs, FrozenConv2d::outputs)
    }
}

impl<B: Kernels> Chain<B> {
    pub(super) fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let apply = |x, convolution: &FrozenConv2d<B>| convolution.forward_relu(x);
        self.units.iter().fold(x, apply)
    }
}
