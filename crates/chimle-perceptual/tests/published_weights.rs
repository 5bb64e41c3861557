//! LPIPS with its published weights.

use std::path::PathBuf;

use burn::backend::Autodiff;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use chimle_perceptual::{Distance, Features, ImageDistance, Lpips, TrainingDistance};
use safetensors::SafeTensors;

/// Returns the folder that an environment variable names.
fn folder(variable: &str) -> PathBuf {
    let folder = std::env::var_os(variable);
    folder
        .unwrap_or_else(|| panic!("{variable} is not set"))
        .into()
}

/// Reads a tensor of a safetensors file.
fn tensor<B: Backend, const D: usize>(file: &[u8], name: &str) -> Tensor<B, D> {
    let file = SafeTensors::deserialize(file).unwrap();
    let view = file.tensor(name).unwrap();
    let (numbers, _) = view.data().as_chunks::<4>();
    let values: Vec<f32> = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let data = TensorData::new(values, view.shape().to_vec());
    Tensor::from_data(data, &B::Device::default())
}

#[test]
#[ignore = "needs published weights: set CHIMLE_REFERENCE and CHIMLE_WEIGHTS"]
fn gradient_through_the_full_network_agrees_with_finite_differences() {
    type B = Autodiff<Flex>;
    let weights = folder("CHIMLE_WEIGHTS");
    let vgg = weights.join("vgg16_imagenet.safetensors");
    let linear = weights.join("lpips_v0.1/vgg.pth");
    let images = folder("CHIMLE_REFERENCE").join("perceptual.safetensors");
    let images = std::fs::read(images).unwrap();
    let lpips = Lpips::<B>::load(&vgg, Some(&linear), &Default::default()).unwrap();
    let distance = ImageDistance::Lpips(lpips);
    let a = tensor::<B, 4>(&images, "a").require_grad();
    let b = tensor::<B, 4>(&images, "b");
    let target = Features::from_inner(distance.valid().features(b.clone().inner()));

    let loss = distance.distance(a.clone(), &target).sum();
    let gradient = Tensor::<B, 4>::from_inner(a.grad(&loss.backward()).unwrap());
    let direction = b - a.clone();
    let slope = (gradient * direction.clone()).sum().into_scalar();
    let inner = distance.valid();
    let target = inner.features(tensor(&images, "b"));
    let at = |t: f32| {
        let moved = a.clone().inner() + direction.clone().inner() * t;
        inner.distance(moved, &target).sum().into_scalar()
    };
    let step = 5e-3;
    let expected = (at(step) - at(-step)) / (2.0 * step);
    let error = (slope / expected - 1.0).abs();
    println!("slope {slope}, finite difference {expected}: {error:e}");
    assert!(error < 1e-2);
}
