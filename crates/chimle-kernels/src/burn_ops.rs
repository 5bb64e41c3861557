//! The defaults of [`Kernels`] in Burn's own operations, for backends without kernels of their own.

use burn::tensor::ops::{ConvOptions, FloatTensor};
use burn::tensor::{
    DType, FloatDType, Slice, Tensor, TensorMetadata, TensorPrimitive, get_device_settings,
};

use crate::activation::Activation;
use crate::adam::{AdamFactors, AdamStep, Moments};
use crate::dense_block::{
    CONVOLUTIONS, DenseBlockGradients, DenseBlockParameters, DenseBlocksParameters,
};
use crate::kernels::Kernels;
use crate::modulation::ModulationGradients;
use crate::weight_norm::WeightNormGradients;

/// The dimension of the channels of a map whose channels are last.
const CHANNELS_LAST: usize = 3;

pub(crate) fn conv3x3<B: Kernels>(
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    activation: Activation,
) -> FloatTensor<B> {
    let sums = B::conv2d(input, weight, Some(bias), options());
    match activation {
        Activation::Linear => sums,
        Activation::LeakyRelu { slope } => B::leaky_relu(sums, slope.into()),
    }
}

pub(crate) fn input_gradient<B: Kernels>(
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    B::conv2d_x_backward(input, weight, gradient, options())
}

pub(crate) fn weight_gradient<B: Kernels>(
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    B::conv2d_weight_backward(input, weight, gradient, options())
}

pub(crate) fn bias_gradient<B: Kernels>(
    input: FloatTensor<B>,
    bias: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    B::conv2d_bias_backward(input, bias, gradient)
}

pub(crate) fn activation_gradient<B: Kernels>(
    output: FloatTensor<B>,
    gradient: FloatTensor<B>,
    activation: Activation,
) -> FloatTensor<B> {
    match activation {
        Activation::Linear => gradient,
        Activation::LeakyRelu { slope } => {
            let bools = get_device_settings::<B>(&B::float_device(&output)).bool_dtype;
            let is_low = B::float_lower_equal_elem(output, 0f32.into(), bools);
            let low = B::float_mul_scalar(gradient.clone(), slope.into());
            B::float_mask_where(gradient, is_low, low)
        }
    }
}

/// Keeps the maps with their channels last. CubeCL's convolutions read and write this layout, so
/// neither the maps nor the results of the convolutions are copied to another one.
pub(crate) fn dense_block_maps<B: Kernels>(
    input: FloatTensor<B>,
    parameters: DenseBlockParameters<B>,
    slope: f64,
    scale: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let input = channels_last::<B>(input);
    let mut maps = input.clone();
    let mut convolutions = parameters.weights.into_iter().zip(parameters.biases);
    let (last_weight, last_bias) = convolutions.next_back().expect("five convolutions");
    for (weight, bias) in convolutions {
        let maps_first = channels_first::<B>(maps.clone());
        let sums = B::conv3x3(maps_first, weight, bias, Activation::Linear);
        let next = B::leaky_relu(channels_last::<B>(sums), slope.into());
        maps = B::float_cat(vec![maps, next], CHANNELS_LAST);
    }
    let maps = channels_first::<B>(maps);
    let last = B::conv3x3(maps.clone(), last_weight, last_bias, Activation::Linear);
    let last = B::float_mul_scalar(channels_last::<B>(last), scale.into());
    let output = B::float_add(input, last);
    (channels_first::<B>(output), maps)
}

