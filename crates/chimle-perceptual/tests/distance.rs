//! Distances, without published weights.

use burn::backend::Autodiff;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use chimle_perceptual::{
    Distance, Features, ImageDistance, Lpips, Rows, Selection, TrainingDistance, Vgg16Config,
    WeightFile,
};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

type Diff = Autodiff<Flex>;

/// Returns all values of a tensor.
fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().unwrap()
}

/// Returns `n` patternless values in [0, 1], the same in every run.
fn noise(n: usize, seed: usize) -> Vec<f32> {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..n).map(|_| next()).collect()
}

fn images<B: Backend>(shape: [usize; 4]) -> Tensor<B, 4> {
    other_images(shape, 0)
}

/// Returns images that are different for each `seed`.
fn other_images<B: Backend>(shape: [usize; 4], seed: usize) -> Tensor<B, 4> {
    let values = noise(shape.iter().product(), seed);
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

const WIDTHS: [usize; 5] = [12, 12, 16, 16, 20];

/// The numbers of VGG16's convolutions in torchvision, block by block.
const LAYERS: [&[usize]; 5] = [
    &[0, 2],
    &[5, 7],
    &[10, 12, 14],
    &[17, 19, 21],
    &[24, 26, 28],
];

/// Returns LPIPS on a network that is narrow enough for a test. Its weights are noise, read from a
/// file.
fn narrow_lpips<B: Backend>() -> ImageDistance<B> {
    let mut parameters = Vec::new();
    let mut channels = 3;
    for (k, (layers, width)) in LAYERS.iter().zip(WIDTHS).enumerate() {
        for layer in *layers {
            // The weights are uniform with variance 2 / fan-in, so that no block's features vanish.
            let bound = (6.0 / (channels * 9) as f32).sqrt();
            let weight = noise(width * channels * 9, *layer);
            let weight = weight.iter().map(|v| (2.0 * v - 1.0) * bound).collect();
            let shape = vec![width, channels, 3, 3];
            parameters.push((format!("features.{layer}.weight"), shape, weight));
            let bias = vec![0.0; width];
            parameters.push((format!("features.{layer}.bias"), vec![width], bias));
            channels = width;
        }
        let weight = noise(width, 100 + k);
        parameters.push((
            format!("lin{k}.model.1.weight"),
            vec![1, width, 1, 1],
            weight,
        ));
    }
    let bytes =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let stored: Vec<_> = parameters
        .into_iter()
        .map(|(name, shape, values): (String, Vec<usize>, Vec<f32>)| (name, shape, bytes(&values)))
        .collect();
    let views = stored.iter().map(|(name, shape, bytes)| {
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
        )
    });

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("narrow.safetensors");
    serialize_to_file(views, None, &path).unwrap();
    let (file, device) = (WeightFile::open(&path).unwrap(), Default::default());
    let vgg = Vgg16Config::new()
        .with_widths(WIDTHS)
        .load(&file, &device)
        .unwrap();
    assert_eq!(vgg.widths(), WIDTHS);
    ImageDistance::Lpips(Lpips::weighted(vgg, &file, &device).unwrap())
}

fn all<B: Backend>() -> [ImageDistance<B>; 5] {
    [
        ImageDistance::L1,
        ImageDistance::L2,
        ImageDistance::LaplacianPyramid,
        narrow_lpips(),
        ImageDistance::Sum(vec![(0.5, ImageDistance::L2), (2.0, narrow_lpips())]),
    ]
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        let close = (f - e).abs() <= 1e-5 * e.abs().max(1.0);
        assert!(close, "{found:?}, expected {expected:?}");
    }
}

#[test]
fn a_sum_weights_its_terms() {
    let shape = [2, 3, 20, 33];
    let (a, b) = (images::<Flex>(shape), other_images::<Flex>(shape, 1));
    let between = |distance: ImageDistance<Flex>| values(distance.between(a.clone(), b.clone()));
    let terms = [
        narrow_lpips(),
        ImageDistance::LaplacianPyramid,
        ImageDistance::L1,
    ];
    let weights = [0.5, 3.0, 1.0];
    let mut expected = vec![0.0; 2];
    for (term, weight) in terms.iter().zip(weights) {
        for (sum, value) in expected.iter_mut().zip(between(term.clone())) {
            *sum += weight as f32 * value;
        }
    }
    let sum = ImageDistance::Sum(weights.into_iter().zip(terms).collect());
    assert_close(&between(sum), &expected);
}

