//! Limits, properties and errors of the measures of sets.

use chimle_metrics::{
    Bootstrap, Draws, MetricsError, Moments, Neighborhoods, Rows, Statistics, Subsets,
    frechet_distance, frechet_estimate, kid, kid_estimate, neighborhoods,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Returns rows of correlated features with different variances, far from 0.
fn features(seed: u64, rows: usize, dimension: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut values = Vec::new();
    for _ in 0..rows {
        let common: f64 = rng.random();
        let feature = |i: usize, own: f64| 100.0 + common + own * (1 + i % 7) as f64;
        values.extend((0..dimension).map(|i| feature(i, rng.random())));
    }
    values
}

/// Returns the values with uniform noise added.
fn noisy(values: &[f64], deviation: f64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(99);
    let mut noise = || deviation * (12f64.sqrt() * (rng.random::<f64>() - 0.5));
    values.iter().map(|value| value + noise()).collect()
}

fn rows(values: &[f64], dimension: usize) -> Rows<'_, f64> {
    Rows::new(values, dimension).unwrap()
}

fn moments(values: &[f64], dimension: usize) -> Moments {
    Moments::of(rows(values, dimension))
}

fn trace(moments: &Moments) -> f64 {
    let covariance = moments.covariance().unwrap();
    covariance.iter().step_by(moments.dimension() + 1).sum()
}

#[test]
fn a_set_lies_at_no_distance_from_itself_singular_or_not() {
    for (count, dimension) in [(200, 12), (10, 80), (2, 40), (40, 300)] {
        let set = moments(&features(3, count, dimension), dimension);
        let distance = frechet_distance(&set, &set).unwrap();
        let share = distance.abs() / trace(&set);
        println!("{count} rows of {dimension}: {share:e} of the trace");
        assert!(share < 1e-9);
    }
}

#[test]
fn the_frechet_distance_is_symmetric_and_grows_with_noise() {
    let dimension = 20;
    for count in [15, 100] {
        let values = features(1, count, dimension);
        let set = moments(&values, dimension);
        let mut last = 0.0;
        for deviation in [0.1, 0.3, 1.0, 3.0] {
            let other = moments(&noisy(&values, deviation), dimension);
            let distance = frechet_distance(&set, &other).unwrap();
            let back = frechet_distance(&other, &set).unwrap();
            assert!((distance / back - 1.0).abs() < 1e-9);
            assert!(distance > last);
            last = distance;
        }
    }
}

#[test]
fn the_frechet_distance_of_one_feature_is_that_of_two_normal_distributions() {
    let (a, b) = ([1.0, 3.0, 5.0], [10.0, 10.5, 11.0, 11.5]);
    let deviation = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        (squares / (values.len() - 1) as f64).sqrt()
    };
    let apart = deviation(&a) - deviation(&b);
    let expected = (3.0f64 - 10.75).powi(2) + apart * apart;
    let found = frechet_distance(&moments(&a, 1), &moments(&b, 1)).unwrap();
    assert!((found - expected).abs() < 1e-9);
}

#[test]
fn moments_do_not_depend_on_how_rows_are_batched_nor_on_their_mean() {
    let dimension = 9;
    let mut values = features(5, 2500, dimension);
    let whole = moments(&values, dimension);
    let mut parts = [Moments::new(dimension), Moments::new(dimension)];
    for (k, batch) in values.chunks(7 * dimension).enumerate() {
        parts[k % 2].push(rows(batch, dimension)).unwrap();
    }
    let [mut streamed, other] = parts;
    streamed.merge(&other).unwrap();
    assert_eq!((streamed.count(), whole.count()), (2500, 2500));
    let apart = |a: &Moments, b: &Moments| {
        let (a, b) = (a.covariance().unwrap(), b.covariance().unwrap());
        let pairs = a.iter().zip(&b);
        pairs.fold(0.0f64, |most, (a, b)| most.max((a - b).abs()))
    };
    assert!(apart(&streamed, &whole) < 1e-11);
    values.iter_mut().for_each(|value| *value += 1e6);
    assert!(apart(&moments(&values, dimension), &whole) < 1e-6);

    // With integers, nothing is rounded.
    let small = moments(&[1.0, 10.0, 2.0, 30.0, 6.0, 20.0], 2);
    assert_eq!(small.mean(), [3.0, 20.0]);
    let expected = [7.0, 5.0, 5.0, 100.0];
    for (found, expected) in small.covariance().unwrap().into_iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12);
    }
}