pub(crate) fn dense_block_gradients<B: Kernels>(
    maps: FloatTensor<B>,
    parameters: DenseBlockParameters<B>,
    gradient: FloatTensor<B>,
    slope: f64,
    scale: f64,
    of_parameters: bool,
) -> DenseBlockGradients<B> {
    let [channels, growth] = parameters.channels();
    let maps = channels_last::<B>(maps);
    let gradient = channels_last::<B>(gradient);
    let mut of_weights = parameters.weights.clone();
    let mut of_biases = parameters.biases.clone();
    // `sums` is the gradient of the current convolution's sums. `below` is the gradient of all
    // planes below it.
    let mut sums = B::float_mul_scalar(gradient.clone(), scale.into());
    let mut below: Option<FloatTensor<B>> = None;
    for k in (0..CONVOLUTIONS).rev() {
        let inputs = channels_first::<B>(planes::<B>(maps.clone(), 0, channels + k * growth));
        let sums_first = channels_first::<B>(sums);
        let weight = parameters.weights[k].clone();
        if of_parameters {
            let bias = parameters.biases[k].clone();
            of_weights[k] =
                B::conv3x3_weight_gradient(inputs.clone(), weight.clone(), sums_first.clone());
            of_biases[k] = B::conv3x3_bias_gradient(inputs.clone(), bias, sums_first.clone());
        }
        let of_inputs = channels_last::<B>(B::conv3x3_input_gradient(inputs, weight, sums_first));
        let total = match below {
            Some(below) => B::float_add(below, of_inputs),
            None => of_inputs,
        };
        let Some(next) = k.checked_sub(1).map(|next| channels + next * growth) else {
            let input = channels_first::<B>(B::float_add(gradient, total));
            return DenseBlockGradients {
                input,
                parameters: of_parameters.then_some(DenseBlockParameters {
                    weights: of_weights,
                    biases: of_biases,
                }),
            };
        };
        sums = B::activation_gradient(
            planes::<B>(maps.clone(), next, growth),
            planes::<B>(total.clone(), next, growth),
            Activation::LeakyRelu { slope },
        );
        below = Some(planes::<B>(total, 0, next));
    }
    unreachable!("a dense block has a first convolution")
}

pub(crate) fn dense_blocks_recomputed<B: Kernels>(
    input: FloatTensor<B>,
    blocks: DenseBlocksParameters<B>,
    slope: f64,
    scale: f64,
) -> FloatTensor<B> {
    blocks
        .into_iter()
        .fold(input, |x, block| B::dense_block(x, block, slope, scale))
}

pub(crate) fn modulate<B: Kernels>(
    input: FloatTensor<B>,
    gain: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f64,
) -> FloatTensor<B> {
    let input = tensor::<B, 4>(input);
    let (shape, dtype) = (input.dims(), input.dtype());
    let (centered, deviation) = standardized(input, epsilon);
    let gain = by_plane::<B>(gain) / deviation;
    primitive(
        (centered * gain + by_plane::<B>(bias))
            .reshape(shape)
            .cast(dtype),
    )
}

/// Computes the gradients of the input, the gains and the biases. With the normalized map x̂ they
/// are `gain / deviation (dy - mean(dy) - x̂ mean(dy x̂))`, `sum(dy x̂)` and `sum(dy)`.
pub(crate) fn modulate_gradients<B: Kernels>(
    input: FloatTensor<B>,
    gain: FloatTensor<B>,
    gradient: FloatTensor<B>,
    epsilon: f64,
) -> ModulationGradients<B> {
    let input = tensor::<B, 4>(input);
    let (shape @ [batch, channels, height, width], dtype) = (input.dims(), input.dtype());
    let of_gain = gain.dtype();
    let (centered, deviation) = standardized(input, epsilon);
    let normalized = centered / deviation.clone();
    let gradient = wide(tensor::<B, 4>(gradient));
    let gradient = gradient.reshape([batch, channels, height * width]);
    let mean = gradient.clone().mean_dim(2);
    let slope = (gradient.clone() * normalized.clone()).mean_dim(2);
    let of_input =
        (gradient - mean.clone() - normalized * slope.clone()) * (by_plane::<B>(gain) / deviation);
    let pixels = (height * width) as f64;
    let sum = |mean: Tensor<B, 3>| {
        let sum = (mean * pixels).reshape([batch, channels]);
        primitive(sum.cast(of_gain))
    };
    ModulationGradients {
        input: primitive(of_input.reshape(shape).cast(dtype)),
        gain: sum(slope),
        bias: sum(mean),
    }
}

pub(crate) fn normalize_channels<B: Kernels>(
    input: FloatTensor<B>,
    epsilon: f64,
) -> FloatTensor<B> {
    let input = tensor::<B, 4>(input);
    let dtype = input.dtype();
    let input = wide(input);
    let norm = (input.clone().square().sum_dim(1) + epsilon).sqrt() + epsilon;
    primitive((input / norm).cast(dtype))
}

/// Computes the input's gradient. With the root r and the norm n = r + epsilon it is `dy / n - x
/// sum(dy x) / (n^2 r)`.
pub(crate) fn normalize_channels_gradient<B: Kernels>(
    input: FloatTensor<B>,
    gradient: FloatTensor<B>,
    epsilon: f64,
) -> FloatTensor<B> {
    let (input, gradient) = (tensor::<B, 4>(input), tensor::<B, 4>(gradient));
    let dtype = input.dtype();
    let (input, gradient) = (wide(input), wide(gradient));
    let root = (input.clone().square().sum_dim(1) + epsilon).sqrt();
    let norm = root.clone() + epsilon;
    let product = (gradient.clone() * input.clone()).sum_dim(1);
    let along = product / (norm.clone().square() * root);
    primitive((gradient / norm - input * along).cast(dtype))
}

