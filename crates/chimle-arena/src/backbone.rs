//! The shared generator, for methods that have one short code for all levels.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use chimle_core::TaskHandle;
use chimle_core::data::{Batch, Example, Planes, planes_from_tensor};
use chimle_core::imle::{Candidate, CodePool, ExampleId, SeededPool, StagedGenerator};
use chimle_core::nn::{Generator, LatentCode};
use chimle_kernels::{Kernels, TrainingBackend};

use crate::context::Context;
use crate::trained::Trained;

/// The largest number of samples that are evaluated in one batch.
const ROWS: usize = 32;

/// The number of values in the code z of BicycleGAN and the methods that follow it.
pub const CODE_VALUES: usize = 8;

/// Creates the shared generator with fresh weights.
pub fn backbone<B: TrainingBackend>(
    context: &Context<B>,
    betas: (f32, f32),
) -> Trained<B, Generator<B>> {
    let generator = Trained::new(context.generator().init(&context.device), betas);
    match context.backbone.average {
        Some(decay) => generator.with_average(decay),
        None => generator,
    }
}

/// Evaluates the generator with one code for all levels, and returns the raw images of the levels, coarse to fine.
///
/// The code z is the global part of every level's code, and also the local part at every position. So z enters at many
/// layers, both by AdaIN and by concatenation. If a part has more channels than z has values, the values are repeated.
///
/// # Shapes
///
/// - `conditioning`: `[n, channels, height_k, width_k]` for each conditioning image k
/// - `z`: `[n, values]`
/// - output: `[n, 3, height_k, width_k]` for each level k
pub fn generate<B: Kernels>(
    generator: &Generator<B>,
    conditioning: Vec<Tensor<B, 4>>,
    z: &Tensor<B, 2>,
) -> Vec<Tensor<B, 4>> {
    let config = generator.config();
    let global = channels_of(z, config.map_code);
    let local = channels_of(z, config.code_channels);
    let [rows, _] = z.dims();
    let mut state = generator.begin(conditioning);
    let mut images = Vec::with_capacity(config.levels());
    while let Some([height, width]) = state.code_size() {
        let shape = [rows, config.code_channels, height, width];
        let code = LatentCode {
            global: global.clone(),
            local: local
                .clone()
                .reshape([rows, config.code_channels, 1, 1])
                .expand(shape),
        };
        let (next, image) = generator.advance_raw(state, code);
        state = next;
        images.push(image);
    }
    images
}

/// Takes the first `count` values of a code. If the code has fewer values, they are repeated.
fn channels_of<B: Backend>(z: &Tensor<B, 2>, count: usize) -> Tensor<B, 2> {
    let [_, values] = z.dims();
    let indices: Vec<i64> = (0..count).map(|k| (k % values) as i64).collect();
    let indices = Tensor::<B, 1, Int>::from_data(TensorData::new(indices, [count]), &z.device());
    z.clone().select(1, indices)
}

/// Draws samples in batches of rows, one row per sample. `images` makes the outputs of a batch, RGB `[rows, 3, h, w]`,
/// from the examples of the rows and their candidates.
pub fn sample_rows<B: Backend>(
    task: &TaskHandle,
    inputs: &[&Example],
    samples: usize,
    mut images: impl FnMut(&[&Example], &[Candidate]) -> Tensor<B, 4>,
) -> Vec<Vec<Planes>> {
    let rows: Vec<(usize, usize)> = (0..inputs.len())
        .flat_map(|input| (0..samples).map(move |sample| (input, sample)))
        .collect();
    let mut drawn = vec![Vec::with_capacity(samples); inputs.len()];
    for part in rows.chunks(ROWS) {
        let examples: Vec<&Example> = part.iter().map(|&(input, _)| inputs[input]).collect();
        let candidates: Vec<Candidate> = part
            .iter()
            .map(|&(input, index)| Candidate {
                example: ExampleId(inputs[input].input.0),
                index,
            })
            .collect();
        let outputs = planes_from_tensor(images(&examples, &candidates));
        for (&(input, _), output) in part.iter().zip(outputs) {
            drawn[input].push(task.show(&inputs[input].conditioning, output));
        }
    }
    drawn
}

/// Draws samples of the shared generator. Each sample has one standard normal code for all levels.
pub fn sample_with_code<B: Kernels>(
    generator: &Generator<B>,
    task: &TaskHandle,
    inputs: &[&Example],
    samples: usize,
    seed: u64,
) -> Vec<Vec<Planes>> {
    let (pool, device) = (SeededPool::new(seed), generator.device());
    sample_rows(task, inputs, samples, |examples, candidates| {
        let z = pool.draw(0, candidates, CODE_VALUES, &device);
        let conditioning = Batch::collate(examples, &device).conditioning;
        last_rgb(generator, conditioning, &z)
    })
}

/// Returns the output of the code 0 for each input, repeated `samples` times.
pub fn sample_one_output<B: Kernels>(
    generator: &Generator<B>,
    task: &TaskHandle,
    inputs: &[&Example],
    samples: usize,
) -> Vec<Vec<Planes>> {
    let device = generator.device();
    let outputs = sample_rows(task, inputs, 1, |examples, _| {
        let z = Tensor::zeros([examples.len(), CODE_VALUES], &device);
        let conditioning = Batch::collate(examples, &device).conditioning;
        last_rgb(generator, conditioning, &z)
    });
    repeat_outputs(outputs, samples)
}

/// Repeats the single output of each input `samples` times.
pub fn repeat_outputs(outputs: Vec<Vec<Planes>>, samples: usize) -> Vec<Vec<Planes>> {
    let outputs = outputs.into_iter();
    outputs
        .map(|output| output.into_iter().cycle().take(samples).collect())
        .collect()
}

/// Returns the RGB image of the last level.
fn last_rgb<B: Kernels>(
    generator: &Generator<B>,
    conditioning: Vec<Tensor<B, 4>>,
    z: &Tensor<B, 2>,
) -> Tensor<B, 4> {
    let raw = generate(generator, conditioning, z).pop();
    generator.raw_to_rgb(raw.expect("a generator has levels"))
}
