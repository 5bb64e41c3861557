//! Linear degradations, with their singular value decomposition.

use burn::tensor::{Tensor, TensorData};
use chimle_core::data::{Example, Planes, Sizes, stack};
use chimle_kernels::Kernels;
use faer::Mat;

use crate::error::Error;

/// The radius of Pillow's bicubic kernel, in pixels of the smaller image.
const SUPPORT: f64 = 2.0;

/// A linear degradation H = U S V^T of signed images `[3, h, w]`. The components of an image are V^T x.
pub(super) struct Spectrum<B: Kernels> {
    /// The singular value of each component, 0 if the component is not observed.
    singular: Planes,
    kind: Kind<B>,
}

enum Kind<B: Kernels> {
    /// The first channel is observed. U and V are the identity.
    FirstChannel,
    /// Rows and columns are reduced separately.
    Reduction { rows: Axis<B>, columns: Axis<B> },
}

/// The reduction of one axis.
struct Axis<B: Kernels> {
    /// `[small, small]`
    u: Tensor<B, 2>,
    /// `[large, large]`. The columns that belong to singular values come first.
    v: Tensor<B, 2>,
    singular: Vec<f64>,
}

impl<B: Kernels> Spectrum<B> {
    /// Creates the degradation that keeps only the first channel, the lightness of network Lab.
    pub(super) fn first_channel(sizes: &Sizes, _: &B::Device) -> Self {
        let (height, width) = sizes.output();
        Self {
            singular: Planes::from_fn(3, height, width, |channel, _, _| f32::from(channel == 0)),
            kind: Kind::FirstChannel,
        }
    }

    /// Creates the degradation by Pillow's bicubic downsampling, without its rounding.
    pub(super) fn bicubic(sizes: &Sizes, device: &B::Device) -> Result<Self, Error> {
        let ((height, width), (small_height, small_width)) = (sizes.output(), sizes.input());
        let rows = Axis::new(height, small_height, device)?;
        let columns = Axis::new(width, small_width, device)?;
        let of = |axis: &Axis<B>, k: usize| axis.singular.get(k).copied().unwrap_or(0.0);
        let singular = Planes::from_fn(3, height, width, |_, row, column| {
            (of(&rows, row) * of(&columns, column)) as f32
        });
        Ok(Self {
            singular,
            kind: Kind::Reduction { rows, columns },
        })
    }

    /// Returns the singular value of each component.
    pub(super) fn singular(&self) -> &Planes {
        &self.singular
    }

    /// Computes V^T x: the components of images, both `[n, 3, h, w]`.
    pub(super) fn components(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        match &self.kind {
            Kind::FirstChannel => images,
            Kind::Reduction { rows, columns } => {
                between(rows.v.clone().transpose(), images, columns.v.clone())
            }
        }
    }

    /// Computes V x̄: the images of components.
    pub(super) fn image(&self, components: Tensor<B, 4>) -> Tensor<B, 4> {
        match &self.kind {
            Kind::FirstChannel => components,
            Kind::Reduction { rows, columns } => {
                between(rows.v.clone(), components, columns.v.clone().transpose())
            }
        }
    }

    /// Computes ȳ = U^T y / s from the inputs of examples, `[n, 3, h, w]`. It is 0 for components that
    /// are not observed.
    pub(super) fn observed(&self, examples: &[&Example], device: &B::Device) -> Tensor<B, 4> {
        let Planes {
            height: h,
            width: w,
            ..
        } = self.singular;
        let inputs: Vec<&Planes> = examples
            .iter()
            .map(|example| &example.conditioning[example.conditioning.len() - 1])
            .collect();
        let inputs: Tensor<B, 4> = stack(&inputs, device) * 2.0 - 1.0;
        match &self.kind {
            Kind::FirstChannel => {
                let [n, ..] = inputs.dims();
                Tensor::cat(vec![inputs, Tensor::zeros([n, 2, h, w], device)], 1)
            }
            Kind::Reduction { rows, columns } => {
                let rotated = between(rows.u.clone().transpose(), inputs, columns.u.clone());
                let [n, c, small_h, small_w] = rotated.dims();
                let inverse = rows.singular.iter().flat_map(|row| {
                    let columns = columns.singular.iter();
                    columns.map(move |column| (1.0 / (row * column)) as f32)
                });
                let inverse: Vec<f32> = inverse.collect();
                let inverse = TensorData::new(inverse, [1, 1, small_h, small_w]);
                let known = rotated * Tensor::from_data(inverse, device);
                let right = Tensor::zeros([n, c, small_h, w - small_w], device);
                let below = Tensor::zeros([n, c, h - small_h, w], device);
                Tensor::cat(vec![Tensor::cat(vec![known, right], 3), below], 2)
            }
        }
    }
}

