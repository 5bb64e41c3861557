//! A small generator of images, distances between its images, and everything else that a search
//! needs.

// Every test file compiles this module and uses its own part of it.
#![allow(dead_code)]

use std::cell::Cell;

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use burn_flex::{Flex, FlexDevice};
use chimle_imle::{
    Candidate, Chosen, CodePool, Distance, ExampleId, GivenPool, Rows, Search, SearchError,
    SeededPool, Selection, StagedGenerator, Strategy, Target, TrainingDistance,
};

/// The height and width of the images of the first level.
pub const SIDES: [usize; 2] = [4, 6];
/// The identity of each input: neither consecutive nor in order.
pub const EXAMPLES: [ExampleId; 3] = [ExampleId(11), ExampleId(2), ExampleId(7)];
pub const POOLS: [usize; 3] = [7, 5, 4];

/// The number of values in the global part of a code.
const GLOBAL: usize = 4;
/// The number of channels of images, features, styles and local codes.
const CHANNELS: usize = 3;

/// What the levels of a [`Pyramid`] are conditioned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditioned {
    /// Every level is conditioned on an image of its own.
    PerLevel,
    /// The first level is conditioned on an image, and every other level on the output below it.
    FirstLevel,
}

pub const CONDITIONED: [Conditioned; 2] = [Conditioned::PerLevel, Conditioned::FirstLevel];

/// A generator of images `[n, 3, h, w]`, each level at twice the side of the one below.
///
/// A level depends nonlinearly on its conditioning, on both parts of its code, on the features of
/// the level below and on the styles of all levels below.
#[derive(Clone)]
pub struct Pyramid<B: Backend> {
    conditioned: Conditioned,
    /// `[GLOBAL, CHANNELS]` per level.
    weights: Vec<Tensor<B, 2>>,
    /// Added to the image of a level and to nothing else.
    pub bias: Vec<f32>,
}

#[derive(Clone)]
pub struct State<B: Backend> {
    level: usize,
    /// Conditioning of the levels still to come, coarse to fine.
    conditioning: Vec<Tensor<B, 4>>,
    features: Option<Tensor<B, 4>>,
    styles: Vec<Tensor<B, 2>>,
}

#[derive(Clone)]
pub struct Code<B: Backend> {
    global: Tensor<B, 2>,
    local: Tensor<B, 4>,
}

impl<B: Backend> Pyramid<B> {
    pub fn new(conditioned: Conditioned, levels: usize) -> Self {
        let weight = |level| (noise([GLOBAL, CHANNELS], 70 + level) - 0.5) * 2.0;
        Self {
            conditioned,
            weights: (0..levels).map(weight).collect(),
            bias: vec![0.0; levels],
        }
    }
}

impl<B: Backend> Rows<B> for State<B> {
    fn rows(&self) -> usize {
        match self.conditioning.first() {
            Some(image) => image.rows(),
            None => self.styles.rows(),
        }
    }

    fn select_rows(&self, rows: &Selection<B>) -> Self {
        Self {
            level: self.level,
            conditioning: self.conditioning.select_rows(rows),
            features: self.features.select_rows(rows),
            styles: self.styles.select_rows(rows),
        }
    }

    fn concat(parts: Vec<Self>) -> Self {
        let level = parts[0].level;
        assert!(parts.iter().all(|part| part.level == level));
        let parts = parts.into_iter();
        let (conditioning, rest): (Vec<_>, Vec<_>) = parts
            .map(|part| (part.conditioning, (part.features, part.styles)))
            .unzip();
        let (features, styles) = Rows::concat(rest);
        Self {
            level,
            conditioning: Rows::concat(conditioning),
            features,
            styles,
        }
    }
}

impl<B: Backend> StagedGenerator<B> for Pyramid<B> {
    type Conditioning = Vec<Tensor<B, 4>>;
    type State = State<B>;
    type Code = Code<B>;
    type Output = Tensor<B, 4>;

    fn levels(&self) -> usize {
        self.weights.len()
    }

    fn device(&self) -> B::Device {
        self.weights[0].device()
    }

    fn begin(&self, conditioning: Vec<Tensor<B, 4>>) -> State<B> {
        State {
            level: 0,
            conditioning,
            features: None,
            styles: Vec::new(),
        }
    }

    fn code_len(&self, state: &State<B>) -> usize {
        let [_, _, height, width] = state.conditioning[0].dims();
        GLOBAL + CHANNELS * height * width
    }

