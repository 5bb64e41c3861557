//! The search compared with brute force, and the errors that stop it.

mod scene;

use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use chimle_imle::{
    Candidate, Distance, ExampleId, Neighbors, Objective, Search, SearchError, Shortlist, Strategy,
};
use scene::{
    CONDITIONED, Conditioned, Counting, EXAMPLES, POOLS, Pixels, Scene, assert_close, given,
    hierarchical, nearest, values,
};

#[test]
fn the_hierarchical_search_is_brute_force_level_by_level() {
    for conditioned in CONDITIONED {
        let scene = Scene::new(conditioned);
        let found = scene.search(hierarchical(), 7).unwrap();
        assert_eq!(found.len(), EXAMPLES.len());
        for (input, found) in found.iter().enumerate() {
            let mut prefix = Vec::new();
            for (level, count) in POOLS.into_iter().enumerate() {
                let distances: Vec<f32> = (0..count)
                    .map(|k| scene.distance_of(input, &[&prefix[..], &[k]].concat()))
                    .collect();
                assert_close(&found.distances[level], &distances);
                prefix.push(nearest(&distances));
            }
            assert_eq!(found.candidates, prefix);
        }
        // The comparison would show little if all inputs chose the same candidates.
        assert!(found.iter().any(|c| c.candidates != found[0].candidates));
    }
}

#[test]
fn the_flat_search_is_brute_force_over_whole_codes() {
    let candidates = 9;
    for conditioned in CONDITIONED {
        let scene = Scene::new(conditioned);
        let found = scene.search(Strategy::Flat { candidates }, 4).unwrap();
        for (input, found) in found.iter().enumerate() {
            let distances: Vec<f32> = (0..candidates)
                .map(|k| scene.distance_of(input, &[k; POOLS.len()]))
                .collect();
            assert_eq!(found.distances.len(), 1);
            assert_close(&found.distances[0], &distances);
            assert_eq!(found.candidates, [nearest(&distances); POOLS.len()]);
            assert_eq!(found.nearest(), [found.distances[0][found.candidates[0]]]);
        }
    }
}

#[test]
fn the_chunk_does_not_change_what_is_found() {
    let flat = Strategy::Flat { candidates: 10 };
    for conditioned in CONDITIONED {
        let scene = Scene::new(conditioned);
        for strategy in [hierarchical(), flat.clone()] {
            let whole = scene.search(strategy.clone(), 1000).unwrap();
            // Zero counts as one.
            for chunk in [0, 1, 3, 7, 14] {
                let found = scene.search(strategy.clone(), chunk).unwrap();
                for (found, whole) in found.iter().zip(&whole) {
                    assert_eq!(found.candidates, whole.candidates, "chunk {chunk}");
                    assert_close(&found.distances.concat(), &whole.distances.concat());
                }
            }
        }
    }
}

#[test]
fn an_input_finds_the_same_alone_and_in_any_batch() {
    let scene = Scene::new(Conditioned::PerLevel);
    let together = scene.search(hierarchical(), 1000).unwrap();
    for order in [vec![2, 0, 1], vec![1], vec![2, 1]] {
        let rows = |image: &Tensor<Flex, 4>| {
            let rows = order.iter().map(|&row| image.clone().narrow(0, row, 1));
            Tensor::cat(rows.collect(), 0)
        };
        let images = scene.images.iter().map(rows).collect();
        let examples: Vec<ExampleId> = order.iter().map(|&row| EXAMPLES[row]).collect();
        let found = Search::new(hierarchical(), 9)
            .run(
                &scene.generator,
                &scene.distance,
                scene.conditioning.iter().map(rows).collect(),
                &chimle_imle::Target::new(&scene.distance, images),
                &scene.pool,
                &examples,
            )
            .unwrap();
        for (found, row) in found.iter().zip(order) {
            assert_eq!(found.candidates, together[row].candidates);
            assert_close(&found.distances.concat(), &together[row].distances.concat());
        }
    }
}