pub(crate) fn squared_differences<B: Kernels>(
    images: FloatTensor<B>,
    targets: FloatTensor<B>,
) -> FloatTensor<B> {
    let (images, targets) = (tensor::<B, 4>(images), tensor::<B, 4>(targets));
    let difference = differences(images, targets);
    let [groups, count, channels, _] = difference.dims();
    let means = difference.square().mean_dim(3);
    primitive(means.reshape([groups, count, channels]))
}

pub(crate) fn squared_differences_gradient<B: Kernels>(
    images: FloatTensor<B>,
    targets: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let (images, targets) = (tensor::<B, 4>(images), tensor::<B, 4>(targets));
    let shape @ [_, _, height, width] = images.dims();
    let gradient = tensor::<B, 3>(gradient) * (2.0 / (height * width) as f64);
    let gradient = differences(images, targets) * gradient.unsqueeze_dim::<4>(3);
    primitive(gradient.reshape(shape))
}

/// Subtracts the target of each group, `[g, c, h, w]`, from the images of the group, `[g k, c, h,
/// w]`. Returns `[g, k, c, h w]`.
fn differences<B: Kernels>(images: Tensor<B, 4>, targets: Tensor<B, 4>) -> Tensor<B, 4> {
    let [groups, channels, height, width] = targets.dims();
    let count = images.dims()[0] / groups;
    let images = images.reshape([groups, count, channels, height * width]);
    images - targets.reshape([groups, 1, channels, height * width])
}

/// Returns the map minus its means, `[batch, c, h * w]`, and its deviations, `[batch, c, 1]`.
fn standardized<B: Kernels>(input: Tensor<B, 4>, epsilon: f64) -> (Tensor<B, 3>, Tensor<B, 3>) {
    let [batch, channels, height, width] = input.dims();
    let input = wide(input).reshape([batch, channels, height * width]);
    let centered = input.clone() - input.mean_dim(2);
    let variance = (centered.clone() * centered.clone()).mean_dim(2);
    (centered, (variance + epsilon).sqrt())
}

pub(crate) fn weight_norm<B: Kernels>(
    direction: FloatTensor<B>,
    length: FloatTensor<B>,
) -> FloatTensor<B> {
    let (direction, length) = (tensor::<B, 4>(direction), tensor::<B, 4>(length));
    let dtype = direction.dtype();
    let (direction, length) = (wide(direction), wide(length));
    let norm = row_products(direction.clone(), direction.clone()).sqrt();
    primitive((direction * (length / norm)).cast(dtype))
}

/// Computes the gradients. With the gradient w of the weight, the norm n and the product p of w and
/// `v / n`, the gradient of the length is p, and that of the direction is `g / n (w - p v / n)`.
pub(crate) fn weight_norm_gradients<B: Kernels>(
    direction: FloatTensor<B>,
    length: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> WeightNormGradients<B> {
    let (direction, length) = (tensor::<B, 4>(direction), tensor::<B, 4>(length));
    let dtype = direction.dtype();
    let (direction, length) = (wide(direction), wide(length));
    let gradient = wide(tensor::<B, 4>(gradient));
    let norm = row_products(direction.clone(), direction.clone()).sqrt();
    let of_length = row_products(gradient.clone(), direction.clone()) / norm.clone();
    let along = direction * (of_length.clone() / norm.clone());
    WeightNormGradients {
        direction: primitive(((gradient - along) * (length / norm)).cast(dtype)),
        length: primitive(of_length.cast(dtype)),
    }
}

/// Sums the products of the values of each row: `[out, in, kh, kw]` twice to `[out, 1, 1, 1]`.
fn row_products<B: Kernels>(a: Tensor<B, 4>, b: Tensor<B, 4>) -> Tensor<B, 4> {
    let [rows, inputs, height, width] = a.dims();
    let products = (a * b).reshape([rows, inputs * height * width]);
    products.sum_dim(1).reshape([rows, 1, 1, 1])
}

/// Takes the step in the operations of Burn's Adam.
pub(crate) fn adam_step<B: Kernels>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    moments: Option<Moments<FloatTensor<B>>>,
    factors: &AdamFactors,
) -> AdamStep<B> {
    let times = |tensor, factor: f32| B::float_mul_scalar(tensor, factor.into());
    let [beta_1, beta_2] = factors.betas;
    let square = B::float_powi_scalar(gradient.clone(), 2.into());
    let new = [times(gradient, 1.0 - beta_1), times(square, 1.0 - beta_2)];
    let moments = match moments {
        None => new,
        Some([first, second]) => {
            let [new_first, new_second] = new;
            [
                B::float_add(times(first, beta_1), new_first),
                B::float_add(times(second, beta_2), new_second),
            ]
        }
    };
    let [first, second] = moments.clone();
    let root = B::float_add_scalar(B::float_sqrt(second), factors.epsilon.into());
    let change = B::float_div(times(first, factors.correction), root);
    let change = B::float_mul_scalar(change, factors.rate.into());
    AdamStep {
        parameter: B::float_sub(parameter, change),
        moments,
    }
}

