//! LPIPS on every backbone agrees with the published implementation.

mod rule;

use std::path::Path;

use burn::backend::Autodiff;
use burn::tensor::Tensor;
use burn_flex::Flex;
use chimle_perceptual::{Backbone, Distance, Features, ImageDistance, Lpips, TrainingDistance};
use rule::{Expected, Weights, largest_difference, tensor};

type Diff = Autodiff<Flex>;

/// The largest error allowed of a distance, relative to the distance.
const LIMIT: f64 = 1e-4;

/// The limit of [`rule::Summary::gradient_error`]. PyTorch's own gradients in 32 bits differ from those
/// in 64 bits by up to 2e-3.
const GRADIENT_LIMIT: f64 = 3e-2;

/// Returns the largest error of the distances `[n]`, relative to the expected ones.
fn error(found: Tensor<Flex, 1>, expected: &[f64]) -> f64 {
    assert_eq!(found.dims(), [expected.len()]);
    let found: Vec<f64> = found.into_data().iter::<f64>().collect();
    let ratios = found.iter().zip(expected).map(|(f, e)| (f / e, 1.0));
    largest_difference(ratios)
}

fn check(backbone: Backbone, name: &str, linear: &Path) {
    let expected = Expected::read();
    let network = Weights::of(name, expected.network(name));
    let load = |linear: Option<&Path>| {
        let lpips = Lpips::load_on(backbone, &network.path, linear, &Default::default()).unwrap();
        assert_eq!(lpips.backbone(), backbone);
        ImageDistance::<Diff>::Lpips(lpips)
    };
    let (learned, unweighted) = (load(Some(linear)), load(None));

    let of_backbone = |case: &&rule::Distances| case.backbone == name;
    let cases: Vec<_> = expected.distances.iter().filter(of_backbone).collect();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let [a, b] = ["image a", "image b"].map(|image| tensor::<Diff, 4>(image, case.image));
        let plain = unweighted
            .valid()
            .between(a.clone().inner(), b.clone().inner());
        let a = a.require_grad();
        let target = Features::from_inner(learned.valid().features(b.inner()));
        let distance = learned.distance(a.clone(), &target);
        let gradient = a.grad(&distance.clone().sum().backward()).unwrap();

        let shape = case.image;
        let checks = [
            ("learned", error(distance.inner(), &case.learned), LIMIT),
            ("unweighted", error(plain, &case.unweighted), LIMIT),
            (
                "gradient",
                case.gradient.gradient_error(gradient),
                GRADIENT_LIMIT,
            ),
        ];
        for (what, error, limit) in checks {
            println!("{name} {shape:?}: {what} {error:.1e}");
            assert!(error < limit, "{name}, {what}, {shape:?}: {error:e}");
        }
    }
}

#[test]
fn on_vgg16() {
    let linear = Weights::linear(&[64, 128, 256, 512, 512]);
    check(Backbone::Vgg16, "vgg16", &linear.path);
}

/// Reads the learned weights from files that PyTorch wrote.
#[test]
fn on_alexnet() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected");
    check(
        Backbone::AlexNet,
        "alexnet",
        &folder.join("linear_alexnet.pth"),
    );
}

#[test]
fn on_squeezenet() {
    let linear = Weights::linear(&[64, 128, 256, 384, 384, 512, 512]);
    check(Backbone::SqueezeNet, "squeezenet", &linear.path);
}

#[test]
fn small_images_are_enlarged_by_nearest_neighbour() {
    let doubled = |x: Tensor<Flex, 4>| {
        x.reshape([1, 3, 16, 1, 16, 1])
            .expand([1, 3, 16, 2, 16, 2])
            .reshape([1, 3, 32, 32])
    };
    let images = ["image a", "image b"].map(|image| tensor::<Flex, 4>(image, [1, 3, 16, 16]));
    let expected = Expected::read();
    for (backbone, name) in [
        (Backbone::AlexNet, "alexnet"),
        (Backbone::SqueezeNet, "squeezenet"),
    ] {
        let weights = Weights::of(name, expected.network(name));
        let lpips = Lpips::load_on(backbone, &weights.path, None, &Default::default());
        let distance = ImageDistance::Lpips(lpips.unwrap());
        let [a, b] = images.clone();
        let small = distance.between(a, b).into_data();
        let [a, b] = images.clone().map(doubled);
        small.assert_eq(&distance.between(a, b).into_data(), true);
    }
}