#[test]
fn kid_is_near_0_for_halves_of_a_set_and_grows_with_a_shift() {
    let dimension = 8;
    let (a, b) = (features(1, 400, dimension), features(2, 300, dimension));
    let scaled = |values: &[f64], shift: f64| -> Vec<f64> {
        values.iter().map(|v| (v - 103.0) / 2.0 + shift).collect()
    };
    let a = scaled(&a, 0.0);
    let of = |shift| {
        let b = scaled(&b, shift);
        kid(rows(&a, dimension), rows(&b, dimension), None).unwrap()
    };
    assert!(of(0.0).abs() < 0.05 * of(0.5));
    assert!(of(0.5) < of(1.0));

    // Subsets as large as the sets are equal to the sets.
    let b = scaled(&b, 0.5);
    let (a, b) = (rows(&a, dimension), rows(&b, dimension));
    let all = Subsets {
        count: 3,
        size: 1000,
        seed: 0,
    };
    let found = kid(a, b, Some(&all)).unwrap();
    assert!((found / of(0.5) - 1.0).abs() < 1e-9);
    // Smaller subsets agree on average.
    let some = Subsets {
        count: 60,
        size: 100,
        seed: 0,
    };
    let found = kid(a, b, Some(&some)).unwrap();
    assert!((found / of(0.5) - 1.0).abs() < 0.1);
    let other = Subsets { seed: 1, ..some };
    assert_ne!(found, kid(a, b, Some(&other)).unwrap());
    assert_eq!(found, kid(a, b, Some(&some)).unwrap());
}

#[test]
fn kid_over_several_blocks_is_that_of_its_definition() {
    // There are more rows than in one block.
    let (n, m) = (1100, 1050);
    let (a, b) = (features(1, n, 1), features(2, m, 1));
    let kernel = |x: f64, y: f64| (x * y + 1.0).powi(3);
    let within = |set: &[f64]| {
        let mut sum = 0.0;
        for (i, x) in set.iter().enumerate() {
            sum += set[..i].iter().map(|y| 2.0 * kernel(*x, *y)).sum::<f64>();
        }
        sum / (set.len() * (set.len() - 1)) as f64
    };
    let between: f64 = a
        .iter()
        .flat_map(|x| b.iter().map(|y| kernel(*x, *y)))
        .sum();
    let expected = within(&a) + within(&b) - 2.0 * between / (n * m) as f64;
    let found = kid(rows(&a, 1), rows(&b, 1), None).unwrap();
    // The distance is a difference of kernel values near 100^6, which costs precision.
    assert!(
        (found / expected - 1.0).abs() < 1e-6,
        "{found} for {expected}"
    );
}

/// Computes the neighborhoods by their definition, pair by pair.
fn plain_neighborhoods(real: Rows<'_, f64>, generated: Rows<'_, f64>, k: usize) -> Neighborhoods {
    let squared =
        |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum() };
    let to = |row: &[f64], set: Rows<'_, f64>| -> Vec<f64> {
        (0..set.count()).map(|i| squared(row, set.row(i))).collect()
    };
    let radii = |set: Rows<'_, f64>| -> Vec<f64> {
        let radius = |i| {
            let mut distances = to(set.row(i), set);
            distances.sort_by(f64::total_cmp);
            distances[k]
        };
        (0..set.count()).map(radius).collect()
    };
    let (real_radii, generated_radii) = (radii(real), radii(generated));
    let near = |row: &[f64], set: Rows<'_, f64>, radii: &[f64]| {
        let distances = to(row, set).into_iter().zip(radii);
        distances
            .filter(|(distance, radius)| distance < radius)
            .count()
    };
    let is = |yes: bool| f64::from(u8::from(yes));
    let generated_rows = 0..generated.count();
    let balls: Vec<usize> = generated_rows
        .map(|j| near(generated.row(j), real, &real_radii))
        .collect();
    Neighborhoods {
        precision: balls.iter().map(|&count| is(count > 0)).collect(),
        density: balls.iter().map(|&count| count as f64 / k as f64).collect(),
        recall: (0..real.count())
            .map(|i| is(near(real.row(i), generated, &generated_radii) > 0))
            .collect(),
        coverage: (0..real.count())
            .map(|i| {
                is(to(real.row(i), generated)
                    .iter()
                    .any(|d| *d < real_radii[i]))
            })
            .collect(),
    }
}

