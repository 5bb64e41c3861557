//! Limits, properties and errors of the measures.

use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Tensor};
use burn_flex::Flex;
use chimle_metrics::{
    Better, Bootstrap, ImageView, MetricsError, Summary, diversity, expected_coverage,
    faithfulness_weighted_variance, mode_coverage, mode_radius, ms_ssim, psnr, ssim,
};
use chimle_perceptual::{Distance, ImageDistance};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Returns `n` patternless values in [0, 1].
fn noise(n: usize) -> Vec<f32> {
    let hash = |i: usize| (i as u32).wrapping_mul(2_654_435_761) >> 8;
    (0..n)
        .map(|i| hash(i + 1) as f32 / (1 << 24) as f32)
        .collect()
}

#[test]
fn psnr_of_a_known_error_and_of_equal_images() {
    let a = [0.2f32; 12];
    assert_eq!(psnr(&a, &a).unwrap(), f64::INFINITY);
    assert!((psnr(&a, &[0.3; 12]).unwrap() - 20.0).abs() < 1e-5);
    let error = psnr(&a, &[0.0; 11]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "images differ in length: 12 and 11 values"
    );
    assert!(psnr(&[], &[]).is_err());
}

#[test]
fn ssim_is_one_for_equal_images_symmetric_and_lower_for_worse_ones() {
    let shape = [2, 12, 15];
    let a = noise(2 * 12 * 15);
    let blend = |t: f32| -> Vec<f32> { a.iter().map(|v| v * (1.0 - t) + 0.5 * t).collect() };
    let (near, far) = (blend(0.2), blend(0.7));
    let of = |x: &[f32], y: &[f32]| {
        let view = |values| ImageView::new(values, shape).unwrap();
        ssim(view(x), view(y)).unwrap()
    };
    assert!((of(&a, &a) - 1.0).abs() < 1e-12);
    assert!((of(&a, &near) - of(&near, &a)).abs() < 1e-12);
    assert!(of(&a, &far) < of(&a, &near) && of(&a, &near) < 1.0);
}

#[test]
fn ssim_of_flat_images_is_that_of_their_means() {
    // Without variance, only the factor of luminance remains: (2 m n + C1) / (m^2 + n^2 + C1).
    let (a, b) = ([0.4f32; 121], [0.8f32; 121]);
    let view = |values| ImageView::new(values, [1, 11, 11]).unwrap();
    let expected = (2.0 * 0.4 * 0.8 + 1e-4) / (0.16 + 0.64 + 1e-4);
    assert!((ssim(view(&a), view(&b)).unwrap() - expected).abs() < 1e-7);
}

#[test]
fn ssim_refuses_images_it_cannot_measure() {
    let values = noise(3 * 10 * 20);
    let small = ImageView::new(&values, [3, 10, 20]).unwrap();
    let turned = ImageView::new(&values, [3, 20, 10]).unwrap();
    let message = ssim(small, small).unwrap_err().to_string();
    let expected = "an image of 10 x 20 px is smaller than the window of 11 px";
    assert_eq!(message, expected);
    assert!(matches!(
        ssim(small, turned),
        Err(MetricsError::Shapes { .. })
    ));
    assert!(ImageView::new(&values, [3, 10, 21]).is_err());
}

#[test]
fn summary_takes_the_better_end() {
    let values = [3.0, 1.0, 2.0, 6.0];
    let lower = Summary::of(&values, Better::Lower).unwrap();
    let higher = Summary::of(&values, Better::Higher).unwrap();
    assert_eq!((lower.samples, lower.best, lower.mean), (4, 1.0, 3.0));
    assert_eq!(higher.best, 6.0);
    assert!((lower.deviation - 3.5f64.sqrt()).abs() < 1e-12);
    assert_eq!(Summary::of(&[5.0], Better::Lower).unwrap().deviation, 0.0);
    assert!(Summary::of(&[], Better::Lower).is_err());
    let with_nan = Summary::of(&[1.0, f64::NAN, 0.0], Better::Lower).unwrap();
    assert!(with_nan.best.is_nan() && with_nan.mean.is_nan());
}

