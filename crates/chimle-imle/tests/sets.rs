//! Inputs with several observed outputs, and shortlists among their candidates.

mod scene;

use std::cell::Cell;

use burn::tensor::Tensor;
use burn_flex::Flex;
use chimle_imle::{Chosen, Neighbors, Search, SearchError, Selection, Shortlist, Strategy, Target};
use chimle_knn::PrioritizedDciConfig;
use scene::{
    CONDITIONED, Conditioned, Counting, EXAMPLES, POOLS, Pixels, Scene, assert_close, hierarchical,
    noise, values,
};

type Features = (Tensor<Flex, 4>, Tensor<Flex, 2>);

/// The input of each of seven observed outputs, in no order. The three inputs have three, no and
/// four observed outputs.
const SET: [usize; 7] = [2, 0, 2, 0, 2, 0, 2];

/// Returns the observed outputs of [`SET`], at each level. Each lies near other candidates, except
/// that the last two of the third input lie near the same ones.
fn observed(scene: &Scene) -> Vec<Tensor<Flex, 4>> {
    let outputs = SET.iter().enumerate().map(|(output, &input)| {
        let output = output.min(4);
        let candidates = POOLS.map(|count| output % count);
        scene.images_of(input, &candidates)
    });
    let outputs: Vec<Vec<Tensor<Flex, 4>>> = outputs.collect();
    (0..POOLS.len())
        .map(|level| {
            let images = outputs.iter().map(|levels| levels[level].clone());
            let images = Tensor::cat(images.collect(), 0);
            // The noise makes the distances larger than rounding errors.
            let noise = noise::<Flex, 4>(images.dims(), 90 + level);
            images + noise.mul_scalar(0.01)
        })
        .collect()
}

#[test]
fn each_output_of_a_set_finds_what_it_would_find_alone() {
    for conditioned in CONDITIONED {
        let scene = Scene::new(conditioned);
        let images = observed(&scene);
        for strategy in [hierarchical(), Strategy::Flat { candidates: 9 }] {
            let find = |target: Target<Features>, chunk| {
                Search::new(strategy.clone(), chunk)
                    .run(
                        &scene.generator,
                        &scene.distance,
                        scene.conditioning.clone(),
                        &target,
                        &scene.pool,
                        &EXAMPLES,
                    )
                    .unwrap()
            };
            let alone: Vec<Chosen> = (0..SET.len())
                .flat_map(|k| {
                    let one = images.iter().map(|image| image.clone().narrow(0, k, 1));
                    let target = Target::of_sets(&scene.distance, one.collect(), vec![SET[k]]);
                    find(target, 8)
                })
                .collect();
            for chunk in [1, 5, 1000] {
                let target = Target::of_sets(&scene.distance, images.clone(), SET.to_vec());
                let found = find(target, chunk);
                assert_eq!(found.len(), SET.len());
                for (found, alone) in found.iter().zip(&alone) {
                    assert_eq!(found.candidates, alone.candidates, "chunk {chunk}");
                    assert_close(&found.distances.concat(), &alone.distances.concat());
                }
            }
            // Outputs of one input choose differently.
            let differ = |k: &usize| alone[*k].candidates != alone[0].candidates;
            assert!([2, 4, 6].iter().any(differ), "{conditioned:?}");
        }
    }
}

#[test]
fn a_set_shares_its_candidates_and_an_input_without_outputs_costs_nothing() {
    let scene = Scene::new(Conditioned::PerLevel);
    let drawn = |images: Vec<Tensor<Flex, 4>>, inputs: Vec<usize>| {
        let counting = Counting::new(&scene.pool);
        let found = Search::new(hierarchical(), 10).run(
            &scene.generator,
            &scene.distance,
            scene.conditioning.clone(),
            &Target::of_sets(&scene.distance, images, inputs),
            &counting,
            &EXAMPLES,
        );
        (found.unwrap(), counting.drawn.map(Cell::into_inner))
    };
    let images = observed(&scene);
    let (found, counts) = drawn(images.clone(), SET.to_vec());
    // The first level has one pool per input. Every later level has one pool per chosen prefix.
    let distinct = |levels: usize| {
        let chosen = SET.iter().zip(&found);
        let prefixes: std::collections::HashSet<_> = chosen
            .map(|(input, chosen)| (input, &chosen.candidates[..levels]))
            .collect();
        prefixes.len()
    };
    assert_eq!(distinct(0), 2);
    assert!(distinct(1) < SET.len(), "no two outputs chose alike");
    assert_eq!(
        counts,
        [0, 1, 2].map(|level| distinct(level) * POOLS[level])
    );

    // Two equal outputs cost no more than one.
    let twice = |image: Tensor<Flex, 4>| image.narrow(0, 0, 1).repeat_dim(0, 2);
    let (found, counts) = drawn(images.into_iter().map(twice).collect(), vec![1, 1]);
    assert_eq!(counts, POOLS);
    assert_eq!(found[0], found[1]);
}

#[test]
fn without_observed_outputs_nothing_is_found() {
    let scene = Scene::new(Conditioned::PerLevel);
    let images = scene.images.iter().map(|image| {
        let [_, channels, height, width] = image.dims();
        Tensor::empty([0, channels, height, width], &Default::default())
    });
    let counting = Counting::new(&scene.pool);
    let found = Search::new(hierarchical(), 10).run(
        &scene.generator,
        &scene.distance,
        scene.conditioning.clone(),
        &Target::of_sets(&scene.distance, images.collect(), Vec::new()),
        &counting,
        &EXAMPLES,
    );
    assert_eq!(found, Ok(Vec::new()));
    assert_eq!(counting.drawn.map(Cell::into_inner), [0; POOLS.len()]);
}