#[test]
fn neighborhoods_are_those_of_their_definition() {
    for (seed, n, m, dimension, k) in [
        (1, 700, 40, 3, 5),
        (2, 60, 560, 16, 3),
        (3, 30, 30, 200, 1),
        (4, 6, 6, 2, 5),
    ] {
        let a = features(seed, n, dimension);
        let b = noisy(&features(seed + 10, m, dimension), 0.5);
        let (a, b) = (rows(&a, dimension), rows(&b, dimension));
        let found = neighborhoods(a, b, k).unwrap();
        assert_eq!(found, plain_neighborhoods(a, b, k));
        assert!(found.precision.contains(&1.0));
    }
}

#[test]
fn neighbors_that_f32_cannot_tell_apart_are_told_apart() {
    // All rows lie within 1e-9 of one another, except a last one far away that determines the center.
    let mut values: Vec<f64> = features(8, 90, 4);
    values
        .iter_mut()
        .for_each(|value| *value = 1.0 + *value * 1e-10);
    values.extend([1e6; 4]);
    let mut other = features(9, 50, 4);
    other
        .iter_mut()
        .for_each(|value| *value = 1.0 + *value * 1e-10);
    let (a, b) = (rows(&values, 4), rows(&other, 4));
    assert_eq!(
        neighborhoods(a, b, 3).unwrap(),
        plain_neighborhoods(a, b, 3)
    );
}

#[test]
fn a_set_covers_itself_and_a_far_one_is_not_near() {
    let values = features(1, 50, 5);
    let far: Vec<f64> = values.iter().map(|value| value + 1000.0).collect();
    let set = rows(&values, 5);
    let all = |values: &[f64], expected: f64| values.iter().all(|&value| value == expected);
    let same = neighborhoods(set, set, 3).unwrap();
    assert!(all(&same.precision, 1.0) && all(&same.recall, 1.0) && all(&same.coverage, 1.0));
    let apart = neighborhoods(set, rows(&far, 5), 3).unwrap();
    assert!(all(&apart.precision, 0.0) && all(&apart.density, 0.0));
    assert!(all(&apart.recall, 0.0) && all(&apart.coverage, 0.0));
    // All generated rows are equal.
    let one = values[..5].repeat(50);
    let collapsed = neighborhoods(set, rows(&one, 5), 3).unwrap();
    assert!(all(&collapsed.precision, 1.0) && all(&collapsed.recall, 0.0));
    assert!(collapsed.coverage.iter().sum::<f64>() < 15.0);
}

#[test]
fn intervals_hold_the_value_repeat_and_narrow_with_more_images() {
    let dimension = 6;
    let real = features(1, 500, dimension);
    let widths = [40, 160].map(|count| {
        let generated = noisy(&features(2, count, dimension), 1.0);
        let (a, b) = (rows(&real, dimension), rows(&generated, dimension));
        let bootstrap = Bootstrap {
            resamples: 100,
            seed: 4,
        };
        let (of_real, draws) = (bootstrap.draws(500), bootstrap.draws(count));
        let reference = Moments::of(a);
        let frechet = frechet_estimate(&reference, b, &draws).unwrap();
        let distance = frechet_distance(&reference, &Moments::of(b)).unwrap();
        assert_eq!(frechet.value, distance);
        let kernel = kid_estimate(a, b, None, &of_real, &draws).unwrap();
        let expected = kid(a, b, None).unwrap();
        assert!((kernel.value / expected - 1.0).abs() < 1e-9);
        assert_eq!(kernel, kid_estimate(a, b, None, &of_real, &draws).unwrap());
        [frechet, kernel].map(|estimate| {
            let [low, high] = estimate.interval;
            assert!(low < estimate.value && estimate.value < high);
            high - low
        })
    });
    assert!(widths[1][0] < 0.8 * widths[0][0]);
    assert!(widths[1][1] < 0.8 * widths[0][1]);
}

#[test]
fn a_resample_has_the_distance_of_its_rows() {
    // The first case has fewer rows than the reference's rank, the second one more.
    for (count, dimension) in [(5, 12), (40, 4)] {
        let reference = moments(&features(1, 60, dimension), dimension);
        let values = noisy(&features(2, count, dimension), 0.4);
        let bootstrap = Bootstrap {
            resamples: 1,
            seed: 8,
        };
        // With a single resample, the shifted interval is the value itself.
        let draws = bootstrap.draws(count);
        let estimate = frechet_estimate(&reference, rows(&values, dimension), &draws).unwrap();
        assert_eq!(estimate.interval, [estimate.value; 2]);
        let several = Bootstrap {
            resamples: 2,
            seed: 8,
        };
        let draws = several.draws(count);
        let estimate = frechet_estimate(&reference, rows(&values, dimension), &draws).unwrap();
        let of_resample = |drawn: &[usize]| {
            let drawn: Vec<f64> = drawn
                .iter()
                .flat_map(|i| values[i * dimension..][..dimension].to_vec())
                .collect();
            frechet_distance(&reference, &moments(&drawn, dimension)).unwrap()
        };
        // Repeats the draws.
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let mut resample =
            || -> Vec<usize> { (0..count).map(|_| rng.random_range(0..count)).collect() };
        let (first, second) = (of_resample(&resample()), of_resample(&resample()));
        let width = estimate.interval[1] - estimate.interval[0];
        // The ends of the interval lie at 2.5% and 97.5% between the two resampled values.
        let expected = 0.95 * (first - second).abs();
        assert!(
            (width / expected - 1.0).abs() < 1e-6,
            "{width} for {expected}"
        );
    }
}