#[test]
fn the_distance_found_is_the_loss_of_the_chosen_codes() {
    for conditioned in CONDITIONED {
        let scene = Scene::new(conditioned);
        let flat = Strategy::Flat { candidates: 6 };
        for (strategy, intermediate_supervision) in [(hierarchical(), true), (flat, false)] {
            let found = scene.search(strategy, 8).unwrap();
            let objective = Objective {
                intermediate_supervision,
            };
            let losses = objective.losses(
                &scene.generator,
                &scene.distance,
                scene.conditioning.clone(),
                |level, state| {
                    let chosen = EXAMPLES.into_iter().zip(&found);
                    let candidates: Vec<Candidate> = chosen
                        .map(|(example, chosen)| Candidate {
                            example,
                            index: chosen.candidates[level],
                        })
                        .collect();
                    scene.codes(level, state, &candidates)
                },
                &scene.target(),
            );
            let compared = found[0].distances.len();
            assert_eq!(losses.len(), compared);
            for (level, loss) in losses.into_iter().enumerate() {
                let nearest: Vec<f32> = found.iter().map(|c| c.nearest()[level]).collect();
                assert_close(&values(loss), &nearest);
            }
        }
    }
}

#[test]
fn given_codes_are_searched_as_drawn_ones() {
    for conditioned in CONDITIONED {
        let scene = Scene::new(conditioned);
        let found = scene.search_in(hierarchical(), 8, &given(&scene)).unwrap();
        assert_eq!(found, scene.search(hierarchical(), 8).unwrap());
    }
}

#[test]
fn of_equal_candidates_the_first_is_chosen() {
    let scene = Scene::new(Conditioned::PerLevel);
    let mut pool = given(&scene);
    for codes in &mut pool.levels {
        let count = codes.dims()[1];
        *codes = codes.clone().narrow(1, 1, 1).repeat_dim(1, count);
    }
    for chunk in [1, 3, 1000] {
        for found in scene.search_in(hierarchical(), chunk, &pool).unwrap() {
            // The candidates are equal to the last bit only if they lie in equal batches.
            if chunk == 1 {
                assert_eq!(found.candidates, [0; POOLS.len()]);
            }
            for (pool, chosen) in found.distances.iter().zip(&found.candidates) {
                let lowest = pool.iter().copied().fold(f32::INFINITY, f32::min);
                let first = pool.iter().position(|d| *d == lowest);
                assert_eq!(first, Some(*chosen));
            }
        }
    }
}

#[test]
fn the_nearest_candidate_is_found_wherever_it_lies() {
    // The target is the image of known candidates, so their distance is zero.
    for conditioned in CONDITIONED {
        let mut scene = Scene::new(conditioned);
        for hidden in [[0, 0, 0], [6, 4, 3], [3, 1, 2]] {
            let of_inputs: Vec<_> = (0..EXAMPLES.len())
                .map(|input| scene.images_of(input, &hidden))
                .collect();
            scene.images = (0..POOLS.len())
                .map(|level| {
                    let images = of_inputs.iter().map(|images| images[level].clone());
                    Tensor::cat(images.collect(), 0)
                })
                .collect();
            for chunk in [1, 4, 1000] {
                for found in scene.search(hierarchical(), chunk).unwrap() {
                    assert_eq!(found.candidates, hidden);
                    assert!(found.nearest().iter().all(|d| *d < 1e-9));
                }
            }
        }
    }
}

#[test]
fn each_candidate_is_evaluated_once_and_no_batch_exceeds_the_chunk() {
    let scene = Scene::new(Conditioned::PerLevel);
    for chunk in [1, 3, 7, 10, 1000] {
        let counting = Counting::new(&scene.pool);
        scene.search_in(hierarchical(), chunk, &counting).unwrap();
        let drawn = counting.drawn.map(std::cell::Cell::into_inner);
        assert_eq!(drawn, POOLS.map(|count| count * EXAMPLES.len()));
        assert!(counting.largest.get() <= chunk);
        assert!(counting.largest.get() >= chunk.min(POOLS[0]));
    }
}

