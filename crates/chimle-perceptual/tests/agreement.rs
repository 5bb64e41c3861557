//! Agreement with values computed by `lpips` 0.1 and the authors' release.

mod reference;

use burn::backend::Autodiff;
use burn::tensor::Tensor;
use burn_flex::Flex;
use chimle_perceptual::{Distance, Features, Lpips, lab_to_rgb};
use reference::{relative_error, shared, tensor, values};

/// Distances of the stored pairs of images, and the values under `name`.
fn lpips_on_reference(linear: Option<&str>, name: &str) -> Option<(Vec<f32>, Vec<f32>)> {
    let vgg = shared("weights/vgg16_imagenet.safetensors")?;
    let file = std::fs::read(shared("reference/perceptual.safetensors")?).unwrap();
    let linear = match linear {
        Some(name) => Some(shared(name)?),
        None => None,
    };
    let lpips = Lpips::<Flex>::load(&vgg, linear.as_deref(), &Default::default()).unwrap();
    let found = Distance::Lpips(lpips).between(tensor(&file, "a"), tensor(&file, "b"));
    Some((values(found), values(tensor::<Flex, 1>(&file, name))))
}

#[test]
fn lpips_agrees_with_the_published_implementation_and_the_release() {
    let linear = Some("weights/lpips_v0.1/vgg.pth");
    for name in ["lpips_vgg", "chimle_feature_loss"] {
        if let Some((found, expected)) = lpips_on_reference(linear, name) {
            let error = relative_error(&found, &expected);
            println!("{name}: {error:e}");
            assert!(error < 1e-5, "{name}: {found:?}, expected {expected:?}");
        }
    }
}

#[test]
fn unweighted_distance_agrees() {
    if let Some((found, expected)) = lpips_on_reference(None, "vgg_unweighted") {
        let error = relative_error(&found, &expected);
        println!("vgg_unweighted: {error:e}");
        assert!(error < 1e-5, "{found:?}, expected {expected:?}");
    }
}

#[test]
fn lpips_of_small_images_agrees_with_the_release() {
    // The lowest level's images are 8 px, enlarged to 16 before VGG16.
    let (Some(vgg), Some(linear), Some(io)) = (
        shared("weights/vgg16_imagenet.safetensors"),
        shared("weights/lpips_v0.1/vgg.pth"),
        shared("reference/tim_generic_io.safetensors"),
    ) else {
        return;
    };
    let io = std::fs::read(io).unwrap();
    let lpips = Lpips::<Flex>::load(&vgg, Some(&linear), &Default::default()).unwrap();
    let distance = Distance::Lpips(lpips);
    for level in 0..4 {
        let rgb = tensor(&io, &format!("rgb.{level}"));
        let target = tensor(&io, &format!("target.{level}"));
        let found = values(distance.between(rgb, target));
        let expected = values(tensor::<Flex, 1>(&io, &format!("loss.{level}")));
        let error = relative_error(&found, &expected);
        println!("level {level}: {error:e}");
        assert!(
            error < 1e-5,
            "level {level}: {found:?}, expected {expected:?}"
        );
    }
}

#[test]
fn gradient_through_the_full_network_agrees_with_finite_differences() {
    type B = Autodiff<Flex>;
    let (Some(vgg), Some(linear), Some(images)) = (
        shared("weights/vgg16_imagenet.safetensors"),
        shared("weights/lpips_v0.1/vgg.pth"),
        shared("reference/perceptual.safetensors"),
    ) else {
        return;
    };
    let images = std::fs::read(images).unwrap();
    let lpips = Lpips::<B>::load(&vgg, Some(&linear), &Default::default()).unwrap();
    let distance = Distance::Lpips(lpips);
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

#[test]
fn lab_to_rgb_agrees_in_value_and_gradient() {
    type B = Autodiff<Flex>;
    let Some(file) = shared("reference/lab_to_rgb.safetensors") else {
        return;
    };
    let file = std::fs::read(file).unwrap();
    let lab = tensor::<B, 4>(&file, "network_lab").require_grad();
    let rgb = lab_to_rgb(lab.clone());
    let found = values(rgb.clone());
    let expected = values(tensor::<Flex, 4>(&file, "rgb"));
    let value_error = found
        .iter()
        .zip(&expected)
        .map(|(f, e)| (f - e).abs() / e.abs().max(1.0))
        .fold(0.0, f32::max);

    let weight: Tensor<B, 4> = tensor(&file, "weight");
    let gradient = lab.grad(&(rgb * weight).sum().backward()).unwrap();
    let expected = values(tensor::<Flex, 4>(&file, "grad"));
    let gradient_error = relative_error(&values(gradient), &expected);
    println!("rgb: {value_error:e}, gradient: {gradient_error:e}");
    assert!(value_error < 1e-5);
    assert!(gradient_error < 2e-3);
}
