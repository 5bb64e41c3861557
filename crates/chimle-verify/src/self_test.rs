//! A quick test of whether a device works and computes correct numbers.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use chimle_core::nn::{TrainingBackend, conv3x3};

use crate::error::Error;

/// Batch, input channels, output channels, height and width of the tested convolution.
const SHAPE: [usize; 5] = [2, 3, 4, 7, 6];

/// The largest error that passes, relative to the largest expected value.
const TOLERANCE: f32 = 1e-4;

/// Tests a device with a 3x3 convolution and the gradient of its weight.
///
/// The inputs are small whole numbers, and plain loops compute the expected values. The test takes a
/// few seconds on a GPU whose kernels are not compiled yet, and milliseconds on a CPU.
///
/// # Errors
///
/// [`Error::Device`] if the device fails or computes wrong numbers.
pub fn self_test<B: TrainingBackend>(device: &B::Device) -> Result<(), Error> {
    let [batch, inputs, outputs, height, width] = SHAPE;
    let whole = |count: usize, modulus: usize| -> Vec<f32> {
        (0..count)
            .map(|k| ((7 * k + 3) % modulus) as f32 - (modulus / 2) as f32)
            .collect()
    };
    let input = whole(batch * inputs * height * width, 11);
    let weight = whole(outputs * inputs * 9, 5);
    let tensor = |values: &[f32], shape: [usize; 4]| {
        Tensor::<B, 4>::from_data(TensorData::new(values.to_vec(), shape), device)
    };
    let weights = tensor(&weight, [outputs, inputs, 3, 3]).require_grad();
    let bias = Tensor::<B, 1>::ones([outputs], device);
    let images = tensor(&input, [batch, inputs, height, width]);
    let found = conv3x3(images, weights.clone(), bias);
    let gradients = found.clone().sum().backward();
    let gradient = weights.grad(&gradients).ok_or_else(|| Error::Device {
        reason: "it returned no gradient".to_owned(),
    })?;
    compare(found.inner(), &expected_output(&input, &weight))?;
    compare(gradient, &expected_gradient(&input))
}

/// Compares a tensor with the expected values.
fn compare<B: Backend>(found: Tensor<B, 4>, expected: &[f32]) -> Result<(), Error> {
    let data = found.try_into_data().map_err(Error::device)?;
    let largest = expected
        .iter()
        .fold(0.0f32, |most, value| most.max(value.abs()));
    let mut pairs = data.iter::<f32>().zip(expected);
    let is_same = data.num_elements() == expected.len()
        && pairs.all(|(found, expected)| (found - expected).abs() <= TOLERANCE * largest);
    if is_same {
        Ok(())
    } else {
        Err(Error::Device {
            reason: "it computes wrong numbers".to_owned(),
        })
    }
}

/// Returns the pairs (output pixel, input pixel) that one tap of the kernel connects.
fn taps(tap: usize) -> impl Iterator<Item = (usize, usize)> {
    let [.., height, width] = SHAPE;
    let (dy, dx) = (tap / 3, tap % 3);
    let pixels = (0..height).flat_map(move |y| (0..width).map(move |x| (y, x)));
    pixels.filter_map(move |(y, x)| {
        let from = ((y + dy).checked_sub(1)?, (x + dx).checked_sub(1)?);
        (from.0 < height && from.1 < width).then_some((y * width + x, from.0 * width + from.1))
    })
}

/// Returns the convolution of `input` with `weight`, plus a bias of 1.
fn expected_output(input: &[f32], weight: &[f32]) -> Vec<f32> {
    let [batch, inputs, outputs, height, width] = SHAPE;
    let pixels = height * width;
    let mut sums = vec![1.0; batch * outputs * pixels];
    for (plane, sums) in sums.chunks_exact_mut(pixels).enumerate() {
        let (image, output) = (plane / outputs, plane % outputs);
        for i in 0..inputs {
            let from = &input[(image * inputs + i) * pixels..][..pixels];
            for tap in 0..9 {
                let weight = weight[(output * inputs + i) * 9 + tap];
                taps(tap).for_each(|(to, at)| sums[to] += weight * from[at]);
            }
        }
    }
    sums
}

/// Returns the gradient of the sum of all outputs with respect to the weight. For each tap, it is the sum
/// of the input pixels that the tap is applied to.
fn expected_gradient(input: &[f32]) -> Vec<f32> {
    let [batch, inputs, outputs, height, width] = SHAPE;
    let pixels = height * width;
    let sum = |i: usize, tap: usize| -> f32 {
        (0..batch)
            .map(|image| {
                let from = &input[(image * inputs + i) * pixels..][..pixels];
                taps(tap).map(|(_, at)| from[at]).sum::<f32>()
            })
            .sum()
    };
    (0..outputs * inputs * 9)
        .map(|index| sum(index / 9 % inputs, index % 9))
        .collect()
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn_flex::Flex;

    #[test]
    fn the_cpu_passes() {
        super::self_test::<Autodiff<Flex>>(&Default::default()).unwrap();
    }
}