#[test]
fn ms_ssim_is_one_for_equal_images_lower_for_worse_ones_and_needs_176_pixels() {
    let shape = [1, 176, 177];
    let a = noise(176 * 177);
    let blend = |t: f32| -> Vec<f32> { a.iter().map(|v| v * (1.0 - t) + 0.5 * t).collect() };
    let (near, far) = (blend(0.2), blend(0.7));
    let of = |x: &[f32], y: &[f32]| {
        let view = |values| ImageView::new(values, shape).unwrap();
        ms_ssim(view(x), view(y)).unwrap()
    };
    assert!((of(&a, &a) - 1.0).abs() < 1e-9);
    assert!(of(&a, &far) < of(&a, &near) && of(&a, &near) < 1.0);
    // Compared with its negative, an image has negative structure, which has no fractional power.
    let negative: Vec<f32> = a.iter().map(|v| 1.0 - v).collect();
    assert_eq!(of(&a, &negative), 0.0);
    let small = ImageView::new(&a[..175 * 177], [1, 175, 177]).unwrap();
    let error = ms_ssim(small, small).unwrap_err().to_string();
    let expected = "an image of 175 x 177 px is smaller than the window of 176 px";
    assert_eq!(error, expected);
}

#[test]
fn coverage_counts_distinct_outputs_within_the_radius() {
    let nearest = [(2, 0.1), (0, 0.9), (2, 0.2), (2, 3.0)];
    assert_eq!(mode_coverage(&nearest, 4, f64::INFINITY), Ok(2));
    assert_eq!(mode_coverage(&nearest, 4, 0.9), Ok(1));
    assert_eq!(mode_coverage(&nearest, 4, 0.15), Ok(1));
    assert_eq!(mode_coverage(&nearest, 4, 0.1), Ok(0));
    assert_eq!(mode_coverage(&nearest[1..2], 4, 0.5), Ok(0));
    assert_eq!(mode_coverage(&[], 4, 1.0), Ok(0));
    let error = mode_coverage(&[(1, 0.0), (4, 0.0)], 4, 1.0).unwrap_err();
    let expected = "sample 1 is nearest to output 4, but there are only 4 outputs";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn the_radius_is_half_of_the_smallest_distance() {
    assert_eq!(mode_radius([3.0, 1.0, 2.0]), 0.5);
    assert_eq!(mode_radius([]), f64::INFINITY);
}

#[test]
fn a_model_of_one_output_has_no_diversity_and_finds_one_of_k() {
    let (k, samples) = (4, 8);
    let same = Tensor::<Flex, 4>::full([samples, 3, 8, 8], 0.3, &Default::default());
    for distance in [ImageDistance::L1, ImageDistance::LaplacianPyramid] {
        assert_eq!(diversity(&distance, same.clone()), Ok(0.0));
    }
    let reached = mode_coverage(&vec![(2, 0.0); samples], k, mode_radius([1.0]));
    assert_eq!(reached, Ok(1));
    // All samples are equal to their mean.
    let found = faithfulness_weighted_variance(&vec![0.1; samples], &vec![0.0; samples], 0.2);
    assert_eq!(found, Ok(0.0));
}

#[test]
fn faithfulness_weights_fall_off_as_a_normal_distribution() {
    let of = |truth: f64, sigma| faithfulness_weighted_variance(&[truth], &[0.5], sigma).unwrap();
    assert_eq!(of(0.0, 0.2), 0.5);
    for sigma in [0.15, 0.2, 0.3] {
        assert!((of(sigma, sigma) - 0.5 * (-0.5f64).exp()).abs() < 1e-12);
        assert!((of(2.0 * sigma, sigma) - 0.5 * (-2f64).exp()).abs() < 1e-12);
    }
    let two = faithfulness_weighted_variance(&[0.1, 0.3], &[0.5, 0.2], 0.2).unwrap();
    let expected = 0.5 * (-0.125f64).exp() + 0.2 * (-1.125f64).exp();
    assert!((two - expected).abs() < 1e-12);
    assert!(faithfulness_weighted_variance(&[0.1], &[0.1, 0.2], 0.2).is_err());
    assert!(faithfulness_weighted_variance(&[], &[], 0.2).is_err());
    for sigma in [0.0, -1.0, f64::NAN] {
        let found = faithfulness_weighted_variance(&[0.1], &[0.1], sigma);
        assert_eq!(found, Err(MetricsError::Bandwidth));
    }
}

#[test]
fn nine_in_ten_intervals_and_more_hold_the_mean_drawn_from() {
    let bootstrap = Bootstrap {
        resamples: 400,
        seed: 1,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let values: Vec<f64> = (0..200 * 40).map(|_| rng.random()).collect();
    let sets = values.chunks(40);
    let holds = |set: &[f64]| {
        let [low, high] = bootstrap.of_mean(set);
        low < 0.5 && 0.5 < high
    };
    let holding = sets.filter(|set| holds(set)).count();
    assert!((180..=198).contains(&holding), "{holding} of 200");
    assert_eq!(bootstrap.of_mean(&[3.0]), [3.0, 3.0]);
    assert!(bootstrap.of_mean(&[]).iter().all(|end| end.is_nan()));
    assert_eq!(bootstrap.of_mean(&[f64::INFINITY; 2]), [f64::INFINITY; 2]);
}

#[test]
fn expected_coverage_is_the_mean_over_all_draws() {
    // The mean over all 3^4 draws of 4 samples from 3 outputs.
    let digits = |draw: usize| [draw % 3, draw / 3 % 3, draw / 9 % 3, draw / 27 % 3];
    let found = |draw| digits(draw).map(|output| (output, 0.0));
    let total: usize = (0..81)
        .map(|draw| mode_coverage(&found(draw), 3, 1.0).unwrap())
        .sum();
    assert!((expected_coverage(3, 4) - total as f64 / 81.0).abs() < 1e-12);
    assert_eq!(expected_coverage(5, 0), 0.0);
    assert_eq!(expected_coverage(1, 7), 1.0);
    assert_eq!(expected_coverage(0, 3), 0.0);
}

#[test]
fn diversity_is_the_mean_over_pairs() {
    let device = Default::default();
    let uniform = Distribution::Uniform(0.0, 1.0);
    let samples = Tensor::<Flex, 4>::random([4, 3, 8, 8], uniform, &device);
    let row = |i: usize| samples.clone().narrow(0, i, 1);
    for distance in [ImageDistance::L2, ImageDistance::LaplacianPyramid] {
        let mut sum = 0.0;
        for i in 0..4 {
            for j in 0..i {
                sum += f64::from(distance.between(row(i), row(j)).into_scalar());
            }
        }
        let found = diversity(&distance, samples.clone()).unwrap();
        assert!((found - sum / 6.0).abs() < 1e-6);
    }
    let equal = row(0).repeat_dim(0, 3);
    assert_eq!(diversity(&ImageDistance::L1, equal), Ok(0.0));
    let error = diversity(&ImageDistance::L1, row(0)).unwrap_err();
    assert_eq!(
        error,
        MetricsError::TooFew {
            found: 1,
            needed: 2
        }
    );
}

/// The distance between two numbers.
struct Apart;

impl<B: Backend> Distance<B> for Apart {
    type Output = Tensor<B, 1>;
    type Features = Tensor<B, 1>;

    fn features(&self, numbers: Tensor<B, 1>) -> Tensor<B, 1> {
        numbers
    }

    fn compare(&self, candidates: &Tensor<B, 1>, targets: &Tensor<B, 1>) -> Tensor<B, 1> {
        let ([n], [g]) = (candidates.dims(), targets.dims());
        let difference = candidates.clone().reshape([g, n / g]) - targets.clone().reshape([g, 1]);
        difference.abs().reshape([n])
    }
}

#[test]
fn diversity_takes_any_distance_and_any_kind_of_sample() {
    let samples = Tensor::<Flex, 1>::from_floats([1.0, 4.0, 6.0], &Default::default());
    let found = diversity(&Apart, samples).unwrap();
    assert!((found - (3.0 + 5.0 + 2.0) / 3.0).abs() < 1e-6, "{found}");
}
