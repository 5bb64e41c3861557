//! The representation of inputs and outputs that the networks read and write.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use chimle_core::Task;
use chimle_core::data::{Example, OutputSpace, Planes, downsample_planes, lab, stack};
use chimle_core::nn::lab_to_rgb;

use crate::error::Error;

/// The smallest L' in the conversion from network Lab: L = 100 L', and a = 127 a' / L'. A darker color is converted with
/// this L'.
const DARKEST: f32 = 0.01;
/// The ratio of a to a' at full lightness.
const CHROMA_RANGE: f32 = 127.0;

/// The factor of a' and b' in signed values. With it, colors of photographs fill about [-1, 1], as the lightness does.
const CHROMA_SCALE: f32 = 3.0;

/// The color space of *signed* values: three channels, about in [-1, 1]. All networks except the shared generator work
/// on signed values.
///
/// An RGB value v in [0, 1] becomes 2v - 1. In a task that adds color, an image is [2 L' - 1, 3 a', 3 b'], where L' =
/// L/100 is the input, and a' and b' are defined as in the generator's output ([`lab_to_rgb`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// RGB: the network outputs all three channels.
    Rgb,
    /// Lab: the first channel is the input, and the network outputs the other two.
    Lab,
}

impl Space {
    /// Returns the space of a task.
    pub fn of(task: &dyn Task) -> Self {
        match task.output_space() {
            OutputSpace::Rgb => Self::Rgb,
            OutputSpace::Lab => Self::Lab,
        }
    }

    /// Returns the number of channels that a network outputs.
    pub fn free_channels(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Lab => 2,
        }
    }

    /// Converts an image, RGB in [0, 1], to signed values `[3, h, w]`.
    pub fn signed(self, rgb: &Planes) -> Planes {
        match self {
            Self::Rgb => {
                let mut signed = rgb.clone();
                signed.data.iter_mut().for_each(|v| *v = 2.0 * *v - 1.0);
                signed
            }
            Self::Lab => {
                let lab = lab(&rgb.to_rgb());
                Planes::from_fn(3, lab.height, lab.width, |channel, row, column| {
                    let lightness = lab.get(0, row, column) / 100.0;
                    match channel {
                        0 => 2.0 * lightness - 1.0,
                        _ => {
                            let chroma = lab.get(channel, row, column) / CHROMA_RANGE;
                            CHROMA_SCALE * chroma * lightness.max(DARKEST)
                        }
                    }
                })
            }
        }
    }

    /// Converts the full-size truths of examples to signed values `[n, 3, h, w]`.
    pub fn signed_truths<B: Backend>(
        self,
        examples: &[&Example],
        device: &B::Device,
    ) -> Tensor<B, 4> {
        let signed: Vec<Planes> = examples
            .iter()
            .map(|example| self.signed(example.truth()))
            .collect();
        stack(&signed.iter().collect::<Vec<_>>(), device)
    }

    /// Converts raw images of the shared generator, `[n, 3, h, w]`, to signed values.
    pub fn signed_of_raw<B: Backend>(self, raw: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Rgb => raw * 2.0 - 1.0,
            Self::Lab => {
                let lightness = raw.clone().narrow(1, 0, 1) * 2.0 - 1.0;
                let chroma = raw.narrow(1, 1, 2) * CHROMA_SCALE;
                Tensor::cat(vec![lightness, chroma], 1)
            }
        }
    }

    /// Converts signed values `[n, 3, h, w]` to RGB. The result can exceed [0, 1].
    pub fn rgb<B: Backend>(self, signed: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Rgb => (signed + 1.0) / 2.0,
            Self::Lab => {
                let lightness = (signed.clone().narrow(1, 0, 1) + 1.0) / 2.0;
                let chroma = signed.narrow(1, 1, 2) / CHROMA_SCALE;
                lab_to_rgb(Tensor::cat(vec![lightness, chroma], 1))
            }
        }
    }

    /// Completes a network's output, `[n, free channels, h, w]`, with the channels of the input, and returns signed
    /// values `[n, 3, h, w]`.
    ///
    /// `input` is the result of [`signed_inputs`].
    pub fn completed<B: Backend>(self, made: Tensor<B, 4>, input: &Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Rgb => made,
            Self::Lab => Tensor::cat(vec![input.clone().narrow(1, 0, 1), made], 1),
        }
    }
}

/// Converts the inputs of examples to `2v - 1` at the output's size, `[n, conditioning channels, h, w]`. A smaller input
/// is enlarged by Pillow's bicubic filter.
///
/// # Errors
///
/// If an input cannot be enlarged.
pub fn signed_inputs<B: Backend>(
    examples: &[&Example],
    device: &B::Device,
) -> Result<Tensor<B, 4>, Error> {
    let mut inputs = Vec::with_capacity(examples.len());
    for example in examples {
        let (finest, truth) = (example.conditioning.last(), example.truth());
        let finest = finest.expect("an example has a conditioning image");
        let same_size = (finest.height, finest.width) == (truth.height, truth.width);
        inputs.push(if same_size {
            finest.clone()
        } else {
            downsample_planes(finest, truth.height, truth.width)?
        });
    }
    let inputs: Tensor<B, 4> = stack(&inputs.iter().collect::<Vec<_>>(), device);
    Ok(inputs * 2.0 - 1.0)
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;
    use image::{Rgb, RgbImage};

    use super::*;

    #[test]
    fn signed_values_stand_for_the_image_they_were_made_of() {
        let image = RgbImage::from_fn(8, 8, |x, y| {
            Rgb([40 + 20 * x as u8, 60 + 10 * y as u8, 200 - 15 * x as u8])
        });
        let rgb = Planes::from_rgb(&image);
        for space in [Space::Rgb, Space::Lab] {
            let signed = space.signed(&rgb);
            assert!(signed.data.iter().all(|v| (-1.5..=1.5).contains(v)));
            let back = space.rgb(signed.to_tensor::<Flex>(&Default::default()));
            for (value, expected) in back.into_data().iter::<f32>().zip(&rgb.data) {
                assert!(
                    (value - expected).abs() < 2e-3,
                    "{space:?}: {value} for {expected}"
                );
            }
        }
    }
}
