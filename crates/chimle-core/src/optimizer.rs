//! Adam for a generator with two groups of parameters that learn at different rates.

use std::ops::Range;

use burn::module::{AutodiffModule, ModuleVisitor, Param, ParamId};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{
    AdamState, AdaptiveMomentumState, GradientsAccumulator, GradientsParams, LearningRate,
    Optimizer, SimpleOptimizer,
};
use burn::tensor::Tensor;
use chimle_nn::{AdamFactors, Kernels, TrainingBackend, adam_step};

use crate::error::Error;
use crate::generator::ImageGenerator;
use crate::parameters::identities;

/// Adam (Kingma and Ba 2015) over a module.
pub type ModuleAdam<B, G> = OptimizerAdaptor<Adam, G, B>;

/// Adam (Kingma and Ba 2015), whose step is one operation of the backend; see [`adam_step`].
///
/// Its results are those of [`burn::optim::Adam`]. The state is also the same, so a state that Burn's Adam has
/// saved can be loaded, and the other way around.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    betas: [f32; 2],
    epsilon: f32,
}

impl<B: Kernels> SimpleOptimizer<B> for Adam {
    type State<const D: usize> = AdamState<B, D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        parameter: Tensor<B, D>,
        gradient: Tensor<B, D>,
        state: Option<AdamState<B, D>>,
    ) -> (Tensor<B, D>, Option<AdamState<B, D>>) {
        let (time, moments) = match state.map(|state| state.momentum) {
            Some(before) => (before.time + 1, Some([before.moment_1, before.moment_2])),
            None => (1, None),
        };
        let factors = AdamFactors::new(self.betas, self.epsilon, rate, time);
        let (parameter, moments) = adam_step(parameter, gradient, moments, &factors);
        let [moment_1, moment_2] = moments;
        let momentum = AdaptiveMomentumState::new(time, moment_1, moment_2);
        (parameter, Some(AdamState { momentum }))
    }

    fn to_device<const D: usize>(state: AdamState<B, D>, device: &B::Device) -> AdamState<B, D> {
        AdamState {
            momentum: state.momentum.to_device(device),
        }
    }
}

/// The epsilon of Adam, as in PyTorch's default. Burn's default is a thousand times larger.
const EPSILON: f32 = 1e-8;

/// The parameters of a generator in two groups, by their learning rate.
#[derive(Debug)]
pub struct Groups {
    /// The parameters that learn at the slow rate, such as those of the mapping networks.
    pub slow: Vec<ParamId>,
    /// All other parameters.
    pub rest: Vec<ParamId>,
}

impl Groups {
    /// Divides the parameters of a generator by [`ImageGenerator::slow_parameters`].
    pub fn of<B: TrainingBackend, G: ImageGenerator<B>>(generator: &G) -> Self {
        let slow = generator.slow_parameters();
        let mut rest = identities(generator);
        rest.retain(|id| !slow.contains(id));
        Self { slow, rest }
    }
}

/// Creates an Adam optimizer with an empty state.
pub fn adam<B: TrainingBackend, G: AutodiffModule<B>>(
    (beta_1, beta_2): (f32, f32),
) -> ModuleAdam<B, G> {
    OptimizerAdaptor::from(Adam {
        betas: [beta_1, beta_2],
        epsilon: EPSILON,
    })
}

/// The sum of the gradients of several parts of a batch, by group.
pub(crate) struct Gradients {
    slow: GradientsParams,
    rest: GradientsParams,
}

impl Gradients {
    /// Creates an empty sum.
    pub(crate) fn none() -> Self {
        Self {
            slow: GradientsParams::new(),
            rest: GradientsParams::new(),
        }
    }

    /// Adds the gradients of one part.
    pub(crate) fn add<B: TrainingBackend, G: AutodiffModule<B>>(
        &mut self,
        generator: &G,
        mut gradients: B::Gradients,
        groups: &Groups,
    ) {
        for (sum, group) in [
            (&mut self.rest, &groups.rest),
            (&mut self.slow, &groups.slow),
        ] {
            let new = GradientsParams::from_params(&mut gradients, generator, group);
            let mut accumulator = GradientsAccumulator::<G>::new();
            accumulator.accumulate(generator, std::mem::take(sum));
            accumulator.accumulate(generator, new);
            *sum = accumulator.grads();
        }
    }

    /// Replaces all gradients with the results of `change`. `change` gets gradients that are concatenated to a
    /// tensor `[values]`, and returns a tensor of the same shape. It can be called several times, each time
    /// with a part of the values.
    pub(crate) fn change<B: TrainingBackend, G: AutodiffModule<B>>(
        &mut self,
        generator: &G,
        mut change: impl FnMut(Tensor<B::InnerBackend, 1>) -> Result<Tensor<B::InnerBackend, 1>, Error>,
    ) -> Result<(), Error> {
        for group in [&mut self.rest, &mut self.slow] {
            let mut flat = Flat::<B> {
                gradients: std::mem::take(group),
                values: Vec::new(),
            };
            generator.visit(&mut flat);
            let lengths: Vec<usize> = flat.values.iter().map(|v| v.dims()[0]).collect();
            let mut changed = Vec::with_capacity(lengths.len());
            let mut values = flat.values.into_iter();
            for part in parts(&lengths) {
                let joined = Tensor::cat(values.by_ref().take(part.len()).collect(), 0);
                let joined = change(joined)?;
                let mut start = 0;
                for &length in &lengths[part] {
                    changed.push(joined.clone().narrow(0, start, length));
                    start += length;
                }
            }
            let mut back = Restore::<B> {
                present: flat.gradients,
                values: changed.into_iter(),
                gradients: GradientsParams::new(),
            };
            generator.visit(&mut back);
            *group = back.gradients;
        }
        Ok(())
    }

