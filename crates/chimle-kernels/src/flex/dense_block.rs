//! The dense block on one buffer. In the forward pass, each convolution reads the planes below its
//! own and writes its own. In the backward pass, it adds to the gradients of the planes below.

use rayon::prelude::*;

use crate::dense_block::CONVOLUTIONS;
use crate::flex::convolution::{Finish, Onto, Weight, convolve};
use crate::flex::maps::{Frame, Maps, Target};
use crate::flex::pointwise::plane_sums;
use crate::flex::processor::Processor;
use crate::flex::weight_gradient::{WeightGradient, weight_gradients};

/// A dense block of c residual and g growth channels.
///
/// Its maps `[x, x1, x2, x3, x4]` and their gradients are kept plane by plane,
/// `[c + 4 g, batch, h, w]`, so the planes below a convolution are one slice.
pub(crate) struct DenseBlock<'a> {
    pub(crate) channels: usize,
    pub(crate) growth: usize,
    pub(crate) weights: [&'a [f32]; CONVOLUTIONS],
    pub(crate) biases: [&'a [f32]; CONVOLUTIONS],
    pub(crate) slope: f32,
    pub(crate) scale: f32,
}

pub(crate) struct Gradients {
    /// `[batch, c, h, w]`
    pub(crate) input: Vec<f32>,
    pub(crate) parameters: Option<ParameterGradients>,
}

pub(crate) struct ParameterGradients {
    pub(crate) weights: [Vec<f32>; CONVOLUTIONS],
    pub(crate) biases: [Vec<f32>; CONVOLUTIONS],
}

impl DenseBlock<'_> {
    /// Returns the number of input planes of convolution k, counted from 0.
    fn inputs(&self, k: usize) -> usize {
        self.channels + k * self.growth
    }

    /// Returns the weight of convolution k. The weight of the last convolution is scaled.
    fn weight(&self, k: usize) -> Weight<'_> {
        if k + 1 == CONVOLUTIONS {
            Weight::new(self.weights[k], [self.channels, self.inputs(k)]).scaled(self.scale)
        } else {
            Weight::new(self.weights[k], [self.growth, self.inputs(k)])
        }
    }

    /// Returns the frame of the first planes of the maps.
    fn frame(&self, input: &Frame, planes: usize) -> Frame {
        Frame::by_plane([input.images, planes, input.height, input.width])
    }

    /// Computes the output `[batch, c, h, w]` and the maps.
    pub(crate) fn forward(&self, processor: Processor, input: &Maps) -> (Vec<f32>, Vec<f32>) {
        let plane = input.frame.images * input.frame.pixels();
        let last = CONVOLUTIONS - 1;
        let mut maps = vec![0.0; self.inputs(last) * plane];
        let planes = maps.par_chunks_mut(plane.max(1)).enumerate();
        planes.take(self.channels).for_each(|(plane, images)| {
            let images = images.chunks_exact_mut(input.frame.pixels()).enumerate();
            images.for_each(|(image, map)| map.copy_from_slice(input.plane(image, plane)));
        });
        for k in 0..last {
            let (below, own) = maps.split_at_mut(self.inputs(k) * plane);
            let below = Maps {
                values: below,
                frame: self.frame(&input.frame, self.inputs(k)),
            };
            let mut own = Target::new(own, self.frame(&input.frame, self.growth));
            let finish = Finish {
                bias: Some(self.biases[k]),
                slope: Some(self.slope),
                ..Finish::NONE
            };
            convolve(processor, &below, &self.weight(k), &finish, &mut own);
        }
        let mut output = vec![0.0; input.frame.values()];
        let finish = Finish {
            bias: Some(self.biases[last]),
            bias_scale: self.scale,
            onto: Onto::Maps(*input),
            ..Finish::NONE
        };
        let all = Maps {
            values: &maps,
            frame: self.frame(&input.frame, self.inputs(last)),
        };
        let mut target = Target::new(&mut output, input.frame);
        convolve(processor, &all, &self.weight(last), &finish, &mut target);
        (output, maps)
    }

    /// Computes the gradients from the maps and the output's gradient.
    pub(crate) fn backward(
        &self,
        processor: Processor,
        maps: &[f32],
        gradient: &Maps,
        of_parameters: bool,
    ) -> Gradients {
        let frame = &gradient.frame;
        let plane = frame.images * frame.pixels();
        let last = CONVOLUTIONS - 1;
        let maps = Maps {
            values: maps,
            frame: self.frame(frame, self.inputs(last)),
        };
        let mut gradients = vec![0.0; self.inputs(last) * plane];
        for k in (0..CONVOLUTIONS).rev() {
            let (below, own) = gradients.split_at_mut(self.inputs(k) * plane);
            let (sums, onto) = if k == last {
                // The residual adds the output's gradient to the input's gradient.
                (*gradient, Onto::Maps(*gradient))
            } else {
                let frame = self.frame(frame, self.growth);
                (Maps { values: own, frame }, Onto::Target)
            };
            // The gradient of the topmost of these planes is now complete. The mask applies the
            // derivative of their activation.
            let mask = k
                .checked_sub(1)
                .map(|top| (maps, self.inputs(top), self.slope));
            let finish = Finish {
                onto,
                mask,
                ..Finish::NONE
            };
            let mut target = Target::new(below, self.frame(frame, self.inputs(k)));
            convolve(
                processor,
                &sums,
                &self.weight(k).turned(),
                &finish,
                &mut target,
            );
        }
        let parameters =
            of_parameters.then(|| self.of_parameters(processor, &maps, &gradients, gradient));
        Gradients {
            input: self.input_gradient(gradients, frame),
            parameters,
        }
    }

    /// Computes the gradients of the weights and the biases from the gradients of the maps.
    fn of_parameters(
        &self,
        processor: Processor,
        maps: &Maps,
        gradients: &[f32],
        gradient: &Maps,
    ) -> ParameterGradients {
        let plane = gradient.frame.images * gradient.frame.pixels();
        let mut weights = self.weights.map(|weight| vec![0.0; weight.len()]);
        let mut biases = self.biases.map(|_| vec![]);
        let mut of_weights = Vec::with_capacity(CONVOLUTIONS);
        for (k, (weight, bias)) in weights.iter_mut().zip(&mut biases).enumerate() {
            let inputs = self.inputs(k);
            let (outputs, scale) = if k + 1 == CONVOLUTIONS {
                (*gradient, self.scale)
            } else {
                let frame = self.frame(&gradient.frame, self.growth);
                let values = &gradients[inputs * plane..][..self.growth * plane];
                (Maps { values, frame }, 1.0)
            };
            *bias = plane_sums(&outputs, scale);
            of_weights.push(WeightGradient {
                inputs,
                outputs,
                scale,
                result: weight,
            });
        }
        weight_gradients(processor, maps, &mut of_weights);
        ParameterGradients { weights, biases }
    }

    /// Returns the first planes of the gradients, image by image.
    fn input_gradient(&self, mut gradients: Vec<f32>, frame: &Frame) -> Vec<f32> {
        if frame.images == 1 {
            gradients.truncate(frame.values());
            return gradients;
        }
        let by_plane = Maps {
            values: &gradients,
            frame: self.frame(frame, self.channels),
        };
        let mut input = vec![0.0; frame.values()];
        let planes = input.par_chunks_mut(frame.pixels().max(1)).enumerate();
        planes.for_each(|(index, values)| {
            let (image, plane) = (index / self.channels, index % self.channels);
            values.copy_from_slice(by_plane.plane(image, plane));
        });
        input
    }
}
