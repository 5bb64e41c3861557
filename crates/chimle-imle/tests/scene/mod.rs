//! Everything a search needs, in small.

// Each test that includes this is a program of its own, and uses a part of it.
#![allow(dead_code)]

use std::cell::Cell;

use burn::tensor::Tensor;
use burn_flex::Flex;
use chimle_imle::{
    Chosen, CodePool, GivenPool, Search, SearchError, SeededPool, Strategy, Target, shown_to_rgb,
};
use chimle_nn::{Architecture, Generator, LatentCode};
use chimle_perceptual::Distance;

use crate::small::{conditioning, generator, noise, values};

pub const SIDES: [usize; 2] = [4, 6];
pub const EXAMPLES: usize = 3;
pub const POOLS: [usize; 3] = [7, 5, 4];
/// The first example is not the pool's first.
pub const FIRST: usize = 11;

/// Everything a search needs, in small.
pub struct Scene {
    pub generator: Generator<Flex>,
    pub conditioning: Vec<Tensor<Flex, 4>>,
    pub images: Vec<Tensor<Flex, 4>>,
    pub pool: SeededPool,
    pub distance: Distance<Flex>,
}

impl Scene {
    pub fn new(architecture: Architecture) -> Self {
        let generator = generator::<Flex>(architecture, POOLS.len());
        let doubled = usize::from(architecture == Architecture::SuperResolution);
        let image = |i: usize| {
            let side = SIDES.map(|side| side << (i + doubled));
            noise([EXAMPLES, 3, side[0], side[1]], 50 + i)
        };
        Self {
            conditioning: conditioning(generator.config(), EXAMPLES, SIDES),
            images: (0..POOLS.len()).map(image).collect(),
            pool: SeededPool::new(generator.config(), 5),
            distance: Distance::L2,
            generator,
        }
    }

    pub fn search(&self, strategy: Strategy, chunk: usize) -> Result<Vec<Chosen>, SearchError> {
        self.search_in(strategy, chunk, &self.pool)
    }

    pub fn search_in(
        &self,
        strategy: Strategy,
        chunk: usize,
        pool: &impl CodePool<Flex>,
    ) -> Result<Vec<Chosen>, SearchError> {
        Search::new(strategy, chunk).run(
            &self.generator,
            &self.distance,
            self.conditioning.clone(),
            &self.target(),
            pool,
            FIRST,
        )
    }

    pub fn target(&self) -> Target<Flex> {
        Target::new(&self.distance, self.images.clone())
    }

    /// The code of one candidate at one level, drawn anew.
    pub fn code(&self, level: usize, example: usize, candidate: usize) -> LatentCode<Flex> {
        self.pool.draw(
            level,
            &[(FIRST + example, candidate)],
            SIDES.map(|side| side << level),
            &Default::default(),
        )
    }

    /// The distance of the image after the given candidates of levels 1, 2, .., from scratch.
    pub fn distance_of(&self, example: usize, candidates: &[usize]) -> f32 {
        let row = |x: &Tensor<Flex, 4>| x.clone().narrow(0, example, 1);
        let codes = candidates.iter().enumerate();
        let codes = codes.map(|(level, k)| self.code(level, example, *k));
        let images = self
            .generator
            .forward(self.conditioning.iter().map(row).collect(), codes.collect());
        let shown = images.last().unwrap().clone();
        let rgb = shown_to_rgb(self.generator.config().architecture, shown);
        let truth = row(&self.images[candidates.len() - 1]);
        values(self.distance.between(rgb, truth))[0]
    }
}

pub fn hierarchical() -> Strategy {
    Strategy::Hierarchical {
        pools: POOLS.to_vec(),
    }
}

pub fn nearest(distances: &[f32]) -> usize {
    let by_distance = |a: &usize, b: &usize| distances[*a].total_cmp(&distances[*b]);
    (0..distances.len()).min_by(by_distance).unwrap()
}

pub fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        let close = (f - e).abs() <= 1e-5 * e.abs();
        assert!(close, "{found:?}, expected {expected:?}");
    }
}

/// The codes of the scene's pool as plain vectors, for examples `0..FIRST + EXAMPLES`.
pub fn given(scene: &Scene) -> GivenPool<Flex> {
    let examples = FIRST + EXAMPLES;
    let level = |(level, count): (usize, usize)| {
        let size = SIDES.map(|side| side << level);
        let rows = (0..examples).flat_map(|example| (0..count).map(move |k| (example, k)));
        let rows: Vec<_> = rows.collect();
        let code: LatentCode<Flex> = scene.pool.draw(level, &rows, size, &Default::default());
        let local = code.local.flatten(1, 3);
        let flat: Tensor<Flex, 2> = Tensor::cat(vec![code.global, local], 1);
        let len = flat.dims()[1];
        flat.reshape([examples, count, len])
    };
    GivenPool {
        levels: POOLS.into_iter().enumerate().map(level).collect(),
        map_code: scene.generator.config().map_code,
    }
}

/// A pool that counts the codes it is asked for, at each level.
pub struct Counting<'a> {
    pub pool: &'a SeededPool,
    pub drawn: [Cell<usize>; POOLS.len()],
    pub largest: Cell<usize>,
}

impl CodePool<Flex> for Counting<'_> {
    fn draw(
        &self,
        level: usize,
        rows: &[(usize, usize)],
        size: [usize; 2],
        device: &burn_flex::FlexDevice,
    ) -> LatentCode<Flex> {
        self.drawn[level].set(self.drawn[level].get() + rows.len());
        self.largest.set(self.largest.get().max(rows.len()));
        self.pool.draw(level, rows, size, device)
    }
}