/// Computes left · map · right for every channel.
fn between<B: Kernels>(left: Tensor<B, 2>, map: Tensor<B, 4>, right: Tensor<B, 2>) -> Tensor<B, 4> {
    left.unsqueeze::<4>()
        .matmul(map)
        .matmul(right.unsqueeze::<4>())
}

impl<B: Kernels> Axis<B> {
    fn new(large: usize, small: usize, device: &B::Device) -> Result<Self, Error> {
        let weights = reduction(large, small);
        let matrix = Mat::from_fn(small, large, |i, j| weights[i * large + j]);
        let svd = matrix.svd().map_err(|error| {
            Error::setting(
                "task",
                format!("has a degradation whose singular values cannot be computed: {error:?}"),
            )
        })?;
        let tensor = |rows: usize, columns: usize, value: &dyn Fn(usize, usize) -> f64| {
            let values: Vec<f32> = (0..rows * columns)
                .map(|k| value(k / columns, k % columns) as f32)
                .collect();
            Tensor::from_data(TensorData::new(values, [rows, columns]), device)
        };
        let singular = svd.S().column_vector();
        Ok(Self {
            u: tensor(small, small, &|i, j| svd.U()[(i, j)]),
            v: tensor(large, large, &|i, j| svd.V()[(i, j)]),
            singular: (0..small).map(|k| singular[k]).collect(),
        })
    }
}

/// Returns the weights of Pillow's bicubic downsampling along one axis, `[small, large]`: Keys' kernel
/// with a = -0.5, widened by the scale.
fn reduction(large: usize, small: usize) -> Vec<f64> {
    let scale = large as f64 / small as f64;
    let mut weights = vec![0.0; small * large];
    for (i, row) in weights.chunks_exact_mut(large).enumerate() {
        let center = (i as f64 + 0.5) * scale;
        let first = (center - SUPPORT * scale + 0.5).max(0.0) as usize;
        let end = ((center + SUPPORT * scale + 0.5) as usize).min(large);
        for (j, weight) in row.iter_mut().enumerate().take(end).skip(first) {
            *weight = cubic((j as f64 - center + 0.5) / scale);
        }
        let total: f64 = row.iter().sum();
        row.iter_mut().for_each(|weight| *weight /= total);
    }
    weights
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;
    use chimle_core::data::{Dataset, DatasetConfig, Source};
    use chimle_core::{Colorization, SuperResolution, TaskHandle};

    use super::*;
    use crate::space::Space;

    fn values(tensor: Tensor<Flex, 4>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    #[test]
    fn the_observed_components_are_those_of_the_truth() {
        let device = Default::default();
        for task in [
            TaskHandle::new(SuperResolution),
            TaskHandle::new(Colorization),
        ] {
            let config = DatasetConfig::new(task.clone(), 3, 64, 64);
            let sizes = config.sizes().unwrap();
            let dataset = Dataset::open(Source::Procedural { scenes: 2 }, config).unwrap();
            let example = dataset.example(1, 0).unwrap();
            let spectrum = match Space::of(&*task) {
                Space::Rgb => Spectrum::<Flex>::bicubic(&sizes, &device).unwrap(),
                Space::Lab => Spectrum::first_channel(&sizes, &device),
            };
            let truth: Tensor<Flex, 4> = Space::of(&*task).signed_truths(&[&example], &device);
            let components = spectrum.components(truth.clone());
            for (a, b) in values(spectrum.image(components.clone()))
                .iter()
                .zip(values(truth))
            {
                assert!((a - b).abs() < 1e-4, "V is orthogonal: {a} {b}");
            }
            let observed = values(spectrum.observed(&[&example], &device));
            let singular = &spectrum.singular().data;
            let known = singular.iter().filter(|s| **s > 0.0).count();
            let expected = if task.name() == "colorization" {
                64 * 64
            } else {
                3 * 8 * 8
            };
            assert_eq!(known, expected);
            for ((s, a), b) in singular.iter().zip(observed).zip(values(components)) {
                // The tolerance covers the input, which is rounded to 8 bits twice and averaged over
                // modes.
                let close = (s * (a - b)).abs() < 0.03;
                assert!(if *s > 0.0 { close } else { a == 0.0 }, "{s} {a} {b}");
            }
        }
    }
}