    fn code(&self, state: &State<B>, values: Tensor<B, 2>) -> Code<B> {
        let [_, _, height, width] = state.conditioning[0].dims();
        let [rows, len] = values.dims();
        Code {
            global: values.clone().narrow(1, 0, GLOBAL),
            local: values
                .narrow(1, GLOBAL, len - GLOBAL)
                .reshape([rows, CHANNELS, height, width]),
        }
    }

    fn advance(&self, mut state: State<B>, code: Code<B>) -> (State<B>, Tensor<B, 4>) {
        let level = state.level;
        let base = state.conditioning.remove(0);
        let rows = base.dims()[0];
        let mut style = code.global.matmul(self.weights[level].clone());
        for (k, below) in state.styles.iter().enumerate() {
            style = style + below.clone() * (k + 1) as f32;
        }
        let style = style.tanh();
        let gain = style.clone().reshape([rows, CHANNELS, 1, 1]);
        let mut features = base + code.local * gain.clone() + gain;
        if let Some(below) = state.features.take() {
            features = features + enlarged(below) * 0.5;
        }
        let features = features.tanh();
        let image = (features.clone() + 1.0) / 2.0 + self.bias[level];
        state.styles.push(style);
        state.level += 1;
        if state.level < self.weights.len() {
            state.features = Some(features);
            if self.conditioned == Conditioned::FirstLevel {
                state.conditioning.push(enlarged(image.clone()));
            }
        }
        (state, image)
    }
}

/// Repeats every pixel twice in each direction.
fn enlarged<B: Backend>(image: Tensor<B, 4>) -> Tensor<B, 4> {
    let [n, c, h, w] = image.dims();
    image
        .reshape([n, c, h, 1, w, 1])
        .expand([n, c, h, 2, w, 2])
        .reshape([n, c, 2 * h, 2 * w])
}

/// Distances between images. Their features are the pixels and the mean of each channel.
#[derive(Clone, Copy, Debug)]
pub enum Pixels {
    /// Mean squared differences. This distance has an embedding.
    L2,
    /// Mean absolute differences.
    L1,
    /// L2 with every NaN replaced by 0, which the activations of a network can do too. This
    /// distance has an embedding.
    HidesNan,
}

impl<B: Backend> Distance<B> for Pixels {
    type Output = Tensor<B, 4>;
    type Features = (Tensor<B, 4>, Tensor<B, 2>);

    fn features(&self, mut image: Tensor<B, 4>) -> Self::Features {
        if let Self::HidesNan = self {
            let nan = image.clone().is_nan();
            image = image.mask_fill(nan, 0.0);
        }
        let [n, c, h, w] = image.dims();
        let means = image.clone().reshape([n, c, h * w]).mean_dim(2);
        (image, means.reshape([n, c]))
    }

    fn compare(&self, candidates: &Self::Features, targets: &Self::Features) -> Tensor<B, 1> {
        let part = |candidates: Tensor<B, 2>, targets: Tensor<B, 2>| {
            let ([n, d], [g, _]) = (candidates.dims(), targets.dims());
            let difference = candidates.reshape([g, n / g, d]) - targets.reshape([g, 1, d]);
            let difference = match self {
                Self::L1 => difference.abs(),
                Self::L2 | Self::HidesNan => difference.square(),
            };
            difference.mean_dim(2).reshape([n])
        };
        let flat = |image: &Tensor<B, 4>| image.clone().flatten(1, 3);
        part(flat(&candidates.0), flat(&targets.0)) + part(candidates.1.clone(), targets.1.clone())
    }

    fn embed(&self, (image, means): &Self::Features) -> Option<Tensor<B, 2>> {
        if let Self::L1 = self {
            return None;
        }
        let flat: Tensor<B, 2> = image.clone().flatten(1, 3);
        let scaled = [flat, means.clone()].map(|part| {
            let values = part.dims()[1] as f64;
            part.div_scalar(values.sqrt())
        });
        Some(Tensor::cat(scaled.to_vec(), 1))
    }
}

impl<B: AutodiffBackend> TrainingDistance<B> for Pixels {
    type Valid = Self;

    fn valid(&self) -> Self {
        *self
    }

    fn constants(
        (image, means): <Self as Distance<B::InnerBackend>>::Features,
    ) -> <Self as Distance<B>>::Features {
        (Tensor::from_inner(image), Tensor::from_inner(means))
    }
}

/// Everything that a search needs, with small sizes.
pub struct Scene {
    pub generator: Pyramid<Flex>,
    pub conditioning: Vec<Tensor<Flex, 4>>,
    pub images: Vec<Tensor<Flex, 4>>,
    pub pool: SeededPool,
    pub distance: Pixels,
}