#[test]
fn a_candidate_that_is_no_number_is_named() {
    for conditioned in CONDITIONED {
        let scene = Scene::new(conditioned);
        for (input, level, candidate) in [(0, 0, 0), (1, 1, 4), (2, 2, 1)] {
            let mut pool = given(&scene);
            let codes = pool.levels[level].clone();
            let row = EXAMPLES[input].0 as usize;
            let slot = [row..row + 1, candidate..candidate + 1, 0..1];
            pool.levels[level] = codes.slice_fill(slot, f32::NAN);
            for chunk in [1, 3, 1000] {
                let error = scene.search_in(hierarchical(), chunk, &pool).unwrap_err();
                let message = error.to_string();
                let expected = format!(
                    "the distance of candidate {candidate} of level {} to example {row} is NaN",
                    level + 1
                );
                assert_eq!(message, expected, "{conditioned:?}, chunk {chunk}");
            }
        }
    }
}

#[test]
fn a_generator_that_has_diverged_is_an_error_at_its_level() {
    for conditioned in CONDITIONED {
        let mut scene = Scene::new(conditioned);
        scene.generator.bias[1] = f32::NAN;
        let error = scene.search(hierarchical(), 8).unwrap_err();
        match error {
            SearchError::NotFinite {
                example,
                level: 2,
                candidate: 0,
                value,
            } => {
                assert_eq!(example, EXAMPLES[0]);
                assert!(value.is_nan());
            }
            other => panic!("{conditioned:?}: {other:?}"),
        }
        scene.generator.bias[2] = f32::NAN;
        let flat = scene.search(Strategy::Flat { candidates: 3 }, 8);
        assert!(
            matches!(flat, Err(SearchError::NotFinite { level: 3, .. })),
            "{conditioned:?}: {flat:?}"
        );
    }
}

#[test]
fn an_infinite_distance_is_an_error() {
    let mut scene = Scene::new(Conditioned::PerLevel);
    scene.generator.bias[0] = f32::INFINITY;
    let error = scene.search(hierarchical(), 8).unwrap_err();
    let expected = "the distance of candidate 0 of level 1 to example 11 is inf";
    assert_eq!(error.to_string(), expected);
}

/// The losses of all levels, for some codes.
fn losses(scene: &Scene) -> Vec<Vec<f32>> {
    let objective = Objective {
        intermediate_supervision: true,
    };
    let candidates = EXAMPLES.map(|example| Candidate { example, index: 0 });
    let losses = objective.losses(
        &scene.generator,
        &scene.distance,
        scene.conditioning.clone(),
        |level, state| scene.codes(level, state, &candidates),
        &scene.target(),
    );
    losses.into_iter().map(values).collect()
}

#[test]
fn a_generator_that_has_diverged_has_no_finite_loss() {
    for conditioned in CONDITIONED {
        let mut scene = Scene::new(conditioned);
        for distance in [Pixels::L2, Pixels::HidesNan] {
            scene.distance = distance;
            scene.generator.bias[1] = 0.0;
            let before = losses(&scene);
            scene.generator.bias[1] = f32::NAN;
            let after = losses(&scene);
            assert_eq!(after[0], before[0], "{conditioned:?}");
            assert!(before.concat().iter().all(|loss| loss.is_finite()));
            assert!(after[1].iter().all(|loss| loss.is_nan()), "{conditioned:?}");
        }
    }
}

#[test]
#[should_panic(expected = "levels of the target")]
fn a_target_of_other_levels_is_refused() {
    let mut scene = Scene::new(Conditioned::PerLevel);
    scene.images.pop();
    losses(&scene);
}

