//! A step of Adam in one pass over the parameter, its gradient and its moments.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::adam::AdamFactors;
use crate::flex::pointwise::VALUES;
use crate::flex::processor::Processor;

/// Replaces a parameter and its moments with those after a step.
///
/// Each operation is rounded as in Burn's Adam, so the results are the same to the last bit.
pub(crate) fn step(
    processor: Processor,
    parameter: &mut [f32],
    gradient: &[f32],
    [first, second]: [&mut [f32]; 2],
    factors: &AdamFactors,
) {
    let parameter = parameter.par_chunks_mut(VALUES);
    let moments = first.par_chunks_mut(VALUES);
    let moments = moments.zip(second.par_chunks_mut(VALUES));
    let stretches = parameter.zip(gradient.par_chunks(VALUES)).zip(moments);
    stretches.for_each(|((parameter, gradient), (first, second))| {
        processor.run(Stretch {
            parameter,
            gradient,
            first,
            second,
            factors,
        });
    });
}

/// A stretch of a parameter. The compiler turns its loop into vector instructions.
struct Stretch<'a> {
    parameter: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    factors: &'a AdamFactors,
}

impl WithSimd for Stretch<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let AdamFactors {
            betas: [beta_1, beta_2],
            correction,
            epsilon,
            rate,
        } = *self.factors;
        let (rest_1, rest_2, rate) = (1.0 - beta_1, 1.0 - beta_2, rate as f32);
        let values = self.parameter.iter_mut().zip(self.gradient);
        let moments = self.first.iter_mut().zip(self.second);
        for ((value, &gradient), (first, second)) in values.zip(moments) {
            *first = *first * beta_1 + gradient * rest_1;
            *second = *second * beta_2 + gradient * gradient * rest_2;
            *value -= *first * correction / (second.sqrt() + epsilon) * rate;
        }
    }
}
