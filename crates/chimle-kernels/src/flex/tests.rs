//! The kernels compared with the definition in 64 bits, with every instruction set that the
//! processor has.

use crate::flex::convolution::{Finish, Onto, Weight, convolve};
use crate::flex::maps::{Frame, Maps, Target};
use crate::flex::processor::Processor;
use crate::flex::weight_gradient::{Lanes, WeightGradient, weight_gradients_by};

/// Shapes as images, channels in, channels out, height and width. They include single pixels and
/// rows, sides that are not a multiple of a tile, channels that are not a multiple of a vector,
/// rows longer than a block, several blocks, and few pixels with many channels.
const SHAPES: [[usize; 5]; 13] = [
    [1, 1, 1, 1, 1],
    [2, 3, 5, 1, 4],
    [1, 5, 2, 2, 2],
    [5, 2, 7, 3, 3],
    [3, 7, 1, 5, 3],
    [2, 16, 9, 8, 8],
    [1, 33, 17, 13, 6],
    [3, 8, 8, 16, 16],
    [1, 4, 8, 20, 70],
    [2, 3, 41, 33, 100],
    [1, 2, 3, 5, 300],
    [4, 5, 6, 40, 48],
    [2, 300, 27, 7, 9],
];

/// Approximately normal values, the same in every run.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..count)
        .map(|_| 2.0 * (0..3).map(|_| uniform()).sum::<f32>())
        .collect()
}

/// Calls the closure for each pair of an output pixel and an input pixel under the kernel, with the
/// tap and the positions of both pixels in their planes.
fn each_tap(height: usize, width: usize, mut call: impl FnMut(usize, usize, usize)) {
    for (tap, (dy, dx)) in (0..3)
        .flat_map(|dy| (0..3).map(move |dx| (dy, dx)))
        .enumerate()
    {
        for y in 0..height {
            for x in 0..width {
                let (from_y, from_x) = (y + dy, x + dx);
                if (1..=height).contains(&from_y) && (1..=width).contains(&from_x) {
                    call(tap, y * width + x, (from_y - 1) * width + from_x - 1);
                }
            }
        }
    }
}

fn convolved(
    input: &[f32],
    weight: &[f32],
    [images, inputs, outputs, height, width]: [usize; 5],
) -> Vec<f64> {
    let pixels = height * width;
    let mut output = vec![0.0; images * outputs * pixels];
    for (index, plane) in output.chunks_exact_mut(pixels).enumerate() {
        let (image, o) = (index / outputs, index % outputs);
        for i in 0..inputs {
            let from = &input[(image * inputs + i) * pixels..][..pixels];
            let weight = &weight[(o * inputs + i) * 9..][..9];
            each_tap(height, width, |tap, to, at| {
                plane[to] += f64::from(weight[tap]) * f64::from(from[at]);
            });
        }
    }
    output
}

/// Returns the largest difference divided by the largest value.
fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|value| value.is_finite()));
    let largest = expected
        .iter()
        .fold(0.0f64, |largest, value| largest.max(value.abs()));
    let pairs = found.iter().zip(expected);
    pairs.fold(0.0f64, |error, (&a, b)| error.max((f64::from(a) - b).abs())) / largest
}

#[test]
fn the_convolution_is_its_definition() {
    for (processor, shape) in Processor::available()
        .into_iter()
        .flat_map(|p| SHAPES.map(|s| (p, s)))
    {
        let [images, inputs, outputs, height, width] = shape;
        let input = values(images * inputs * height * width, 1);
        let weight = values(outputs * inputs * 9, 2);
        let bias = values(outputs, 3);
        let input_maps = Maps {
            values: &input,
            frame: Frame::by_image([images, inputs, height, width]),
        };
        let frame = Frame::by_image([images, outputs, height, width]);
        let mut output = vec![f32::NAN; frame.values()];
        let finish = Finish {
            bias: Some(&bias),
            slope: Some(0.25),
            ..Finish::NONE
        };
        let mut target = Target::new(&mut output, frame);
        let weights = Weight::new(&weight, [outputs, inputs]);
        convolve(processor, &input_maps, &weights, &finish, &mut target);

        let mut expected = convolved(&input, &weight, shape);
        for (index, value) in expected.iter_mut().enumerate() {
            *value += f64::from(bias[index / (height * width) % outputs]);
            *value = value.max(0.25 * *value);
        }
        let error = error(&output, &expected);
        assert!(error < 5e-6, "{error:e} for {shape:?} with {processor:?}");
    }
}