/// Reshapes `[batch, c]` to `[batch, c, 1]`.
fn by_plane<B: Kernels>(values: FloatTensor<B>) -> Tensor<B, 3> {
    wide(tensor::<B, 2>(values)).unsqueeze_dim(2)
}

/// Casts a tensor to 32 bits, unless it has 64.
fn wide<B: Kernels, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, D> {
    match tensor.dtype() {
        DType::F64 => tensor,
        _ => tensor.cast(FloatDType::F32),
    }
}

fn tensor<B: Kernels, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

fn primitive<B: Kernels, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

/// Returns some of the channels of maps whose channels are last.
fn planes<B: Kernels>(maps: FloatTensor<B>, first: usize, count: usize) -> FloatTensor<B> {
    let all = Slice::full();
    let some = Slice::new(first as isize, Some((first + count) as isize), 1);
    B::float_slice(maps, &[all, all, all, some])
}

/// Reorders `[n, c, h, w]` to `[n, h, w, c]`.
fn channels_last<B: Kernels>(map: FloatTensor<B>) -> FloatTensor<B> {
    B::float_permute(map, &[0, 2, 3, 1])
}

/// Reorders `[n, h, w, c]` to `[n, c, h, w]`.
fn channels_first<B: Kernels>(map: FloatTensor<B>) -> FloatTensor<B> {
    B::float_permute(map, &[0, 3, 1, 2])
}

fn options() -> ConvOptions<2> {
    ConvOptions::new([1, 1], [1, 1], [1, 1], 1)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::{Distribution, Tolerance};
    use burn_flex::Flex;

    use super::*;

    const SLOPE: f64 = 0.2;
    const SCALE: f64 = 0.3;

    fn random<const D: usize>(shape: [usize; D]) -> FloatTensor<Flex> {
        let spread = Distribution::Normal(0.0, 0.3);
        primitive(Tensor::<Flex, D>::random(
            shape,
            spread,
            &Default::default(),
        ))
    }

    fn assert_equal<const D: usize>(found: FloatTensor<Flex>, expected: FloatTensor<Flex>) {
        let [found, expected] = [found, expected].map(tensor::<Flex, D>);
        let tolerance = Tolerance::absolute(1e-4);
        found
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), tolerance);
    }

    #[test]
    fn the_dense_block_of_burns_operations_is_that_of_the_cpu() {
        let (channels, growth) = (3, 2);
        let outputs = |k: usize| if k == 4 { channels } else { growth };
        let parameters = DenseBlockParameters::<Flex> {
            weights: std::array::from_fn(|k| random([outputs(k), channels + k * growth, 3, 3])),
            biases: std::array::from_fn(|k| random([outputs(k)])),
        };
        let [input, gradient] = [0, 1].map(|_| random([2, channels, 4, 5]));

        let found = dense_block_maps::<Flex>(input.clone(), parameters.clone(), SLOPE, SCALE);
        let expected = Flex::dense_block_maps(input, parameters.clone(), SLOPE, SCALE);
        assert_equal::<4>(found.0, expected.0);

        let found = dense_block_gradients::<Flex>(
            found.1,
            parameters.clone(),
            gradient.clone(),
            SLOPE,
            SCALE,
            true,
        );
        let expected =
            Flex::dense_block_gradients(expected.1, parameters, gradient, SLOPE, SCALE, true);
        assert_equal::<4>(found.input, expected.input);
        let [found, expected] =
            [found.parameters, expected.parameters].map(|all| all.expect("they were requested"));
        for (found, expected) in found.weights.into_iter().zip(expected.weights) {
            assert_equal::<4>(found, expected);
        }
        for (found, expected) in found.biases.into_iter().zip(expected.biases) {
            assert_equal::<1>(found, expected);
        }
    }
}
