//! The implementation of [`Kernels`] for Flex. Floats of 16 bits are widened to 32 bits. Floats of
//! 64 bits use Burn's own operations.

use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, TensorMetadata};
use burn_flex::{Flex, FlexTensor};

use crate::activation::Activation;
use crate::adam::{AdamFactors, AdamStep, Moments};
use crate::burn_ops;
use crate::dense_block::{DenseBlockGradients, DenseBlockParameters};
use crate::flex::adam;
use crate::flex::comparison::{self, Shape};
use crate::flex::convolution::{Finish, Weight, convolve};
use crate::flex::dense_block;
use crate::flex::few_pixels;
use crate::flex::maps::{Frame, Target};
use crate::flex::modulation;
use crate::flex::pointwise::{masked, plane_sums};
use crate::flex::processor::Processor;
use crate::flex::slices::{cast, maps, single, tensor, values, values_mut};
use crate::flex::weight_gradient::{WeightGradient, weight_gradients};
use crate::flex::weight_norm;
use crate::kernels::Kernels;
use crate::modulation::ModulationGradients;
use crate::weight_norm::WeightNormGradients;

impl Kernels for Flex {
    fn conv3x3(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let like = input.dtype();
        if like == DType::F64 {
            return burn_ops::conv3x3::<Self>(input, weight, bias, activation);
        }
        let [input, weight, bias] = [input, weight, bias].map(single);
        let finish = Finish {
            bias: Some(values(&bias)),
            slope: slope(activation),
            ..Finish::NONE
        };
        let found = if few_pixels::is_better(weight.shape().dims(), input.shape().dims()) {
            few_pixels::convolve(&input, &weight, &finish)
        } else {
            convolved(&input, &weights(&weight), &finish)
        };
        cast(found, like)
    }

    fn conv3x3_input_gradient(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let like = gradient.dtype();
        if like == DType::F64 {
            return burn_ops::input_gradient::<Self>(input, weight, gradient);
        }
        let [weight, gradient] = [weight, gradient].map(single);
        let found = if few_pixels::is_better(weight.shape().dims(), gradient.shape().dims()) {
            few_pixels::input_gradient(&gradient, &weight)
        } else {
            convolved(&gradient, &weights(&weight).turned(), &Finish::NONE)
        };
        cast(found, like)
    }

    fn conv3x3_weight_gradient(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let like = gradient.dtype();
        if like == DType::F64 {
            return burn_ops::weight_gradient::<Self>(input, weight, gradient);
        }
        let [input, gradient] = [input, gradient].map(single);
        let input = maps(&input);
        let shape: [usize; 4] = weight.shape().dims();
        let mut result = vec![0.0; shape.iter().product()];
        let of = WeightGradient {
            inputs: input.frame.planes,
            outputs: maps(&gradient),
            scale: 1.0,
            result: &mut result,
        };
        weight_gradients(Processor::best(), &input, &mut [of]);
        cast(tensor(result, shape), like)
    }

    fn conv3x3_bias_gradient(
        input: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let like = gradient.dtype();
        if like == DType::F64 {
            return burn_ops::bias_gradient::<Self>(input, bias, gradient);
        }
        let sums = plane_sums(&maps(&single(gradient)), 1.0);
        cast(tensor(sums, bias.shape().dims::<1>()), like)
    }

    fn activation_gradient(
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let like = gradient.dtype();
        match slope(activation) {
            Some(slope) if like != DType::F64 => {
                let shape: [usize; 4] = gradient.shape().dims();
                let [output, gradient] = [output, gradient].map(single);
                let found = masked(values(&output), values(&gradient), slope);
                cast(tensor(found, shape), like)
            }
            _ => burn_ops::activation_gradient::<Self>(output, gradient, activation),
        }
    }

    fn dense_block_maps(
        input: FloatTensor<Self>,
        parameters: DenseBlockParameters<Self>,
        slope: f64,
        scale: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let like = input.dtype();
        if like == DType::F64 {
            return burn_ops::dense_block_maps::<Self>(input, parameters, slope, scale);
        }
        let channels = parameters.channels();
        let (input, parameters) = (single(input), single_parameters(parameters));
        let input = maps(&input);
        let block = block(&parameters, channels, slope, scale);
        let (output, maps) = block.forward(Processor::best(), &input);
        let shape = shape(&input.frame);
        let [images, _, height, width] = shape;
        let planes = maps.len() / (images * height * width).max(1);
        let maps = tensor(maps, [planes, images, height, width]);
        (cast(tensor(output, shape), like), cast(maps, like))
    }