#[test]
fn turned_weights_give_the_gradient_of_the_input() {
    for (processor, shape) in Processor::available()
        .into_iter()
        .flat_map(|p| SHAPES.map(|s| (p, s)))
    {
        let [images, inputs, outputs, height, width] = shape;
        let pixels = height * width;
        let gradient = values(images * outputs * pixels, 1);
        let weight = values(outputs * inputs * 9, 2);
        let before = values(images * inputs * pixels, 3);
        let activated = values(images * inputs * pixels, 4);
        let frame = Frame::by_image([images, inputs, height, width]);
        let maps = Maps {
            values: &gradient,
            frame: Frame::by_image([images, outputs, height, width]),
        };
        let first = inputs / 2;
        let finish = Finish {
            onto: Onto::Target,
            mask: Some((
                Maps {
                    values: &activated,
                    frame,
                },
                first,
                0.25,
            )),
            ..Finish::NONE
        };
        let mut found = before.clone();
        let mut target = Target::new(&mut found, frame);
        let weights = Weight::new(&weight, [outputs, inputs]).turned().scaled(3.0);
        convolve(processor, &maps, &weights, &finish, &mut target);

        let mut expected: Vec<f64> = before.iter().map(|&value| value.into()).collect();
        for (index, plane) in expected.chunks_exact_mut(pixels).enumerate() {
            let (image, i) = (index / inputs, index % inputs);
            for o in 0..outputs {
                let from = &gradient[(image * outputs + o) * pixels..][..pixels];
                let weight = &weight[(o * inputs + i) * 9..][..9];
                each_tap(height, width, |tap, to, at| {
                    plane[at] += 3.0 * f64::from(weight[tap]) * f64::from(from[to]);
                });
            }
            if i >= first {
                let activated = &activated[index * pixels..][..pixels];
                for (value, &activated) in plane.iter_mut().zip(activated) {
                    *value *= if activated > 0.0 { 1.0 } else { 0.25 };
                }
            }
        }
        let error = error(&found, &expected);
        assert!(error < 5e-6, "{error:e} for {shape:?} with {processor:?}");
    }
}

#[test]
fn the_weights_gradients_are_their_definition() {
    let ways = Processor::available()
        .into_iter()
        .flat_map(|p| [Lanes::Tiles, Lanes::Inputs].map(|by| (p, by)));
    for ((processor, by), shape) in ways.flat_map(|way| SHAPES.map(|s| (way, s))) {
        let [images, inputs, outputs, height, width] = shape;
        let pixels = height * width;
        let input = values(images * inputs * pixels, 1);
        let gradient = values(images * outputs * pixels, 2);
        let maps = Maps {
            values: &input,
            frame: Frame::by_image([images, inputs, height, width]),
        };
        let outputs_maps = Maps {
            values: &gradient,
            frame: Frame::by_image([images, outputs, height, width]),
        };
        // The gradients for all input planes, and for the first half of them.
        let some = inputs.div_ceil(2);
        let mut all = vec![0.0; outputs * inputs * 9];
        let mut first = vec![0.0; outputs * some * 9];
        let of = |inputs, scale, result| WeightGradient {
            inputs,
            outputs: outputs_maps,
            scale,
            result,
        };
        let mut both = [of(inputs, 1.0, &mut all), of(some, 3.0, &mut first)];
        weight_gradients_by(processor, by, &maps, &mut both);

        for (inputs_used, scale, found) in [(inputs, 1.0, &all), (some, 3.0, &first)] {
            let mut expected = vec![0.0f64; found.len()];
            for image in 0..images {
                for (index, taps) in expected.chunks_exact_mut(9).enumerate() {
                    let (o, i) = (index / inputs_used, index % inputs_used);
                    let gradient = &gradient[(image * outputs + o) * pixels..][..pixels];
                    let input = &input[(image * inputs + i) * pixels..][..pixels];
                    each_tap(height, width, |tap, to, at| {
                        taps[tap] += scale * f64::from(gradient[to]) * f64::from(input[at]);
                    });
                }
            }
            let error = error(found, &expected);
            assert!(
                error < 5e-6,
                "{error:e} for {shape:?} with {processor:?}, {by:?}"
            );
        }
    }
}

/// The bound is a tenth of the error that the generator tolerates. The number of channels is that
/// of its largest convolution.
#[test]
fn errors_stay_small_with_many_channels_and_with_an_offset() {
    let shape = [1, 320, 4, 24, 24];
    let [images, inputs, outputs, height, width] = shape;
    for offset in [0.0, 30.0] {
        let mut input = values(images * inputs * height * width, 1);
        input.iter_mut().for_each(|value| *value += offset);
        let weight = values(outputs * inputs * 9, 2);
        let maps = Maps {
            values: &input,
            frame: Frame::by_image([images, inputs, height, width]),
        };
        let frame = Frame::by_image([images, outputs, height, width]);
        let mut output = vec![0.0; frame.values()];
        let mut target = Target::new(&mut output, frame);
        let weights = Weight::new(&weight, [outputs, inputs]);
        convolve(
            Processor::best(),
            &maps,
            &weights,
            &Finish::NONE,
            &mut target,
        );
        let error = error(&output, &convolved(&input, &weight, shape));
        assert!(error < 1e-5, "{error:e} with an offset of {offset}");
    }
}
