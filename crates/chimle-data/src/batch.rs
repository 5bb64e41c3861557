//! Batches of examples, as tensors.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::{Example, Planes};

/// Several examples of one data set, stacked into tensors.
#[derive(Clone, Debug)]
pub struct Batch<B: Backend> {
    /// The conditioning images, as in [`Example::conditioning`], each
    /// `[batch, channels, height, width]`.
    pub conditioning: Vec<Tensor<B, 4>>,
    /// The true image at each level, coarse to fine: RGB in [0, 1], each
    /// `[batch, 3, height, width]`.
    pub targets: Vec<Tensor<B, 4>>,
}

impl<B: Backend> Batch<B> {
    /// Stacks examples, in their order.
    ///
    /// # Panics
    ///
    /// If there are no examples, or if they differ in the number or shape of their images. Examples
    /// of one data set never differ.
    pub fn collate(examples: &[&Example], device: &B::Device) -> Self {
        Self {
            conditioning: Self::conditioning_of(examples, device),
            targets: Self::targets_of(examples, device),
        }
    }

    /// Stacks only the conditioning images of examples.
    ///
    /// # Panics
    ///
    /// In the cases of [`collate`](Self::collate).
    pub fn conditioning_of(examples: &[&Example], device: &B::Device) -> Vec<Tensor<B, 4>> {
        stack_levels(examples, |e| &e.conditioning, device)
    }

    /// Stacks only the true images of examples.
    ///
    /// # Panics
    ///
    /// In the cases of [`collate`](Self::collate).
    pub fn targets_of(examples: &[&Example], device: &B::Device) -> Vec<Tensor<B, 4>> {
        stack_levels(examples, |e| &e.targets, device)
    }
}

fn stack_levels<B: Backend>(
    examples: &[&Example],
    images: fn(&Example) -> &Vec<Planes>,
    device: &B::Device,
) -> Vec<Tensor<B, 4>> {
    assert!(!examples.is_empty(), "a batch needs at least one example");
    let levels = images(examples[0]).len();
    for example in examples {
        assert_eq!(
            images(example).len(),
            levels,
            "the number of levels of {}",
            example.name
        );
    }
    (0..levels)
        .map(|level| {
            let images: Vec<_> = examples.iter().map(|e| &images(e)[level]).collect();
            stack(&images, device)
        })
        .collect()
}

/// Stacks images of one shape into a tensor `[batch, channels, height, width]`.
///
/// # Panics
///
/// If there are no images or they differ in shape.
///
/// # Examples
///
/// ```
/// use burn_flex::Flex;
/// use chimle_data::{Planes, planes_from_tensor, stack};
///
/// let image = Planes::from_fn(3, 2, 4, |channel, row, column| (channel + row + column) as f32);
/// let tensor = stack::<Flex>(&[&image, &image], &Default::default());
/// assert_eq!(tensor.dims(), [2, 3, 2, 4]);
/// assert_eq!(planes_from_tensor(tensor)[1], image);
/// ```
pub fn stack<B: Backend>(images: &[&Planes], device: &B::Device) -> Tensor<B, 4> {
    assert!(!images.is_empty(), "at least one image is needed");
    let shape = |image: &Planes| [image.channels, image.height, image.width];
    let [channels, height, width] = shape(images[0]);
    let mut data = Vec::with_capacity(images.len() * images[0].data.len());
    for image in images {
        assert_eq!(shape(image), shape(images[0]), "the images differ in shape");
        data.extend_from_slice(&image.data);
    }
    let shape = [images.len(), channels, height, width];
    Tensor::from_data(TensorData::new(data, shape), device)
}

impl Planes {
    /// Returns the image as a tensor `[1, channels, height, width]`.
    pub fn to_tensor<B: Backend>(&self, device: &B::Device) -> Tensor<B, 4> {
        stack(&[self], device)
    }
}

/// Returns the images of a tensor `[batch, channels, height, width]`. Waits for the device.
pub fn planes_from_tensor<B: Backend>(tensor: Tensor<B, 4>) -> Vec<Planes> {
    let [count, channels, height, width] = tensor.dims();
    let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
    let size = channels * height * width;
    (0..count)
        .map(|i| Planes {
            channels,
            height,
            width,
            data: values[i * size..(i + 1) * size].to_vec(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_flex::Flex;

    #[test]
    fn images_survive_the_way_to_a_tensor_and_back() {
        let images = [0.0, 100.0].map(|first| {
            Planes::from_fn(3, 2, 4, |c, row, column| {
                first + (c * 8 + row * 4 + column) as f32
            })
        });
        let device = Default::default();
        let tensor = stack::<Flex>(&[&images[0], &images[1]], &device);
        assert_eq!(tensor.dims(), [2, 3, 2, 4]);
        assert_eq!(planes_from_tensor(tensor), images);
        let one = images[1].to_tensor::<Flex>(&device);
        assert_eq!(planes_from_tensor(one.clone()), images[1..]);
        assert_eq!(one.permute([0, 1, 3, 2]).dims(), [1, 3, 4, 2]);
    }
}