    fn dense_block_gradients(
        maps: FloatTensor<Self>,
        parameters: DenseBlockParameters<Self>,
        gradient: FloatTensor<Self>,
        slope: f64,
        scale: f64,
        of_parameters: bool,
    ) -> DenseBlockGradients<Self> {
        let like = gradient.dtype();
        if like == DType::F64 {
            return burn_ops::dense_block_gradients::<Self>(
                maps,
                parameters,
                gradient,
                slope,
                scale,
                of_parameters,
            );
        }
        let channels = parameters.channels();
        let shapes = parameters
            .weights
            .each_ref()
            .map(|weight| weight.shape().dims::<4>());
        let parameters = single_parameters(parameters);
        let [maps, gradient] = [maps, gradient].map(single);
        let block = block(&parameters, channels, slope, scale);
        let gradient = self::maps(&gradient);
        let found = block.backward(Processor::best(), values(&maps), &gradient, of_parameters);
        let mut shapes = shapes.into_iter();
        DenseBlockGradients {
            input: cast(tensor(found.input, shape(&gradient.frame)), like),
            parameters: found.parameters.map(|of| DenseBlockParameters {
                weights: of.weights.map(|values| {
                    let shape = shapes.next().expect("as many shapes as weights");
                    cast(tensor(values, shape), like)
                }),
                biases: of.biases.map(|values| {
                    let length = values.len();
                    cast(tensor(values, [length]), like)
                }),
            }),
        }
    }

    fn modulate(
        input: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let like = input.dtype();
        if like == DType::F64 {
            return burn_ops::modulate::<Self>(input, gain, bias, epsilon);
        }
        let [input, gain, bias] = [input, gain, bias].map(single);
        let shape @ [_, _, height, width] = input.shape().dims();
        let (gain, bias) = (values(&gain), values(&bias));
        let output = modulation::modulate(values(&input), gain, bias, height * width, epsilon);
        cast(tensor(output, shape), like)
    }