    /// Takes a step for every parameter that has a gradient, with `slow_rate` for the slow parameters and
    /// `rate` for the others.
    pub(crate) fn step<B: TrainingBackend, G: AutodiffModule<B>>(
        self,
        optimizer: &mut ModuleAdam<B, G>,
        generator: G,
        rate: f64,
        slow_rate: f64,
    ) -> G {
        let generator = optimizer.step(rate, generator, self.rest);
        optimizer.step(slow_rate, generator, self.slow)
    }
}

/// The number of values that are exchanged at once. They take 128 MiB.
const VALUES_AT_ONCE: usize = 1 << 25;

/// Divides a list of tensors with these lengths into parts of about [`VALUES_AT_ONCE`] values.
fn parts(lengths: &[usize]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut values) = (0, 0);
    for (index, length) in lengths.iter().enumerate() {
        values += length;
        if values >= VALUES_AT_ONCE || index + 1 == lengths.len() {
            parts.push(start..index + 1);
            (start, values) = (index + 1, 0);
        }
    }
    parts
}

/// A visitor that collects the gradients in the order of the parameters.
struct Flat<B: TrainingBackend> {
    gradients: GradientsParams,
    values: Vec<Tensor<B::InnerBackend, 1>>,
}

impl<B: TrainingBackend> ModuleVisitor<B> for Flat<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) {
            let length = gradient.shape().num_elements();
            self.values.push(gradient.reshape([length]));
        }
    }
}

/// A visitor that registers new gradients in the order in which [`Flat`] collected the old ones.
struct Restore<B: TrainingBackend> {
    /// The remaining old gradients. Only parameters that have an old gradient get a new one.
    present: GradientsParams,
    values: std::vec::IntoIter<Tensor<B::InnerBackend, 1>>,
    gradients: GradientsParams,
}

impl<B: TrainingBackend> ModuleVisitor<B> for Restore<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(before) = self.present.remove::<B::InnerBackend, D>(param.id) {
            let values = self.values.next().expect("a value for each gradient");
            let gradient = values.reshape(before.dims());
            self.gradients
                .register::<B::InnerBackend, D>(param.id, gradient);
        }
    }
}

/// Copies an optimizer with its state to another device.
#[cfg(feature = "collective")]
pub(crate) fn on_device<B: TrainingBackend, G: AutodiffModule<B>>(
    optimizer: &ModuleAdam<B, G>,
    device: &B::Device,
) -> Result<ModuleAdam<B, G>, Error> {
    use burn::record::{FullPrecisionSettings, NamedMpkBytesRecorder, Recorder, RecorderError};

    let failed = |error: RecorderError| Error::Device {
        reason: format!("the optimizer's state cannot be copied to the device: {error}"),
    };
    let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::default();
    let state = Recorder::<B>::record(&recorder, optimizer.to_record(), ()).map_err(failed)?;
    let state = Recorder::<B>::load(&recorder, state, device).map_err(failed)?;
    Ok(optimizer.clone().load_record(state))
}

/// Takes a step for every parameter that has a gradient, with `slow_rate` for the slow parameters and `rate` for
/// the others.
pub fn step<B: TrainingBackend, G: AutodiffModule<B>>(
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

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn::module::Module;
    use burn::optim::AdamConfig;
    use burn::record::{FullPrecisionSettings, NamedMpkBytesRecorder, Recorder};
    use burn::tensor::TensorData;
    use burn_flex::Flex;
    use chimle_nn::{Architecture, Generator, GeneratorConfig, Preset};

    use super::*;
    use crate::parameters::numbered;

    type B = Autodiff<Flex>;

    const BETAS: (f32, f32) = (0.8, 0.99);
    const RATE: f64 = 1e-3;

    /// The gradients of a simple loss that every parameter changes.
    fn gradients(generator: &Generator<B>) -> GradientsParams {
        struct Loss(Tensor<B, 1>);
        impl ModuleVisitor<B> for Loss {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
                self.0 = self.0.clone() + (param.val() + 0.3).powi_scalar(3).sum();
            }
        }
        let mut loss = Loss(Tensor::zeros([1], &Default::default()));
        generator.visit(&mut loss);
        GradientsParams::from_grads(loss.0.backward(), generator)
    }

    fn values(generator: &Generator<B>) -> Vec<TensorData> {
        struct Values(Vec<TensorData>);
        impl ModuleVisitor<B> for Values {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
                self.0.push(param.val().into_data());
            }
        }
        let mut values = Values(Vec::new());
        generator.visit(&mut values);
        values.0
    }

    #[test]
    fn a_saved_state_of_burns_adam_is_continued_to_the_last_bit() {
        let device = Default::default();
        let network = GeneratorConfig::preset(Preset::Tiny, Architecture::Colorization);
        let start = numbered(network.init::<B>(&device));
        let mut theirs = AdamConfig::new()
            .with_beta_1(BETAS.0)
            .with_beta_2(BETAS.1)
            .with_epsilon(EPSILON)
            .init::<B, Generator<B>>();
        let before = gradients(&start);
        let once = theirs.step(RATE, start, before);

        let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::default();
        let saved = Recorder::<B>::record(&recorder, theirs.to_record(), ()).unwrap();
        let state = Recorder::<B>::load(&recorder, saved, &device).unwrap();
        let mut ours = adam::<B, Generator<B>>(BETAS).load_record(state);
        let ours = ours.step(RATE, once.clone(), gradients(&once));
        let theirs = theirs.step(RATE, once.clone(), gradients(&once));
        assert_ne!(values(&ours), values(&once));
        assert_eq!(values(&ours), values(&theirs));
    }
}
