//! The operations and their gradients, compared with Burn's own operations.

use std::cell::Cell;

use burn::backend::Autodiff;
use burn::tensor::activation::leaky_relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData, Tolerance};
use burn_flex::Flex;
use chimle_kernels::{Activation, conv3x3, conv3x3_activated, dense_block};

type B = Autodiff<Flex>;

const SLOPE: f64 = 0.2;
const SCALE: f64 = 0.3;

thread_local! {
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// Approximately normal values, the same in every run of a test.
fn normal<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
    let uniform = || {
        // SplitMix64.
        let state = DRAWN.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        DRAWN.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 40) as f32 / (1u64 << 24) as f32
    };
    let value = |_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0;
    let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

/// Returns whether rounding may move a sum to the other side of the activation's kink, where the
/// gradient is different.
fn is_near_a_kink(sums: &Tensor<B, 4>) -> bool {
    let nearest = sums.clone().abs().min().into_scalar();
    let largest = sums.clone().abs().max().into_scalar();
    nearest < 1e-5 * largest
}

fn burns(input: Tensor<B, 4>, weight: Tensor<B, 4>, bias: Tensor<B, 1>) -> Tensor<B, 4> {
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    conv2d(input, weight, Some(bias), options)
}

/// Checks that the values agree to 1e-4 of the largest value.
fn assert_same(found: TensorData, expected: TensorData) {
    let largest = expected
        .iter::<f32>()
        .fold(0.0f32, |largest, value| largest.max(value.abs()));
    let tolerance = Tolerance::<f32>::absolute(1e-4 * largest.max(1e-30));
    found.assert_approx_eq(&expected, tolerance);
}

/// Shapes as batch, channels in, channels out, height and width. They include single pixels and
/// rows, odd sides, one channel, and few pixels with many channels.
const SHAPES: [[usize; 5]; 12] = [
    [1, 1, 1, 1, 1],
    [2, 3, 5, 1, 4],
    [1, 5, 2, 2, 2],
    [3, 7, 1, 5, 3],
    [2, 16, 9, 8, 8],
    [1, 33, 17, 13, 6],
    [1, 8, 40, 32, 33],
    [2, 4, 3, 21, 130],
    [3, 130, 140, 1, 1],
    [2, 150, 128, 2, 3],
    [1, 128, 131, 8, 7],
    [4, 256, 70, 4, 4],
];

#[test]
fn the_convolution_and_its_gradients_are_burns_own_for_any_shape() {
    let activations = [
        (Activation::Linear, 1.0),
        (Activation::RELU, 0.0),
        (Activation::LeakyRelu { slope: SLOPE }, SLOPE),
    ];
    for [batch, inputs, outputs, height, width] in SHAPES {
        for (activation, slope) in activations {
            let draw = || {
                let input = normal([batch, inputs, height, width]).require_grad();
                let weight = normal([outputs, inputs, 3, 3]).require_grad();
                (input, weight, normal([outputs]).require_grad())
            };
            let (input, weight, bias) = std::iter::repeat_with(draw)
                .find(|(x, w, b)| !is_near_a_kink(&burns(x.clone(), w.clone(), b.clone())))
                .unwrap();
            let factor = normal([batch, outputs, height, width]);

            let (x, w, b) = (input.clone(), weight.clone(), bias.clone());
            let ours = conv3x3_activated(x, w, b, activation);
            let theirs = burns(input.clone(), weight.clone(), bias.clone());
            let theirs = leaky_relu(theirs, slope);
            assert_same(ours.to_data(), theirs.to_data());

            let ours = (ours * factor.clone()).sum().backward();
            let theirs = (theirs * factor).sum().backward();
            let same = |a: Option<Tensor<Flex, 4>>, b: Option<Tensor<Flex, 4>>| {
                assert_same(a.unwrap().into_data(), b.unwrap().into_data());
            };
            same(input.grad(&ours), input.grad(&theirs));
            same(weight.grad(&ours), weight.grad(&theirs));
            let (a, b) = (bias.grad(&ours).unwrap(), bias.grad(&theirs).unwrap());
            assert_same(a.into_data(), b.into_data());
        }
    }
}

#[test]
fn maps_and_weights_need_not_lie_in_order() {
    let input = normal([6, 2, 9, 7]);
    let weight = normal([4, 3, 3, 5]);
    let bias = normal([8]);
    // Two of the images, four of the channels and five of the outputs are used, all transposed.
    let input = input.swap_dims(0, 1).swap_dims(2, 3);
    let input = input.slice([0..2, 1..5]);
    let weight = weight.swap_dims(0, 3);
    let weight = weight.swap_dims(1, 3).slice([0..5, 0..4]);
    let bias = bias.narrow(0, 2, 5);
    let ours = conv3x3(input.clone(), weight.clone(), bias.clone());
    assert_same(ours.into_data(), burns(input, weight, bias).into_data());
}

