//! Where candidate codes come from.

use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use chimle_imle::{Candidate, CodePool, ExampleId, GivenPool, GroupedPool, SeededPool};

const LEN: usize = 60;

fn candidate(example: u64, index: usize) -> Candidate {
    Candidate {
        example: ExampleId(example),
        index,
    }
}

fn draw(pool: SeededPool, level: usize, candidates: &[Candidate], len: usize) -> Vec<f32> {
    let codes: Tensor<Flex, 2> = pool.draw(level, candidates, len, &Default::default());
    assert_eq!(codes.dims(), [candidates.len(), len]);
    codes.into_data().into_vec().unwrap()
}

#[test]
fn codes_depend_neither_on_the_batch_nor_on_the_order_they_are_drawn_in() {
    let pool = SeededPool::new(7);
    let candidates: Vec<Candidate> = [3, 1 << 40, 4]
        .into_iter()
        .flat_map(|example| (10..13).map(move |index| candidate(example, index)))
        .collect();
    let together = draw(pool, 1, &candidates, LEN);
    for chunk in [1, 2, 4] {
        let parts = candidates.chunks(chunk);
        let parts: Vec<f32> = parts.flat_map(|part| draw(pool, 1, part, LEN)).collect();
        assert_eq!(parts, together, "chunk {chunk}");
    }
    let reversed: Vec<Candidate> = candidates.iter().rev().copied().collect();
    let reversed = draw(pool, 1, &reversed, LEN);
    let rows = reversed.chunks(LEN).rev().zip(together.chunks(LEN));
    rows.for_each(|(reversed, together)| assert_eq!(reversed, together));
    // A candidate that occurs twice has the same code twice.
    let twice = draw(pool, 1, &[candidates[4], candidates[0], candidates[4]], LEN);
    assert_eq!(twice[..LEN], twice[2 * LEN..]);
    assert_eq!(twice[LEN..2 * LEN], together[..LEN]);
}

#[test]
fn no_candidates_have_no_codes() {
    assert!(draw(SeededPool::new(0), 0, &[], LEN).is_empty());
}

#[test]
fn every_seed_level_example_and_candidate_has_codes_of_its_own() {
    let one = |seed, level, example, index| {
        draw(
            SeededPool::new(seed),
            level,
            &[candidate(example, index)],
            LEN,
        )
    };
    let codes = [
        one(0, 0, 0, 0),
        one(1, 0, 0, 0),
        one(0, 1, 0, 0),
        one(0, 0, 1, 0),
        one(0, 0, 0, 1),
        one(0, 0, 1, 1),
        one(0, 0, 1 << 24, 0),
        one(0, 0, u64::MAX, 0),
        one(u64::MAX, 0, 0, 0),
        one(0, 0, 0, (1 << 24) - 1),
    ];
    assert_eq!(codes[0], one(0, 0, 0, 0));
    for (k, a) in codes.iter().enumerate() {
        for b in &codes[..k] {
            // No value is shared. If one code were a shifted copy of another, some values would be.
            assert!(a.iter().all(|v| !b.contains(v)));
        }
    }
}

#[test]
fn codes_are_standard_normal_and_independent() {
    let candidates: Vec<Candidate> = (0..20)
        .flat_map(|example| (0..50).map(move |index| candidate(example, index)))
        .collect();
    let values = draw(SeededPool::new(3), 0, &candidates, LEN);
    let n = values.len() as f64;
    let moment = |p| values.iter().map(|v| f64::from(*v).powi(p)).sum::<f64>() / n;
    let bound = 5.0 / n.sqrt();
    assert!(moment(1).abs() < bound, "mean {}", moment(1));
    assert!((moment(2) - 1.0).abs() < 2f64.sqrt() * bound);
    // 3 for a normal distribution, 1.8 for a uniform one.
    assert!((moment(4) - 3.0).abs() < 96f64.sqrt() * bound);
    // Neither neighboring candidates of one example nor neighboring values are correlated.
    for shift in [1, LEN] {
        let products = values.iter().zip(&values[shift..]);
        let sum: f64 = products.map(|(a, b)| f64::from(a * b)).sum();
        let correlation = sum / ((values.len() - shift) as f64).sqrt();
        assert!(correlation.abs() < 5.0, "{correlation}");
    }
}

#[test]
fn given_codes_are_found_by_example_and_candidate() {
    // Two examples of three candidates with four values each, at the second of two levels.
    let level = |first: usize, shape: [usize; 3]| {
        let count = shape.iter().product::<usize>();
        let flat = (first..first + count).map(|v| v as f32).collect();
        Tensor::from_data(TensorData::new(flat, shape), &Default::default())
    };
    let pool = GivenPool::<Flex> {
        levels: vec![level(100, [2, 1, 2]), level(0, [2, 3, 4])],
    };
    let candidates = [candidate(1, 1), candidate(0, 2), candidate(1, 2)];
    let codes = pool.draw(1, &candidates, 4, &Default::default());
    assert_eq!(codes.dims(), [3, 4]);
    let codes: Vec<f32> = codes.into_data().into_vec().unwrap();
    let expected = [16., 17., 18., 19., 8., 9., 10., 11., 20., 21., 22., 23.];
    assert_eq!(codes, expected);
}

#[test]
fn candidates_of_a_group_share_the_first_part_of_their_codes() {
    let plain = SeededPool::new(11);
    let grouped = GroupedPool::new(plain, 3, vec![4, 1]);
    let candidates: Vec<Candidate> = (0..8)
        .map(|index| Candidate {
            example: ExampleId(2),
            index,
        })
        .collect();
    let rows = |level: usize| -> Vec<Vec<f32>> {
        let drawn: Tensor<Flex, 2> = grouped.draw(level, &candidates, LEN, &Default::default());
        let values: Vec<f32> = drawn.into_data().into_vec().unwrap();
        values.chunks(LEN).map(<[f32]>::to_vec).collect()
    };
    let own = draw(plain, 0, &candidates, LEN);
    for (index, row) in rows(0).iter().enumerate() {
        let (first, this) = (index / 4 * 4, &own[index * LEN..]);
        assert_eq!(row[..3], own[first * LEN..][..3]);
        assert_eq!(row[3..], this[3..LEN]);
    }
    // Groups of one, and levels without a group, are the pool itself.
    for level in [1, 2] {
        assert_eq!(rows(level).concat(), draw(plain, level, &candidates, LEN));
    }
}