#[test]
fn only_the_search_uses_the_search_distance() {
    let shape = [2, 3, 20, 33];
    let separate = ImageDistance::Separate {
        loss: Box::new(narrow_lpips::<Diff>()),
        search: Box::new(ImageDistance::L1),
    };
    let (a, b) = (images::<Diff>(shape), other_images::<Diff>(shape, 1));
    let loss = values(narrow_lpips().between(a.clone(), b.clone()));
    assert_close(&values(separate.between(a, b)), &loss);
    let (a, b) = (images::<Flex>(shape), other_images::<Flex>(shape, 1));
    assert_close(
        &values(separate.valid().between(a.clone(), b.clone())),
        &loss,
    );
    let searched = values(separate.for_search().between(a.clone(), b.clone()));
    assert_close(&searched, &values(ImageDistance::L1.between(a, b)));
}

#[test]
fn pixel_distances_are_means() {
    let device = Default::default();
    let a = Tensor::<Flex, 4>::zeros([1, 3, 2, 2], &device);
    let b = a.clone().slice_fill([0..1, 0..1, 0..1, 0..2], 0.5);
    // Two of the twelve values differ, by 0.5.
    let l1 = values(ImageDistance::L1.between(a.clone(), b.clone()));
    let l2 = values(ImageDistance::L2.between(a, b));
    assert_close(&l1, &[2.0 * 0.5 / 12.0]);
    assert_close(&l2, &[2.0 * 0.25 / 12.0]);
}

#[test]
fn a_uniform_change_lies_in_the_last_band() {
    let a = images::<Flex>([2, 3, 13, 22]) * 0.5;
    let d = ImageDistance::LaplacianPyramid.between(a.clone(), a + 0.25);
    assert_close(&values(d), &[0.25, 0.25]);
}

#[test]
fn bands_halve_until_the_image_is_small() {
    let sides = |h, w| -> Vec<[usize; 2]> {
        let features = ImageDistance::<Flex>::LaplacianPyramid.features(images([1, 3, h, w]));
        let side = |band: &Tensor<Flex, 4>| [band.dims()[2], band.dims()[3]];
        features.0.iter().map(side).collect()
    };
    assert_eq!(sides(1, 1), [[1, 1]]);
    assert_eq!(sides(7, 13), [[7, 13], [4, 7], [2, 4]]);
    let large = sides(256, 256);
    assert_eq!(large.len(), 5);
    assert_eq!(large[4], [16, 16]);
}

#[test]
fn any_size_has_a_finite_distance_and_gradient() {
    for [h, w] in [[1, 1], [1, 5], [3, 4], [5, 1], [9, 17], [16, 7]] {
        for distance in all::<Diff>() {
            let a = images::<Diff>([2, 3, h, w]).require_grad();
            let d = distance.between(a.clone(), other_images([2, 3, h, w], 1));
            assert_eq!(d.dims(), [2]);
            let gradient = values(a.grad(&d.clone().sum().backward()).unwrap());
            assert!(values(d).iter().all(|v| v.is_finite() && *v > 0.0));
            assert!(gradient.iter().all(|v| v.is_finite()));
        }
    }
}

#[test]
fn equal_images_have_distance_and_gradient_zero() {
    // In an image of ImageNet's mean color, all features and therefore their norms are zero.
    let mean = Tensor::<Diff, 1>::from_floats([0.485, 0.456, 0.406], &Default::default());
    let mean = mean.reshape([1, 3, 1, 1]).expand([1, 3, 16, 16]);
    for distance in all::<Diff>() {
        for image in [images([1, 3, 16, 16]), mean.clone()] {
            let a = image.clone().require_grad();
            let d = distance.between(a.clone(), image);
            let gradient = values(a.grad(&d.clone().sum().backward()).unwrap());
            assert_eq!(values(d), [0.0]);
            assert!(gradient.iter().all(|v| *v == 0.0));
        }
    }
}

#[test]
fn broadcasting_over_targets_equals_one_to_one() {
    let targets = images::<Flex>([2, 3, 18, 16]);
    let candidates = other_images::<Flex>([6, 3, 18, 16], 1);
    let repeated = targets
        .clone()
        .reshape([2, 1, 3 * 18 * 16])
        .repeat_dim(1, 3)
        .reshape([6, 3, 18, 16]);
    for distance in all::<Flex>() {
        let shared = distance.distance(candidates.clone(), &distance.features(targets.clone()));
        let single = distance.between(candidates.clone(), repeated.clone());
        assert_close(&values(shared), &values(single));
    }
}

