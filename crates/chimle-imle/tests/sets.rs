//! Inputs with several observed outputs, and shortlists among their candidates.

mod scene;
#[path = "../../chimle-nn/tests/small/mod.rs"]
mod small;

use std::cell::Cell;

use burn::tensor::Tensor;
use burn_flex::Flex;
use chimle_imle::{
    Chosen, Neighbors, Search, SearchError, Shortlist, Strategy, Target, shown_to_rgb,
};
use chimle_knn::PrioritizedDciConfig;
use chimle_nn::Architecture;
use chimle_perceptual::Distance;
use scene::{Counting, FIRST, POOLS, Scene, assert_close, hierarchical};
use small::{ARCHITECTURES, noise};

/// Seven observed outputs of the three inputs: three, none, and four, in no order.
const SET: [usize; 7] = [2, 0, 2, 0, 2, 0, 2];

/// The observed outputs of [`SET`], at each level: near candidates of their own, but for the last two
/// of the third input.
fn observed(scene: &Scene) -> Vec<Tensor<Flex, 4>> {
    let outputs = SET.iter().enumerate().map(|(output, &input)| {
        let output = output.min(4);
        let codes = POOLS.iter().enumerate();
        let codes = codes.map(|(level, count)| scene.code(level, input, output % count));
        let row = |image: &Tensor<Flex, 4>| image.clone().narrow(0, input, 1);
        let conditioning = scene.conditioning.iter().map(row).collect();
        scene.generator.forward(conditioning, codes.collect())
    });
    let outputs: Vec<Vec<Tensor<Flex, 4>>> = outputs.collect();
    let architecture = scene.generator.config().architecture;
    (0..POOLS.len())
        .map(|level| {
            let images = outputs.iter().map(|levels| levels[level].clone());
            let images = shown_to_rgb(architecture, Tensor::cat(images.collect(), 0));
            // So that distances are not zero but for rounding.
            let noise = noise::<Flex, 4>(images.dims(), 90 + level);
            images + noise.mul_scalar(0.01)
        })
        .collect()
}

#[test]
fn each_output_of_a_set_finds_what_it_would_find_alone() {
    for architecture in ARCHITECTURES {
        let scene = Scene::new(architecture);
        let images = observed(&scene);
        for strategy in [hierarchical(), Strategy::Flat { candidates: 9 }] {
            let find = |target: Target<Flex>, chunk| {
                Search::new(strategy.clone(), chunk)
                    .run(
                        &scene.generator,
                        &scene.distance,
                        scene.conditioning.clone(),
                        &target,
                        &scene.pool,
                        FIRST,
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
            assert!([2, 4, 6].iter().any(differ), "{architecture:?}");
        }
    }
}

#[test]
fn a_set_shares_its_candidates_and_an_input_without_outputs_costs_nothing() {
    let scene = Scene::new(Architecture::Colorization);
    let drawn = |images: Vec<Tensor<Flex, 4>>, inputs: Vec<usize>| {
        let counting = Counting {
            pool: &scene.pool,
            drawn: Default::default(),
            largest: Cell::new(0),
        };
        let found = Search::new(hierarchical(), 10).run(
            &scene.generator,
            &scene.distance,
            scene.conditioning.clone(),
            &Target::of_sets(&scene.distance, images, inputs),
            &counting,
            FIRST,
        );
        (found.unwrap(), counting.drawn.map(Cell::into_inner))
    };
    let images = observed(&scene);
    let (found, counts) = drawn(images.clone(), SET.to_vec());
    // One pool for each input at first; then one for each prefix that was chosen.
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

    // The same output twice costs no more than once.
    let twice = |image: Tensor<Flex, 4>| image.narrow(0, 0, 1).repeat_dim(0, 2);
    let (found, counts) = drawn(images.into_iter().map(twice).collect(), vec![1, 1]);
    assert_eq!(counts, POOLS);
    assert_eq!(found[0], found[1]);
}

#[test]
#[should_panic(expected = "observed outputs")]
fn a_set_names_the_input_of_each_of_its_outputs() {
    let scene = Scene::new(Architecture::ImageToImage);
    Target::of_sets(&scene.distance, scene.images.clone(), vec![0]);
}

fn shortlist(directions: usize, measured: usize) -> Shortlist {
    Shortlist {
        directions,
        measured,
        seed: 3,
    }
}

/// Searches the scene for [`SET`], with the settings given.
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
        FIRST,
    )
}

#[test]
fn a_shortlist_of_all_candidates_is_the_exact_search() {
    let by_dci = Neighbors::PrioritizedDci {
        shortlist: shortlist(16, 100),
        index: PrioritizedDciConfig::default(),
    };
    for architecture in ARCHITECTURES {
        let scene = Scene::new(architecture);
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
    let scene = Scene::new(Architecture::ImageToImage);
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
            // What was chosen is the nearest of what was measured.
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
    let mut scene = Scene::new(Architecture::ImageToImage);
    let mut message = |distance, neighbors| {
        scene.distance = distance;
        let error = search(&scene, hierarchical(), neighbors).unwrap_err();
        error.to_string()
    };
    let short = |directions, measured| Neighbors::Projected(shortlist(directions, measured));
    assert!(message(Distance::L1, short(4, 2)).contains("needs the L2 distance or LPIPS"));
    assert!(message(Distance::L2, short(4, 0)).contains("`measured` must be at least 1"));
    assert!(message(Distance::L2, short(0, 2)).contains("dimension 0"));
    let none = PrioritizedDciConfig {
        simple: 0,
        ..Default::default()
    };
    let by_dci = Neighbors::PrioritizedDci {
        shortlist: shortlist(4, 2),
        index: none,
    };
    assert!(message(Distance::L2, by_dci).contains("simple"));
}
