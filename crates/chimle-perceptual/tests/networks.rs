//! Each network agrees with its PyTorch implementation, layer by layer.

mod rule;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use burn_flex::Flex;
use chimle_perceptual::{Backbone, Extractor, InceptionV3, Vgg16};
use rule::{Expected, Summary, Weights, tensor};

type Diff = Autodiff<Flex>;

/// The largest error allowed of a layer, relative to the layer's largest value.
const LIMIT: f64 = 1e-4;

/// The limit of [`Summary::gradient_error`]. PyTorch's own gradients in 32 bits differ from those in 64
/// bits by 2e-2.
const GRADIENT_LIMIT: f64 = 1e-1;

fn assert_agree(
    network: &str,
    layers: &[Summary],
    found: impl IntoIterator<Item = Tensor<Flex, 4>>,
) {
    let found: Vec<_> = found.into_iter().collect();
    assert_eq!(found.len(), layers.len());
    for (k, (layer, found)) in layers.iter().zip(found).enumerate() {
        let error = layer.error(found);
        assert!(error < LIMIT, "{network}, layer {k}: {error:e}");
    }
}

fn check(backbone: Backbone, name: &str) {
    let expected = Expected::read();
    let network = expected.network(name);
    let weights = Weights::of(name, network);
    let loaded = backbone
        .load::<Flex>(&weights.path, &Default::default())
        .unwrap();
    let found = loaded.forward(tensor("image", network.image));
    let widths: Vec<usize> = found.iter().map(|layer| layer.dims()[1]).collect();
    assert_eq!(loaded.widths(), widths);
    assert_agree(name, &network.layers, found);
}

#[test]
fn vgg16_agrees_with_torchvision() {
    check(Backbone::Vgg16, "vgg16");
}

#[test]
fn alexnet_agrees_with_torchvision() {
    check(Backbone::AlexNet, "alexnet");
}

#[test]
fn squeezenet_agrees_with_torchvision() {
    check(Backbone::SqueezeNet, "squeezenet");
}

#[test]
fn inception_agrees_with_pytorch_fid() {
    let network = Expected::read().inception;
    let weights = Weights::of("inception", &network);
    let inception = InceptionV3::<Diff>::load(&weights.path, &Default::default()).unwrap();
    let image = tensor::<Diff, 4>("image", network.image).require_grad();
    let prepared = InceptionV3::prepare(image.clone()).inner();
    let blocks = inception.forward(image.clone());
    let [.., pooled] = blocks.clone();
    let layers = [prepared].into_iter().chain(blocks.map(Tensor::inner));
    assert_agree("inception", &network.layers, layers);

    let gradient = image.grad(&pooled.clone().sum().backward()).unwrap();
    let error = network.gradient.unwrap().gradient_error(gradient);
    assert!(error < GRADIENT_LIMIT, "gradient: {error:e}");

    let extractor = Extractor::InceptionV3(inception.valid());
    let features = extractor.extract(image.inner());
    assert_eq!(features.dims(), [1, extractor.dimension()]);
    let pooled = pooled.inner().reshape([1, 2048]);
    features.into_data().assert_eq(&pooled.into_data(), true);
}

#[test]
fn vgg16_describes_an_image_by_the_means_of_relu5_3() {
    let network = Expected::read().vgg16;
    let weights = Weights::of("vgg16", &network);
    let vgg = Vgg16::<Flex>::load(&weights.path, &Default::default()).unwrap();
    let image = tensor("image", network.image);
    let last = vgg.forward(image.clone()).pop().unwrap();
    let extractor = Extractor::Vgg16(vgg);
    let features = extractor.extract(image);
    assert_eq!(features.dims(), [1, extractor.dimension()]);
    let [_, channels, h, w] = last.dims();
    let last: Vec<f32> = last.into_data().into_vec().unwrap();
    let features: Vec<f32> = features.into_data().into_vec().unwrap();
    assert_eq!(features.len(), channels);
    for (map, feature) in last.chunks_exact(h * w).zip(features) {
        let mean = map.iter().sum::<f32>() / (h * w) as f32;
        assert!((mean - feature).abs() < 1e-5, "{feature}, expected {mean}");
    }

    // The image is smaller than the network's smallest side.
    let small = extractor.extract(tensor("image", [2, 3, 7, 20]));
    assert_eq!(small.dims(), [2, 512]);
}
