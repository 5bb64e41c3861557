//! Where candidates come from.

#[path = "../../chimle-nn/tests/small/mod.rs"]
mod small;

use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use chimle_imle::{CodePool, GivenPool, SeededPool};
use chimle_nn::{Architecture, LatentCode};
use small::{config, values};

const SIZE: [usize; 2] = [4, 6];

fn pool(seed: u64) -> SeededPool {
    SeededPool::new(&config(Architecture::ImageToImage, 2), seed)
}

fn product(
    examples: std::ops::Range<usize>,
    candidates: std::ops::Range<usize>,
) -> Vec<(usize, usize)> {
    examples
        .flat_map(|example| candidates.clone().map(move |k| (example, k)))
        .collect()
}

fn draw(
    pool: &SeededPool,
    level: usize,
    examples: std::ops::Range<usize>,
    candidates: std::ops::Range<usize>,
) -> (Vec<f32>, Vec<f32>) {
    let rows = product(examples, candidates);
    let code: LatentCode<Flex> = pool.draw(level, &rows, SIZE, &Default::default());
    (values(code.global), values(code.local))
}

#[test]
fn codes_do_not_depend_on_the_chunks_they_are_drawn_in() {
    let pool = pool(7);
    let code: LatentCode<Flex> = pool.draw(1, &product(3..5, 10..13), SIZE, &Default::default());
    assert_eq!(code.global.dims(), [6, 12]);
    assert_eq!(code.local.dims(), [6, 2, 4, 6]);

    let (mut global, mut local) = (Vec::new(), Vec::new());
    for example in 3..5 {
        for candidates in [10..11, 11..13] {
            let part = draw(&pool, 1, example..example + 1, candidates);
            global.extend(part.0);
            local.extend(part.1);
        }
    }
    assert_eq!(values(code.global), global);
    assert_eq!(values(code.local), local);
}

#[test]
fn codes_by_row_are_those_drawn() {
    let pool = pool(7);
    let rows = [(4, 11), (0, 0), (4, 10)];
    let code: LatentCode<Flex> = pool.codes(1, rows.into_iter(), SIZE, &Default::default());
    for (k, (example, candidate)) in rows.into_iter().enumerate() {
        let one = draw(&pool, 1, example..example + 1, candidate..candidate + 1);
        assert_eq!(values(code.global.clone().narrow(0, k, 1)), one.0);
        assert_eq!(values(code.local.clone().narrow(0, k, 1)), one.1);
    }
}

#[test]
fn every_seed_level_example_and_candidate_has_codes_of_its_own() {
    let one = |seed, level, example: usize, candidate: usize| {
        let (mut all, local) = draw(
            &pool(seed),
            level,
            example..example + 1,
            candidate..candidate + 1,
        );
        all.extend(local);
        all
    };
    let codes = [
        one(0, 0, 0, 0),
        one(1, 0, 0, 0),
        one(0, 1, 0, 0),
        one(0, 0, 1, 0),
        one(0, 0, 0, 1),
        one(0, 0, 1, 1),
        one(0, 0, 1 << 24, 0),
        one(0, 0, 0, (1 << 24) - 1),
    ];
    assert_eq!(codes[0], one(0, 0, 0, 0));
    for (k, a) in codes.iter().enumerate() {
        for b in &codes[..k] {
            // Not one value is shared, as would be if one code were another one shifted.
            assert!(a.iter().all(|v| !b.contains(v)));
        }
    }
}

#[test]
fn codes_are_standard_normal_and_independent() {
    let (global, local) = draw(&pool(3), 0, 0..20, 0..50);
    for values in [&global, &local] {
        let n = values.len() as f64;
        let moment = |p| values.iter().map(|v| f64::from(*v).powi(p)).sum::<f64>() / n;
        let bound = 5.0 / n.sqrt();
        assert!(moment(1).abs() < bound, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 2f64.sqrt() * bound);
        // 3 for a normal distribution; 1.8 for a uniform one.
        assert!((moment(4) - 3.0).abs() < 96f64.sqrt() * bound);
    }
    // Candidates of one example, and the two parts of one code, are not correlated.
    let correlation = |a: &[f32], b: &[f32]| {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(a * b));
        products.sum::<f64>() / (a.len().min(b.len()) as f64).sqrt()
    };
    assert!(correlation(&global, &global[12..]).abs() < 5.0);
    assert!(correlation(&local, &local[48..]).abs() < 5.0);
    assert!(correlation(&global, &local).abs() < 5.0);
}

#[test]
fn given_codes_are_split_global_first_and_then_row_major() {
    // Two examples of three candidates: 2 global values, then 2 channels of 1 x 2.
    let flat = (0..2 * 3 * 6).map(|v| v as f32).collect();
    let pool = GivenPool::<Flex> {
        levels: vec![Tensor::from_data(
            TensorData::new(flat, [2, 3, 6]),
            &Default::default(),
        )],
        map_code: 2,
    };
    let code = pool.draw(0, &[(1, 1), (1, 2)], [1, 2], &Default::default());
    assert_eq!(code.global.dims(), [2, 2]);
    assert_eq!(code.local.dims(), [2, 2, 1, 2]);
    assert_eq!(values(code.global), [24., 25., 30., 31.]);
    assert_eq!(values(code.local), [26., 27., 28., 29., 32., 33., 34., 35.]);
}