#[test]
fn selected_features_are_those_of_the_selected_images() {
    let rgb = images::<Flex>([4, 3, 16, 16]);
    let rows = Selection::indices([3, 0, 3]);
    for distance in all::<Flex>() {
        let features = distance.features(rgb.clone());
        assert_eq!(features.rows(), 4);
        let selected = distance.compare(
            &features.select_rows(&rows),
            &distance.features(rgb.select_rows(&rows)),
        );
        assert_close(&values(selected), &[0.0; 3]);
        let range = |rows| features.select_rows(&Selection::range(rows));
        let sliced = distance.compare(&range(1..3), &range(1..2));
        let direct = distance.distance(rgb.clone().narrow(0, 1, 2), &range(1..2));
        assert_close(&values(sliced), &values(direct));
        let joined = Features::concat(vec![range(2..4), range(0..1)]);
        let rows = Tensor::cat(
            vec![rgb.clone().narrow(0, 2, 2), rgb.clone().narrow(0, 0, 1)],
            0,
        );
        let same = distance.distance(rows, &joined);
        assert_close(&values(same), &[0.0; 3]);
    }
}

#[test]
fn embedded_features_have_the_distance_between_them() {
    let (a, b) = (
        images::<Flex>([3, 3, 20, 17]),
        other_images::<Flex>([3, 3, 20, 17], 1),
    );
    for distance in all::<Flex>() {
        let embed = |rgb: &Tensor<Flex, 4>| distance.embed(&distance.features(rgb.clone()));
        let (Some(of_a), Some(of_b)) = (embed(&a), embed(&b)) else {
            assert!(matches!(
                distance,
                ImageDistance::L1 | ImageDistance::LaplacianPyramid
            ));
            continue;
        };
        let squared = (of_a - of_b).square().sum_dim(1);
        let expected = values(distance.between(a.clone(), b.clone()));
        assert_close(&values(squared), &expected);
    }
}

#[test]
#[should_panic(expected = "5 images cannot be shared evenly among 2 targets")]
fn uneven_sharing_is_refused() {
    let targets = ImageDistance::<Flex>::L1.features(images([2, 3, 4, 4]));
    ImageDistance::L1.distance(images([5, 3, 4, 4]), &targets);
}

#[test]
fn gradients_agree_with_finite_differences() {
    for (k, distance) in all::<Diff>().into_iter().enumerate() {
        let shape = [2, 3, 17, 20];
        let b = other_images::<Diff>(shape, 1);
        let target = ImageDistance::<Diff>::constants(distance.valid().features(b.clone().inner()));
        let a = images::<Diff>(shape).require_grad();
        // The direction is towards the target, which makes the slope much larger than rounding errors,
        // plus noise.
        let direction = b - a.clone() + (other_images::<Diff>(shape, 2) - 0.5);
        let step = 1e-4;

        let d = distance.distance(a.clone(), &target).sum();
        let gradient = Tensor::<Diff, 4>::from_inner(a.grad(&d.backward()).unwrap());
        let slope = (gradient * direction.clone()).sum().into_scalar();
        let at = |t: f32| {
            let moved = a.clone() + direction.clone() * t;
            distance.distance(moved, &target).sum().into_scalar()
        };
        let expected = (at(step) - at(-step)) / (2.0 * step);
        // The kinks of |d|, ReLU and max pooling require a short step, which costs precision.
        let error = (slope - expected).abs() / expected.abs();
        assert!(error < 0.02, "distance {k}: {slope}, expected {expected}");
    }
}

#[test]
fn without_autodiff_the_distance_is_the_same() {
    let shape = [2, 3, 16, 16];
    let (a, b) = (images::<Diff>(shape), other_images::<Diff>(shape, 1));
    for (k, distance) in all::<Diff>().into_iter().enumerate() {
        let inner = distance
            .valid()
            .between(a.clone().inner(), b.clone().inner());
        let outer = distance.between(a.clone(), b.clone());
        let (inner, outer) = (values(inner), values(outer));
        assert_eq!(inner.len(), 2);
        for (inner, outer) in inner.into_iter().zip(outer) {
            // For equal images, both would be zero even if the code were wrong.
            assert!(inner > 0.0, "distance {k}: {inner}");
            let error = (inner - outer).abs() / inner;
            assert!(error < 1e-6, "distance {k}: {inner} and {outer}");
        }
    }
}

#[test]
fn small_images_are_enlarged_by_nearest_neighbour() {
    let distance = narrow_lpips::<Flex>();
    let (a, b) = (
        images::<Flex>([1, 3, 8, 8]),
        other_images::<Flex>([1, 3, 8, 8], 1),
    );
    let doubled = |x: Tensor<Flex, 4>| {
        x.reshape([1, 3, 8, 1, 8, 1])
            .expand([1, 3, 8, 2, 8, 2])
            .reshape([1, 3, 16, 16])
    };
    let small = distance.between(a.clone(), b.clone());
    let large = distance.between(doubled(a), doubled(b));
    assert_close(&values(small), &values(large));
}