impl Scene {
    pub fn new(conditioned: Conditioned) -> Self {
        let image = |level: usize, seed| {
            let [height, width] = SIDES.map(|side| side << level);
            noise([EXAMPLES.len(), CHANNELS, height, width], seed + level)
        };
        let conditioning_images = match conditioned {
            Conditioned::PerLevel => POOLS.len(),
            Conditioned::FirstLevel => 1,
        };
        Self {
            generator: Pyramid::new(conditioned, POOLS.len()),
            conditioning: (0..conditioning_images).map(|i| image(i, 10)).collect(),
            images: (0..POOLS.len()).map(|i| image(i, 50)).collect(),
            pool: SeededPool::new(5),
            distance: Pixels::L2,
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
            &EXAMPLES,
        )
    }

    pub fn target(&self) -> Target<(Tensor<Flex, 4>, Tensor<Flex, 2>)> {
        Target::new(&self.distance, self.images.clone())
    }

    /// Draws the codes of some candidates at one level.
    pub fn codes(&self, level: usize, state: &State<Flex>, candidates: &[Candidate]) -> Code<Flex> {
        let len = self.generator.code_len(state);
        let values = self.pool.draw(level, candidates, len, &Default::default());
        self.generator.code(state, values)
    }

    /// Computes the images of one input for the given candidates of levels 1, 2, .., from scratch.
    pub fn images_of(&self, input: usize, candidates: &[usize]) -> Vec<Tensor<Flex, 4>> {
        let conditioning = self.conditioning.iter();
        let conditioning = conditioning.map(|image| image.clone().narrow(0, input, 1));
        let mut state = self.generator.begin(conditioning.collect());
        let mut images = Vec::new();
        for (level, &index) in candidates.iter().enumerate() {
            let example = EXAMPLES[input];
            let code = self.codes(level, &state, &[Candidate { example, index }]);
            let (next, image) = self.generator.advance(state, code);
            state = next;
            images.push(image);
        }
        images
    }

    /// Computes the distance of the image after the given candidates of levels 1, 2, .., from
    /// scratch.
    pub fn distance_of(&self, input: usize, candidates: &[usize]) -> f32 {
        let image = self.images_of(input, candidates).pop().unwrap();
        let truth = self.images[candidates.len() - 1]
            .clone()
            .narrow(0, input, 1);
        values(self.distance.between(image, truth))[0]
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

/// The codes of the scene's pool as plain values, for all identities up to the largest of
/// [`EXAMPLES`].
pub fn given(scene: &Scene) -> GivenPool<Flex> {
    let examples = 1 + EXAMPLES.iter().map(|id| id.0).max().unwrap();
    let level = |(level, count): (usize, usize)| {
        let [height, width] = SIDES.map(|side| side << level);
        let len = GLOBAL + CHANNELS * height * width;
        let candidates: Vec<Candidate> = (0..examples)
            .flat_map(|example| {
                (0..count).map(move |index| Candidate {
                    example: ExampleId(example),
                    index,
                })
            })
            .collect();
        let codes: Tensor<Flex, 2> = scene
            .pool
            .draw(level, &candidates, len, &Default::default());
        codes.reshape([examples as usize, count, len])
    };
    GivenPool {
        levels: POOLS.into_iter().enumerate().map(level).collect(),
    }
}

/// A pool that counts the codes it is asked for, at each level.
pub struct Counting<'a> {
    pub pool: &'a SeededPool,
    pub drawn: [Cell<usize>; POOLS.len()],
    pub largest: Cell<usize>,
}

impl<'a> Counting<'a> {
    pub fn new(pool: &'a SeededPool) -> Self {
        Self {
            pool,
            drawn: Default::default(),
            largest: Cell::new(0),
        }
    }
}

impl CodePool<Flex> for Counting<'_> {
    fn draw(
        &self,
        level: usize,
        candidates: &[Candidate],
        len: usize,
        device: &FlexDevice,
    ) -> Tensor<Flex, 2> {
        self.drawn[level].set(self.drawn[level].get() + candidates.len());
        self.largest.set(self.largest.get().max(candidates.len()));
        self.pool.draw(level, candidates, len, device)
    }
}

/// Values in [0, 1] without a pattern, the same in every run.
pub fn noise<B: Backend, const D: usize>(shape: [usize; D], seed: usize) -> Tensor<B, D> {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let values = (0..shape.iter().product()).map(|_| next()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

/// All values of a tensor.
pub fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().unwrap()
}
