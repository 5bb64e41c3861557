//! The search of `chimle-imle` on the real generator.

mod small;

use burn::tensor::Tensor;
use burn_flex::Flex;
use chimle_imle::{
    Candidate, CodePool, Distance, ExampleId, Search, SeededPool, StagedGenerator, Strategy, Target,
};
use chimle_nn::Architecture;
use chimle_perceptual::ImageDistance;
use small::{ARCHITECTURES, conditioning, generator, noise, values};

const SIDES: [usize; 2] = [4, 6];
const POOLS: [usize; 3] = [7, 5, 4];
const EXAMPLES: [ExampleId; 3] = [ExampleId(11), ExampleId(1 << 40), ExampleId(2)];

#[test]
fn the_hierarchical_search_is_brute_force_level_by_level() {
    for architecture in ARCHITECTURES {
        let generator = generator::<Flex>(architecture, POOLS.len());
        let (distance, pool) = (ImageDistance::L2, SeededPool::new(5));
        let inputs = conditioning(generator.config(), EXAMPLES.len(), SIDES);
        let doubled = usize::from(architecture == Architecture::SuperResolution);
        let images: Vec<Tensor<Flex, 4>> = (0..POOLS.len())
            .map(|level| {
                let [height, width] = SIDES.map(|side| side << (level + doubled));
                noise([EXAMPLES.len(), 3, height, width], 50 + level)
            })
            .collect();
        let strategy = Strategy::Hierarchical {
            pools: POOLS.to_vec(),
        };
        let found = Search::new(strategy, 9)
            .run(
                &generator.clone().fold(),
                &distance,
                inputs.clone(),
                &Target::new(&distance, images.clone()),
                &pool,
                &EXAMPLES,
            )
            .unwrap();

        for (row, found) in found.iter().enumerate() {
            let only = |image: &Tensor<Flex, 4>| image.clone().narrow(0, row, 1);
            let mut state = generator.begin(inputs.iter().map(only).collect());
            for (level, count) in POOLS.into_iter().enumerate() {
                let (distances, mut states): (Vec<f32>, Vec<_>) = (0..count)
                    .map(|index| {
                        let candidate = Candidate {
                            example: EXAMPLES[row],
                            index,
                        };
                        let len = generator.code_len(&state);
                        let code = pool.draw(level, &[candidate], len, &Default::default());
                        let code = generator.code(&state, code);
                        let (next, output) = generator.advance(state.clone(), code);
                        let distance = distance.between(output, only(&images[level]));
                        (values(distance)[0], next)
                    })
                    .unzip();
                for (found, expected) in found.distances[level].iter().zip(&distances) {
                    assert!((found - expected).abs() <= 1e-5 * expected);
                }
                let by_distance = |a: &usize, b: &usize| distances[*a].total_cmp(&distances[*b]);
                let nearest = (0..count).min_by(by_distance).unwrap();
                assert_eq!(found.candidates[level], nearest, "{architecture:?}");
                state = states.swap_remove(nearest);
            }
        }
        // The comparison would show little if all inputs chose the same candidates.
        assert!(found.iter().any(|c| c.candidates != found[0].candidates));
    }
}
