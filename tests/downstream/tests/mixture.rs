//! Tests training with a generator and a distance from outside the repository's crates.

use burn::tensor::Tensor;
use burn_flex::Flex;
use chimle_downstream::train;
use chimle_imle::{Candidate, CodePool, ExampleId, SeededPool};

/// The centers of four modes.
const CENTERS: [[f32; 2]; 4] = [[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]];
/// The standard deviation of a mode.
const SPREAD: f32 = 0.05;
/// The number of training steps.
const STEPS: usize = 3000;

/// Draws `each` points of every mode, `[4 * each, 2]`.
fn mixture(each: usize) -> Tensor<Flex, 2> {
    let device = Default::default();
    let rows: Vec<Candidate> = (0..4 * each)
        .map(|index| Candidate {
            example: ExampleId(0),
            index,
        })
        .collect();
    let noise: Tensor<Flex, 2> = SeededPool::new(99).draw(0, &rows, 2, &device);
    let centers = Tensor::<Flex, 2>::from_floats(CENTERS, &device);
    centers.repeat_dim(0, each) + noise.mul_scalar(SPREAD)
}

#[test]
fn the_loss_falls_and_every_mode_is_found() {
    let (generator, losses) = train(&mixture(16), STEPS, 1).unwrap();
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    let (first, last) = (mean(&losses[..20]), mean(&losses[STEPS - 20..]));
    assert!(last < 0.25 * first, "{first} {last}");

    let samples = generator.sample(400, 7).into_data();
    let samples = samples.to_vec::<f32>().unwrap();
    // A mode is found if it holds a tenth of its share of the samples.
    for center in CENTERS {
        let near = samples.chunks_exact(2).filter(|point| {
            let distance = (point[0] - center[0]).hypot(point[1] - center[1]);
            distance < 4.0 * SPREAD
        });
        let near = near.count();
        assert!(near >= 10, "{near} of 400 samples near {center:?}");
    }
}