#[test]
fn samples_of_one_image_are_drawn_together() {
    let dimension = 3;
    let reference = moments(&features(1, 30, dimension), dimension);
    let images = features(2, 20, dimension);
    // With four equal samples per image, the interval is about as wide as with one.
    let repeated: Vec<f64> = images
        .chunks(dimension)
        .flat_map(|row| row.repeat(4))
        .collect();
    let bootstrap = Bootstrap {
        resamples: 200,
        seed: 0,
    };
    let width = |values: &[f64], draws: Draws| {
        let estimate = frechet_estimate(&reference, rows(values, dimension), &draws).unwrap();
        estimate.interval[1] - estimate.interval[0]
    };
    let once = width(&images, bootstrap.draws(20));
    let together = width(&repeated, bootstrap.draws(20).with_rows_per_image(4));
    let apart = width(&repeated, bootstrap.draws(80));
    assert!((together / once - 1.0).abs() < 0.15);
    assert!(apart < 0.7 * together);
}

#[test]
fn statistics_come_back_from_their_file_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statistics.safetensors");
    let mut statistics = Statistics::new("made up", 3);
    let values: Vec<f32> = features(1, 10, 3).iter().map(|v| *v as f32).collect();
    statistics.push(&values[..12]).unwrap();
    statistics.push(&values[12..]).unwrap();
    statistics.save(&path).unwrap();
    let loaded = Statistics::load(&path).unwrap();
    assert_eq!((loaded.extractor(), loaded.count()), ("made up", 10));
    assert_eq!(loaded.rows().row(4), &values[12..15]);
    let distance = frechet_distance(statistics.moments(), loaded.moments()).unwrap();
    assert!(distance.abs() < 1e-9);

    let message = |path| Statistics::load(path).unwrap_err().to_string();
    let absent = folder.path().join("absent");
    assert!(message(&absent).contains("absent"));
    std::fs::write(&path, b"not one").unwrap();
    assert!(message(&path).contains("statistics.safetensors holds no statistics"));
    let mut few = Statistics::new("made up", 3);
    few.push(&values[..3]).unwrap();
    assert!(matches!(few.save(&path), Err(MetricsError::TooFew { .. })));
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let values = features(1, 6, 4);
    let (set, one) = (rows(&values, 4), rows(&values[..4], 4));
    let other = rows(&values, 3);
    let too_few = |result: Result<f64, MetricsError>| {
        assert!(
            matches!(result, Err(MetricsError::TooFew { .. })),
            "{result:?}"
        );
    };
    let unlike = |result: Result<f64, MetricsError>| {
        assert!(
            matches!(result, Err(MetricsError::Dimensions { .. })),
            "{result:?}"
        );
    };
    too_few(frechet_distance(&Moments::of(set), &Moments::of(one)));
    unlike(frechet_distance(&Moments::of(set), &Moments::of(other)));
    too_few(kid(one, set, None));
    unlike(kid(set, other, None));
    too_few(neighborhoods(set, set, 6).map(|_| 0.0));
    too_few(neighborhoods(set, set, 0).map(|_| 0.0));
    unlike(neighborhoods(set, other, 2).map(|_| 0.0));
    assert!(Rows::new(&values, 5).is_err());
    assert!(Rows::new(&values, 0).is_err());
    let error = Rows::new(&[0.0f32, 1.0, f32::NAN, 3.0], 2).unwrap_err();
    assert_eq!(error, MetricsError::NotFinite { row: 1 });
    let draws = Bootstrap {
        resamples: 3,
        seed: 0,
    }
    .draws(5);
    let error = frechet_estimate(&Moments::of(set), set, &draws).unwrap_err();
    assert!(error.to_string().contains("5 images"), "{error}");
}