#[test]
fn a_distance_that_hides_nan_hides_no_divergence() {
    let shortlist = Shortlist {
        directions: 4,
        measured: 2,
        seed: 0,
    };
    for conditioned in CONDITIONED {
        let mut scene = Scene::new(conditioned);
        scene.distance = Pixels::HidesNan;
        let pools = vec![2, 2, 1];
        let strategy = Strategy::Hierarchical { pools };
        assert!(scene.search(strategy.clone(), 8).is_ok());
        scene.generator.bias[1] = f32::NAN;
        let error = scene.search(strategy.clone(), 8);
        assert!(
            matches!(error, Err(SearchError::NotFinite { level: 2, .. })),
            "{conditioned:?}: {error:?}"
        );
        let by_shortlist = Search::new(strategy, 8)
            .with_neighbors(Neighbors::Projected(shortlist.clone()))
            .run(
                &scene.generator,
                &scene.distance,
                scene.conditioning.clone(),
                &scene.target(),
                &scene.pool,
                &EXAMPLES,
            );
        assert!(
            matches!(by_shortlist, Err(SearchError::NotFinite { level: 2, .. })),
            "{conditioned:?}: {by_shortlist:?}"
        );
    }
}

#[test]
fn strategies_that_do_not_fit_are_refused() {
    let scene = Scene::new(Conditioned::PerLevel);
    let pools = |pools: &[usize]| Strategy::Hierarchical {
        pools: pools.to_vec(),
    };
    for (strategy, expected) in [
        (
            pools(&[2, 2]),
            SearchError::Levels {
                pools: 2,
                levels: 3,
            },
        ),
        (
            pools(&[2, 2, 2, 2]),
            SearchError::Levels {
                pools: 4,
                levels: 3,
            },
        ),
        (pools(&[2, 0, 2]), SearchError::EmptyPool { level: 2 }),
        (
            Strategy::Flat { candidates: 0 },
            SearchError::EmptyPool { level: 1 },
        ),
    ] {
        assert_eq!(scene.search(strategy, 8), Err(expected));
    }
}

#[test]
fn inputs_at_once_fill_a_chunk_at_the_smallest_pool() {
    let at_once = |strategy, chunk| Search::new(strategy, chunk).inputs_at_once();
    assert_eq!(at_once(hierarchical(), 64), 16);
    assert_eq!(at_once(hierarchical(), 3), 1);
    assert_eq!(at_once(Strategy::Flat { candidates: 10 }, 64), 6);
}

#[test]
fn strategies_are_written_by_name_and_unknown_fields_refused() {
    let json = r#"{"hierarchical":{"pools":[7,5,4]}}"#;
    assert_eq!(serde_json::to_string(&hierarchical()).unwrap(), json);
    let back: Strategy = serde_json::from_str(json).unwrap();
    assert_eq!(back, hierarchical());
    for wrong in [
        r#"{"flat":{"candidates":3,"pools":[1]}}"#,
        r#"{"greedy":{"candidates":3}}"#,
        r#"{"flat":{}}"#,
    ] {
        assert!(serde_json::from_str::<Strategy>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_identity_is_written_as_its_number() {
    let id = ExampleId(u64::MAX);
    let json = serde_json::to_string(&id).unwrap();
    assert_eq!(json, u64::MAX.to_string());
    assert_eq!(serde_json::from_str::<ExampleId>(&json).unwrap(), id);
    assert_eq!(id.to_string(), json);
}

#[test]
fn targets_know_the_features_of_each_level() {
    let scene = Scene::new(Conditioned::FirstLevel);
    let target = scene.target();
    assert_eq!(target.levels().len(), POOLS.len());
    for (features, image) in target.levels().iter().zip(&scene.images) {
        let zero = scene.distance.distance(image.clone(), features);
        assert_eq!(zero.into_data(), TensorData::from([0f32; EXAMPLES.len()]));
    }
}