#[test]
fn what_needs_no_gradient_gets_none() {
    let device = Default::default();
    let input = Tensor::<B, 4>::ones([1, 2, 4, 4], &device).require_grad();
    let weight = Tensor::<B, 4>::ones([3, 2, 3, 3], &device);
    let bias = Tensor::<B, 1>::zeros([3], &device);
    let gradients = conv3x3(input.clone(), weight.clone(), bias.clone())
        .sum()
        .backward();
    assert!(input.grad(&gradients).is_some());
    assert!(weight.grad(&gradients).is_none());
    assert!(bias.grad(&gradients).is_none());
}

/// The weights and biases of a dense block.
type Parameters = ([Tensor<B, 4>; 5], [Tensor<B, 1>; 5]);

fn parameters(channels: usize, growth: usize) -> Parameters {
    let outputs = [growth, growth, growth, growth, channels];
    let weight = |k: usize| {
        let inputs = channels + k * growth;
        let normal = normal([outputs[k], inputs, 3, 3]) / ((9 * inputs) as f32).sqrt();
        normal.require_grad()
    };
    let weights = std::array::from_fn(weight);
    let biases = std::array::from_fn(|k| (normal([outputs[k]]) * 0.1).require_grad());
    (weights, biases)
}

/// Computes the sums of each convolution of the dense block by the definition.
fn sums_of_convolutions(input: &Tensor<B, 4>, (weights, biases): &Parameters) -> Vec<Tensor<B, 4>> {
    let mut maps = vec![input.clone()];
    let mut sums = vec![];
    for (weight, bias) in weights.iter().zip(biases) {
        let all = Tensor::cat(maps.clone(), 1);
        sums.push(burns(all, weight.clone(), bias.clone()));
        maps.push(leaky_relu(sums[sums.len() - 1].clone(), SLOPE));
    }
    sums
}

/// Draws an input and the parameters of a dense block, such that no sum lies near a kink.
fn drawn([batch, channels, growth, height, width]: [usize; 5]) -> (Tensor<B, 4>, Parameters) {
    std::iter::repeat_with(|| {
        let input = normal([batch, channels, height, width]).require_grad();
        (input, parameters(channels, growth))
    })
    .find(|(input, parameters)| {
        let sums = sums_of_convolutions(input, parameters);
        !sums[..4].iter().any(is_near_a_kink)
    })
    .unwrap()
}

#[test]
fn the_dense_block_and_its_gradients_are_those_of_its_convolutions() {
    // Batch, residual channels, growth channels, height and width.
    let shapes = [
        [1, 1, 1, 1, 1],
        [2, 3, 5, 4, 2],
        [3, 8, 4, 7, 9],
        [1, 16, 8, 20, 16],
        [2, 5, 3, 3, 40],
    ];
    for shape in shapes {
        let (input, (weights, biases)) = drawn(shape);
        let factor = normal(input.dims());
        let ours = dense_block(input.clone(), weights.clone(), biases.clone(), SLOPE, SCALE);
        let sums = sums_of_convolutions(&input, &(weights.clone(), biases.clone()));
        let theirs = input.clone() + sums[4].clone() * SCALE;
        assert_same(ours.to_data(), theirs.to_data());

        let ours = (ours * factor.clone()).sum().backward();
        let theirs = (theirs * factor).sum().backward();
        let (a, b) = (input.grad(&ours).unwrap(), input.grad(&theirs).unwrap());
        assert_same(a.into_data(), b.into_data());
        for weight in &weights {
            let (a, b) = (weight.grad(&ours).unwrap(), weight.grad(&theirs).unwrap());
            assert_same(a.into_data(), b.into_data());
        }
        for bias in &biases {
            let (a, b) = (bias.grad(&ours).unwrap(), bias.grad(&theirs).unwrap());
            assert_same(a.into_data(), b.into_data());
        }
    }
}

#[test]
fn a_dense_block_without_gradients_has_the_same_output() {
    let input = normal([2, 6, 10, 12]);
    let (weights, biases) = parameters(6, 4);
    let tracked = dense_block(input.clone(), weights.clone(), biases.clone(), SLOPE, SCALE);
    let weights = weights.map(|weight| weight.inner());
    let biases = biases.map(|bias| bias.inner());
    let plain = dense_block(input.inner(), weights, biases, SLOPE, SCALE);
    plain
        .into_data()
        .assert_eq(&tracked.inner().into_data(), true);
}

#[test]
fn a_dense_block_of_frozen_weights_gives_the_gradient_of_its_input() {
    let input = normal([1, 4, 6, 5]).require_grad();
    let (weights, biases) = parameters(4, 3);
    let frozen = (
        weights.clone().map(|w| Tensor::from_inner(w.inner())),
        biases.clone().map(|b| Tensor::from_inner(b.inner())),
    );
    let gradients = dense_block(input.clone(), frozen.0.clone(), frozen.1, SLOPE, SCALE);
    let gradients = gradients.sum().backward();
    let expected = dense_block(input.clone(), weights, biases, SLOPE, SCALE);
    let expected = expected.sum().backward();
    let (a, b) = (
        input.grad(&gradients).unwrap(),
        input.grad(&expected).unwrap(),
    );
    a.into_data().assert_eq(&b.into_data(), true);
    assert!(frozen.0[0].grad(&gradients).is_none());
}