    fn modulate_gradients(
        input: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> ModulationGradients<Self> {
        let (like, of_gain) = (input.dtype(), gain.dtype());
        if like == DType::F64 {
            return burn_ops::modulate_gradients::<Self>(input, gain, gradient, epsilon);
        }
        let [input, gain, gradient] = [input, gain, gradient].map(single);
        let shape @ [batch, channels, height, width] = input.shape().dims();
        let found = modulation::modulate_gradients(
            values(&input),
            values(&gain),
            values(&gradient),
            height * width,
            epsilon,
        );
        ModulationGradients {
            input: cast(tensor(found.input, shape), like),
            gain: cast(tensor(found.gain, [batch, channels]), of_gain),
            bias: cast(tensor(found.bias, [batch, channels]), of_gain),
        }
    }

    fn normalize_channels(input: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        let like = input.dtype();
        if like == DType::F64 {
            return burn_ops::normalize_channels::<Self>(input, epsilon);
        }
        let input = single(input);
        let dims = input.shape().dims::<4>();
        let output = comparison::normalize(values(&input), planes(dims), epsilon as f32);
        cast(tensor(output, dims), like)
    }

    fn normalize_channels_gradient(
        input: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let like = input.dtype();
        if like == DType::F64 {
            return burn_ops::normalize_channels_gradient::<Self>(input, gradient, epsilon);
        }
        let [input, gradient] = [input, gradient].map(single);
        let dims = input.shape().dims::<4>();
        let (input, gradient) = (values(&input), values(&gradient));
        let found = comparison::normalize_gradient(input, gradient, planes(dims), epsilon as f32);
        cast(tensor(found, dims), like)
    }

    fn squared_differences(
        images: FloatTensor<Self>,
        targets: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let like = images.dtype();
        if like == DType::F64 {
            return burn_ops::squared_differences::<Self>(images, targets);
        }
        let [images, targets] = [images, targets].map(single);
        let dims @ [count, channels, _, _] = images.shape().dims();
        let groups = targets.shape().dims::<4>()[0];
        let (images, targets) = (values(&images), values(&targets));
        let (shape, count) = (planes(dims), count / groups);
        let means = comparison::squared_differences(images, targets, shape, count);
        cast(tensor(means, [groups, count, channels]), like)
    }

    fn squared_differences_gradient(
        images: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let like = images.dtype();
        if like == DType::F64 {
            return burn_ops::squared_differences_gradient::<Self>(images, targets, gradient);
        }
        let [images, targets, gradient] = [images, targets, gradient].map(single);
        let dims = images.shape().dims::<4>();
        let count = dims[0] / targets.shape().dims::<4>()[0];
        let found = comparison::squared_differences_gradient(
            values(&images),
            values(&targets),
            values(&gradient),
            planes(dims),
            count,
        );
        cast(tensor(found, dims), like)
    }

    fn weight_norm(direction: FloatTensor<Self>, length: FloatTensor<Self>) -> FloatTensor<Self> {
        let like = direction.dtype();
        if like == DType::F64 {
            return burn_ops::weight_norm::<Self>(direction, length);
        }
        let [direction, length] = [direction, length].map(single);
        let shape @ [_, inputs, height, width] = direction.shape().dims();
        let row = inputs * height * width;
        let weight = weight_norm::weight_norm(values(&direction), values(&length), row);
        cast(tensor(weight, shape), like)
    }

    fn weight_norm_gradients(
        direction: FloatTensor<Self>,
        length: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> WeightNormGradients<Self> {
        let like = direction.dtype();
        if like == DType::F64 {
            return burn_ops::weight_norm_gradients::<Self>(direction, length, gradient);
        }
        let [direction, length, mut gradient] = [direction, length, gradient].map(single);
        let [outputs, inputs, height, width] = direction.shape().dims();
        let row = inputs * height * width;
        let of_length = weight_norm::weight_norm_gradients(
            values(&direction),
            values(&length),
            row,
            values_mut(&mut gradient),
        );
        WeightNormGradients {
            direction: cast(gradient, like),
            length: cast(tensor(of_length, [outputs, 1, 1, 1]), like),
        }
    }

    fn adam_step(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moments: Option<Moments<FloatTensor<Self>>>,
        factors: &AdamFactors,
    ) -> AdamStep<Self> {
        let mut moments = match moments {
            Some(moments) if parameter.dtype() == DType::F32 => moments.map(single),
            _ => return burn_ops::adam_step::<Self>(parameter, gradient, moments, factors),
        };
        let [mut parameter, gradient] = [parameter, gradient].map(single);
        adam::step(
            Processor::best(),
            values_mut(&mut parameter),
            values(&gradient),
            moments.each_mut().map(values_mut),
            factors,
        );
        AdamStep { parameter, moments }
    }
}

fn single_parameters(parameters: DenseBlockParameters<Flex>) -> DenseBlockParameters<Flex> {
    DenseBlockParameters {
        weights: parameters.weights.map(single),
        biases: parameters.biases.map(single),
    }
}

fn slope(activation: Activation) -> Option<f32> {
    match activation {
        Activation::Linear => None,
        Activation::LeakyRelu { slope } => Some(slope as f32),
    }
}

fn planes([_, planes, height, width]: [usize; 4]) -> Shape {
    Shape {
        planes,
        pixels: height * width,
    }
}

fn weights(tensor: &FlexTensor) -> Weight<'_> {
    let [outputs, inputs, ..] = tensor.shape().dims::<4>();
    Weight::new(values(tensor), [outputs, inputs])
}

fn block<'a>(
    parameters: &'a DenseBlockParameters<Flex>,
    [channels, growth]: [usize; 2],
    slope: f64,
    scale: f64,
) -> dense_block::DenseBlock<'a> {
    dense_block::DenseBlock {
        channels,
        growth,
        weights: parameters.weights.each_ref().map(values),
        biases: parameters.biases.each_ref().map(values),
        slope: slope as f32,
        scale: scale as f32,
    }
}

fn shape(frame: &Frame) -> [usize; 4] {
    [frame.images, frame.planes, frame.height, frame.width]
}

fn convolved(input: &FlexTensor, weight: &Weight, finish: &Finish) -> FlexTensor {
    let input = maps(input);
    let frame = Frame::by_image(shape(&input.frame.with_planes(weight.outputs())));
    let mut values = vec![0.0; frame.values()];
    let mut target = Target::new(&mut values, frame);
    convolve(Processor::best(), &input, weight, finish, &mut target);
    tensor(values, shape(&frame))
}
