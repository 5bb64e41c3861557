//! The comparison of features: sums over the channels of each pixel, and sums over the pixels of
//! each plane.

use rayon::prelude::*;

use crate::flex::pointwise::{VALUES, sum};

/// The number of pixels whose sums over the channels are computed at once.
const PIXELS: usize = 512;

/// The sizes of maps in the order `[image][plane][pixel]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) planes: usize,
    pub(crate) pixels: usize,
}

impl Shape {
    fn image(self) -> usize {
        (self.planes * self.pixels).max(1)
    }

    fn plane(self) -> usize {
        self.pixels.max(1)
    }

    /// Returns the number of planes that one task processes.
    fn together(self) -> usize {
        (VALUES / self.plane()).max(1)
    }
}

/// Computes `x / n` with `n = sqrt(sum x^2 + epsilon) + epsilon`. The sum is over the planes of an
/// image.
pub(crate) fn normalize(input: &[f32], shape: Shape, epsilon: f32) -> Vec<f32> {
    let mut inverses = products(input, input, shape);
    for sum in &mut inverses {
        *sum = ((*sum + epsilon).sqrt() + epsilon).recip();
    }
    let mut output = vec![0.0; input.len()];
    let planes = output.par_chunks_mut(shape.plane());
    let planes = planes.zip(input.par_chunks(shape.plane())).enumerate();
    let planes = planes.with_min_len(shape.together());
    planes.for_each(|(index, (output, input))| {
        let inverses = &inverses[index / shape.planes * shape.pixels..];
        for ((output, x), inverse) in output.iter_mut().zip(input).zip(inverses) {
            *output = x * inverse;
        }
    });
    output
}

/// Computes the gradient of [`normalize`]: `dy / n - x sum(x dy) / (n^2 r)` with the root `r = n -
/// epsilon`.
pub(crate) fn normalize_gradient(
    input: &[f32],
    gradient: &[f32],
    shape: Shape,
    epsilon: f32,
) -> Vec<f32> {
    let mut inverses = products(input, input, shape);
    let mut factors = products(input, gradient, shape);
    for (sum, product) in inverses.iter_mut().zip(&mut factors) {
        let root = (*sum + epsilon).sqrt();
        let norm = root + epsilon;
        // The divisions are separate, because the product of the three divisors may underflow.
        *product = *product / norm / norm / root;
        *sum = norm.recip();
    }
    let mut output = vec![0.0; input.len()];
    let planes = output.par_chunks_mut(shape.plane());
    let planes = planes.zip(input.par_chunks(shape.plane()));
    let planes = planes.zip(gradient.par_chunks(shape.plane()));
    let planes = planes.enumerate().with_min_len(shape.together());
    planes.for_each(|(index, ((output, input), gradient))| {
        let first = index / shape.planes * shape.pixels;
        let by_pixel = inverses[first..].iter().zip(&factors[first..]);
        let values = output.iter_mut().zip(input).zip(gradient).zip(by_pixel);
        for (((output, x), g), (inverse, factor)) in values {
            *output = g * inverse - x * factor;
        }
    });
    output
}

/// Sums the products of `a` and `b` over the planes of each image. Returns `[image][pixel]`.
fn products(a: &[f32], b: &[f32], shape: Shape) -> Vec<f32> {
    let images = a.par_chunks(shape.image()).zip(b.par_chunks(shape.image()));
    let mut sums = vec![0.0; a.len() / shape.planes.max(1)];
    let of_images = sums.par_chunks_mut(shape.plane()).zip(images);
    of_images.for_each(|(sums, (a, b))| {
        let stretches = sums.par_chunks_mut(PIXELS).enumerate();
        stretches.for_each(|(stretch, sums)| {
            let planes = a.chunks(shape.plane()).zip(b.chunks(shape.plane()));
            for (a, b) in planes {
                let first = stretch * PIXELS;
                for ((sum, a), b) in sums.iter_mut().zip(&a[first..]).zip(&b[first..]) {
                    *sum += a * b;
                }
            }
        });
    });
    sums
}

/// Computes the mean squared difference of each plane of the images from its target. Every `count`
/// consecutive images have the same target.
pub(crate) fn squared_differences(
    images: &[f32],
    targets: &[f32],
    shape: Shape,
    count: usize,
) -> Vec<f32> {
    let planes = images.par_chunks(shape.plane()).enumerate();
    let planes = planes.with_min_len(shape.together());
    let means = planes.map(|(index, image)| {
        let target = target(targets, shape, count, index);
        sum(image, target, |a, b| (a - b) * (a - b)) / shape.pixels as f32
    });
    means.collect()
}

/// Computes the gradient of the images from the gradient of each plane's mean.
pub(crate) fn squared_differences_gradient(
    images: &[f32],
    targets: &[f32],
    gradient: &[f32],
    shape: Shape,
    count: usize,
) -> Vec<f32> {
    let mut output = vec![0.0; images.len()];
    let planes = output.par_chunks_mut(shape.plane());
    let planes = planes.zip(images.par_chunks(shape.plane())).zip(gradient);
    let planes = planes.enumerate().with_min_len(shape.together());
    planes.for_each(|(index, ((output, image), gradient))| {
        let factor = 2.0 / shape.pixels as f32 * gradient;
        let target = target(targets, shape, count, index);
        for ((output, a), b) in output.iter_mut().zip(image).zip(target) {
            *output = factor * (a - b);
        }
    });
    output
}

/// Returns the target plane of the plane with this index among all planes of the images.
fn target(targets: &[f32], shape: Shape, count: usize, index: usize) -> &[f32] {
    let (image, plane) = (index / shape.planes, index % shape.planes);
    &targets[(image / count * shape.planes + plane) * shape.pixels..][..shape.pixels]
}