/// A dense block in 64 bits, by its definition.
struct Plain {
    frame: [usize; 4],
    growth: usize,
    input: Vec<f64>,
    weights: Vec<Vec<f64>>,
    biases: Vec<Vec<f64>>,
    factor: Vec<f64>,
}

impl Plain {
    /// Returns the sum of all outputs, each multiplied by its factor.
    fn loss(&self) -> f64 {
        let [batch, channels, height, width] = self.frame;
        let pixels = height * width;
        let mut loss = 0.0;
        for image in 0..batch {
            let own = image * channels * pixels..(image + 1) * channels * pixels;
            let mut maps = self.input[own.clone()].to_vec();
            for (k, (weight, bias)) in self.weights.iter().zip(&self.biases).enumerate() {
                let mut sums = vec![];
                let taps = weight.chunks_exact(9 * (maps.len() / pixels));
                for (taps, bias) in taps.zip(bias) {
                    for at in 0..pixels {
                        let (y, x) = ((at / width) as isize, (at % width) as isize);
                        let inputs = maps.chunks_exact(pixels).zip(taps.chunks_exact(9));
                        let sum = inputs.map(|(map, taps)| {
                            let (h, w) = (height as isize, width as isize);
                            let value = |tap: usize| {
                                let (y, x) = (y + tap as isize / 3 - 1, x + tap as isize % 3 - 1);
                                let is_inside = (0..h).contains(&y) && (0..w).contains(&x);
                                if is_inside {
                                    map[(y * w + x) as usize]
                                } else {
                                    0.0
                                }
                            };
                            (0..9).map(|tap| taps[tap] * value(tap)).sum::<f64>()
                        });
                        sums.push(bias + sum.sum::<f64>());
                    }
                }
                if k < 4 {
                    assert_eq!(sums.len(), self.growth * pixels);
                    maps.extend(sums.iter().map(|&sum| sum.max(SLOPE * sum)));
                } else {
                    let outputs = sums.iter().zip(&self.input[own.clone()]);
                    let outputs = outputs.map(|(sum, input)| input + SCALE * sum);
                    let factors = &self.factor[own.clone()];
                    loss += outputs.zip(factors).map(|(y, f)| y * f).sum::<f64>();
                }
            }
        }
        loss
    }

    /// Computes the derivative of the loss by each of the picked values, as central differences.
    fn differences(&mut self, mut pick: impl FnMut(&mut Self) -> &mut Vec<f64>) -> Vec<f64> {
        const H: f64 = 1e-6;
        let count = pick(self).len();
        let mut at = |index: usize, by: f64, plain: &mut Self| {
            pick(plain)[index] += by;
            let loss = plain.loss();
            pick(plain)[index] -= by;
            loss
        };
        (0..count)
            .map(|index| (at(index, H, self) - at(index, -H, self)) / (2.0 * H))
            .collect()
    }
}

#[test]
fn the_dense_blocks_gradients_are_the_differences_of_its_definition_in_64_bit() {
    let shape = [2, 3, 2, 5, 3];
    let (input, (weights, biases)) = drawn(shape);
    let factor = normal(input.dims());
    let output = dense_block(input.clone(), weights.clone(), biases.clone(), SLOPE, SCALE);
    let gradients = (output * factor.clone()).sum().backward();

    let doubles = |data: TensorData| -> Vec<f64> { data.iter::<f64>().collect() };
    let mut plain = Plain {
        frame: input.dims(),
        growth: shape[2],
        input: doubles(input.to_data()),
        weights: weights.each_ref().map(|w| doubles(w.to_data())).to_vec(),
        biases: biases.each_ref().map(|b| doubles(b.to_data())).to_vec(),
        factor: doubles(factor.to_data()),
    };
    let assert_differences = |found: TensorData, differences: Vec<f64>| {
        let shape = found.shape.clone();
        let differences = differences.into_iter().map(|value| value as f32).collect();
        assert_same(found, TensorData::new::<f32, _>(differences, shape));
    };
    let of_input = input.grad(&gradients).unwrap().into_data();
    assert_differences(of_input, plain.differences(|plain| &mut plain.input));
    for k in 0..5 {
        let of_weight = weights[k].grad(&gradients).unwrap().into_data();
        assert_differences(of_weight, plain.differences(|plain| &mut plain.weights[k]));
        let of_bias = biases[k].grad(&gradients).unwrap().into_data();
        assert_differences(of_bias, plain.differences(|plain| &mut plain.biases[k]));
    }
}