#[test]
fn selected_outputs_are_each_the_only_one_of_their_input() {
    let scene = Scene::new(Conditioned::PerLevel);
    let target = Target::of_sets(&scene.distance, observed(&scene), SET.to_vec());
    let selected = target.select(&Selection::indices([5, 0, 5]));
    assert_eq!(selected.inputs(), [0, 1, 2]);
    assert_eq!(selected.levels().len(), POOLS.len());
    for (all, selected) in target.levels().iter().zip(selected.levels()) {
        for (row, of) in [5, 0, 5].into_iter().enumerate() {
            let of_selected = values(selected.0.clone().narrow(0, row, 1));
            assert_eq!(of_selected, values(all.0.clone().narrow(0, of, 1)));
            let of_selected = values(selected.1.clone().narrow(0, row, 1));
            assert_eq!(of_selected, values(all.1.clone().narrow(0, of, 1)));
        }
    }
}

#[test]
#[should_panic(expected = "observed outputs")]
fn a_set_names_the_input_of_each_of_its_outputs() {
    let scene = Scene::new(Conditioned::PerLevel);
    Target::of_sets(&scene.distance, scene.images.clone(), vec![0]);
}

fn shortlist(directions: usize, measured: usize) -> Shortlist {
    Shortlist {
        directions,
        measured,
        seed: 3,
    }
}

/// Searches the scene for [`SET`] with the given settings.
fn search(
    scene: &Scene,
    strategy: Strategy,
    neighbors: Neighbors,
) -> Result<Vec<Chosen>, SearchError> {
    let target = Target::of_sets(&scene.distance, observed(scene), SET.to_vec());
    Search::new(strategy, 10).with_neighbors(neighbors).run(
        &scene.generator,
        &scene.distance,
        scene.conditioning.clone(),
        &target,
        &scene.pool,
        &EXAMPLES,
    )
}

#[test]
fn a_shortlist_of_all_candidates_is_the_exact_search() {
    let by_dci = Neighbors::PrioritizedDci {
        shortlist: shortlist(16, 100),
        index: PrioritizedDciConfig::default(),
    };
    for conditioned in CONDITIONED {
        let scene = Scene::new(conditioned);
        for strategy in [hierarchical(), Strategy::Flat { candidates: 9 }] {
            let exact = search(&scene, strategy.clone(), Neighbors::Exact).unwrap();
            for neighbors in [Neighbors::Projected(shortlist(1, 100)), by_dci.clone()] {
                let found = search(&scene, strategy.clone(), neighbors).unwrap();
                for (found, exact) in found.iter().zip(&exact) {
                    assert_eq!(found.candidates, exact.candidates);
                    assert_close(&found.distances.concat(), &exact.distances.concat());
                }
            }
        }
    }
}

#[test]
fn a_short_list_measures_few_and_mostly_finds_the_nearest() {
    let scene = Scene::new(Conditioned::PerLevel);
    let strategy = Strategy::Hierarchical {
        pools: vec![40, 1, 1],
    };
    let exact = search(&scene, strategy.clone(), Neighbors::Exact).unwrap();
    let agreement = |neighbors| {
        let found = search(&scene, strategy.clone(), neighbors).unwrap();
        let agree = found.iter().zip(&exact).filter(|(found, exact)| {
            let distances = &found.distances[0];
            assert_eq!(distances.iter().filter(|d| !d.is_nan()).count(), 4);
            assert_eq!(distances.len(), 40);
            // The chosen candidate is the nearest of the measured candidates.
            let lowest = distances.iter().copied().fold(f32::INFINITY, f32::min);
            assert_eq!(found.nearest()[0], lowest);
            found.candidates[0] == exact.candidates[0]
        });
        agree.count()
    };
    let index = PrioritizedDciConfig::default();
    let shortlist = shortlist(64, 4);
    let by_dci = Neighbors::PrioritizedDci {
        shortlist: shortlist.clone(),
        index,
    };
    for neighbors in [Neighbors::Projected(shortlist), by_dci] {
        let agreed = agreement(neighbors.clone());
        assert!(agreed >= SET.len() - 1, "{agreed} with {neighbors:?}");
    }
}

#[test]
fn shortlists_that_cannot_work_are_refused() {
    let mut scene = Scene::new(Conditioned::PerLevel);
    let mut message = |distance, neighbors| {
        scene.distance = distance;
        let error = search(&scene, hierarchical(), neighbors).unwrap_err();
        error.to_string()
    };
    let short = |directions, measured| Neighbors::Projected(shortlist(directions, measured));
    assert!(message(Pixels::L1, short(4, 2)).contains("needs the L2 distance or LPIPS"));
    assert!(message(Pixels::L2, short(4, 0)).contains("`measured` must be at least 1"));
    assert!(message(Pixels::L2, short(0, 2)).contains("dimension 0"));
    let none = PrioritizedDciConfig {
        simple: 0,
        ..Default::default()
    };
    let by_dci = Neighbors::PrioritizedDci {
        shortlist: shortlist(4, 2),
        index: none,
    };
    assert!(message(Pixels::L2, by_dci).contains("simple"));
}
