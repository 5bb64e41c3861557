//! Generators of points: plain IMLE without conditioning, and a walk of two levels.

use burn::backend::Autodiff;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use burn_flex::{Flex, FlexDevice};
use chimle_imle::{
    Candidate, Chosen, CodePool, Distance, ExampleId, Objective, Search, SeededPool,
    StagedGenerator, Strategy, Target, TrainingDistance, Unconditional,
};
use std::cell::Cell;

const CODE: usize = 3;

fn tensor<B: Backend, const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<B, D> {
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().into_vec().unwrap()
}

/// Mean squared differences of points `[n, 2]`.
#[derive(Clone)]
struct Squared;

impl<B: Backend> Distance<B> for Squared {
    type Output = Tensor<B, 2>;
    type Features = Tensor<B, 2>;

    fn features(&self, points: Tensor<B, 2>) -> Tensor<B, 2> {
        points
    }

    fn compare(&self, candidates: &Tensor<B, 2>, targets: &Tensor<B, 2>) -> Tensor<B, 1> {
        let ([n, d], [g, _]) = (candidates.dims(), targets.dims());
        let targets = targets.clone().reshape([g, 1, d]);
        let difference = candidates.clone().reshape([g, n / g, d]) - targets;
        difference.square().mean_dim(2).reshape([n])
    }
}

impl<B: AutodiffBackend> TrainingDistance<B> for Squared {
    type Valid = Self;

    fn valid(&self) -> Self {
        Self
    }

    fn constants(features: Tensor<B::InnerBackend, 2>) -> Tensor<B, 2> {
        Tensor::from_inner(features)
    }
}

fn squared(a: &[f32], b: &[f32]) -> f32 {
    let sum: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    sum / a.len() as f32
}

/// An unconditional generator of one level: a linear map of its code, optionally under a tanh.
struct Plain<B: Backend> {
    weight: Tensor<B, 2>, // [CODE, 2]
    tanh: bool,
}

const WEIGHT: [f32; 2 * CODE] = [0.8, -0.3, 0.1, 0.9, -0.5, 0.4];

impl<B: Backend> Plain<B> {
    fn new(tanh: bool) -> Self {
        let weight = tensor(WEIGHT.to_vec(), [CODE, 2]);
        Self { weight, tanh }
    }
}

impl<B: Backend> StagedGenerator<B> for Plain<B> {
    type Conditioning = Unconditional;
    type State = Unconditional;
    type Code = Tensor<B, 2>;
    type Output = Tensor<B, 2>;

    fn levels(&self) -> usize {
        1
    }
    fn device(&self) -> B::Device {
        self.weight.device()
    }
    fn begin(&self, conditioning: Unconditional) -> Unconditional {
        conditioning
    }
    fn code_len(&self, _: &Unconditional) -> usize {
        CODE
    }
    fn code(&self, _: &Unconditional, values: Tensor<B, 2>) -> Tensor<B, 2> {
        values
    }
    fn advance(&self, state: Unconditional, code: Tensor<B, 2>) -> (Unconditional, Tensor<B, 2>) {
        assert_eq!(state, Unconditional(code.dims()[0]), "one code per row");
        let points = code.matmul(self.weight.clone());
        (state, if self.tanh { points.tanh() } else { points })
    }
}

/// Points on a circle.
fn observed(count: usize) -> Vec<f32> {
    let angle = |k: usize| k as f32 * std::f32::consts::TAU / count as f32;
    let point = |k| [0.7 * angle(k).cos(), 0.7 * angle(k).sin()];
    (0..count).flat_map(point).collect()
}

/// A pool that counts the codes it is asked for.
struct Counting {
    pool: SeededPool,
    drawn: Cell<usize>,
}

impl CodePool<Flex> for Counting {
    fn draw(
        &self,
        level: usize,
        candidates: &[Candidate],
        len: usize,
        device: &FlexDevice,
    ) -> Tensor<Flex, 2> {
        self.drawn.set(self.drawn.get() + candidates.len());
        self.pool.draw(level, candidates, len, device)
    }
}

/// The code of one candidate.
fn code(pool: SeededPool, level: usize, example: ExampleId, index: usize, len: usize) -> Vec<f32> {
    let candidate = Candidate { example, index };
    let code: Tensor<Flex, 2> = pool.draw(level, &[candidate], len, &Default::default());
    values(code)
}

#[test]
fn imle_shares_one_pool_among_all_observed_outputs() {
    const OUTPUTS: usize = 12;
    const CANDIDATES: usize = 50;
    let (generator, pool, example) = (Plain::<Flex>::new(true), SeededPool::new(9), ExampleId(4));
    let points = observed(OUTPUTS);
    let search = |strategy: Strategy, chunk: usize| -> Vec<Chosen> {
        let counting = Counting {
            pool,
            drawn: Cell::new(0),
        };
        let outputs = tensor::<Flex, 2>(points.clone(), [OUTPUTS, 2]);
        let target = Target::of_sets(&Squared, vec![outputs], vec![0; OUTPUTS]);
        let found = Search::new(strategy, chunk)
            .run(
                &generator,
                &Squared,
                Unconditional(1),
                &target,
                &counting,
                &[example],
            )
            .unwrap();
        assert_eq!(
            counting.drawn.get(),
            CANDIDATES,
            "each candidate is drawn once"
        );
        found
    };
    let candidates: Vec<Vec<f32>> = (0..CANDIDATES)
        .map(|index| {
            let code = tensor(code(pool, 0, example, index, CODE), [1, CODE]);
            values(generator.advance(Unconditional(1), code).1)
        })
        .collect();
    let pools = vec![CANDIDATES];
    for chunk in [1, 7, 1000] {
        let found = search(
            Strategy::Hierarchical {
                pools: pools.clone(),
            },
            chunk,
        );
        assert_eq!(found.len(), OUTPUTS);
        for (found, point) in found.iter().zip(points.chunks(2)) {
            let distances = candidates.iter().map(|c| squared(c, point));
            let distances: Vec<f32> = distances.collect();
            for (found, expected) in found.distances[0].iter().zip(&distances) {
                assert!((found - expected).abs() <= 1e-5 * expected.max(1e-3));
            }
            let by_distance = |a: &usize, b: &usize| distances[*a].total_cmp(&distances[*b]);
            let nearest = (0..CANDIDATES).min_by(by_distance).unwrap();
            assert_eq!(found.candidates, [nearest], "chunk {chunk}");
        }
        // With one level, the flat search is the same as the hierarchical search.
        let flat = Strategy::Flat {
            candidates: CANDIDATES,
        };
        assert_eq!(search(flat, chunk), found);
    }
    let found = search(Strategy::Hierarchical { pools }, 10);
    let differ = |chosen: &Chosen| chosen.candidates != found[0].candidates;
    assert!(found.iter().any(differ));
}

#[test]
fn rows_without_conditioning_have_pools_of_their_own() {
    let (generator, pool) = (Plain::<Flex>::new(true), SeededPool::new(1));
    let examples = [ExampleId(8), ExampleId(3)];
    let points = tensor::<Flex, 2>([observed(1), observed(1)].concat(), [2, 2]);
    let strategy = Strategy::Hierarchical { pools: vec![6] };
    let found = Search::new(strategy, 4)
        .run(
            &generator,
            &Squared,
            Unconditional(2),
            &Target::new(&Squared, vec![points]),
            &pool,
            &examples,
        )
        .unwrap();
    // The two observed outputs are equal, but they belong to two examples.
    assert!(
        found[0].distances[0]
            .iter()
            .zip(&found[1].distances[0])
            .all(|(a, b)| a != b)
    );
}

#[test]
fn the_loss_of_imle_is_the_distance_found_and_its_gradient_is_exact() {
    type B = Autodiff<Flex>;
    const OUTPUTS: usize = 5;
    let (pool, example) = (SeededPool::new(2), ExampleId(0));
    let points = observed(OUTPUTS);
    let mut generator = Plain::<B>::new(false);
    generator.weight = generator.weight.require_grad();

    // The search and the features of the target need no graph.
    let valid = <Squared as TrainingDistance<B>>::valid(&Squared);
    let outputs = tensor::<Flex, 2>(points.clone(), [OUTPUTS, 2]);
    let target = Target::of_sets(&valid, vec![outputs], vec![0; OUTPUTS]);
    let strategy = Strategy::Hierarchical { pools: vec![20] };
    let found = Search::new(strategy, 16)
        .run(
            &Plain::<Flex>::new(false),
            &valid,
            Unconditional(1),
            &target,
            &pool,
            &[example],
        )
        .unwrap();

    let codes: Vec<Vec<f32>> = found
        .iter()
        .map(|chosen| code(pool, 0, example, chosen.candidates[0], CODE))
        .collect();
    let objective = Objective {
        intermediate_supervision: false,
    };
    let losses = objective.losses(
        &generator,
        &Squared,
        Unconditional(OUTPUTS),
        |_, _| tensor::<B, 2>(codes.concat(), [OUTPUTS, CODE]),
        &target.constants::<B, Squared>(),
    );
    let [loss]: [Tensor<B, 1>; 1] = losses.try_into().unwrap();
    for (loss, chosen) in values(loss.clone()).into_iter().zip(&found) {
        assert!((loss - chosen.nearest()[0]).abs() < 1e-6);
    }

    // The gradient of |c W - t|^2 / 2 is c (c W - t).
    let gradients = loss.sum().backward();
    let gradient = values(generator.weight.grad(&gradients).unwrap());
    let mut expected = [0.0; 2 * CODE];
    for (code, point) in codes.iter().zip(points.chunks(2)) {
        for k in 0..2 {
            let output: f32 = (0..CODE).map(|i| code[i] * WEIGHT[2 * i + k]).sum();
            for i in 0..CODE {
                expected[2 * i + k] += code[i] * (output - point[k]);
            }
        }
    }
    for (found, expected) in gradient.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-4, "{gradient:?}");
    }
}

/// A walk of two levels from a given point. Each step depends nonlinearly on its code and on where
/// the step begins, and the second code is longer than the first.
struct Walk;

impl<B: Backend> StagedGenerator<B> for Walk {
    type Conditioning = Tensor<B, 2>;
    /// The points, and the number of steps taken, by row.
    type State = (Tensor<B, 2>, Vec<Tensor<B, 1>>);
    type Code = Tensor<B, 2>;
    type Output = Tensor<B, 2>;

    fn levels(&self) -> usize {
        2
    }
    fn device(&self) -> B::Device {
        Default::default()
    }
    fn begin(&self, points: Tensor<B, 2>) -> Self::State {
        let steps = Tensor::zeros([points.dims()[0]], &points.device());
        (points, vec![steps])
    }
    fn code_len(&self, (_, steps): &Self::State) -> usize {
        2 * steps.len()
    }
    fn code(&self, (_, steps): &Self::State, values: Tensor<B, 2>) -> Tensor<B, 2> {
        let [rows, len] = values.dims();
        values
            .reshape([rows, len / 2, 2])
            .sum_dim(1)
            .reshape([rows, 2])
            / steps.len() as f32
    }
    fn advance(&self, state: Self::State, code: Tensor<B, 2>) -> (Self::State, Tensor<B, 2>) {
        let (points, mut steps) = state;
        let scale = 0.5f32.powi(steps.len() as i32 - 1);
        let points = points.clone() + (code + points).tanh() * scale;
        steps.push(steps[0].clone() + 1.0);
        ((points.clone(), steps), points)
    }
}

#[test]
fn points_are_searched_level_by_level() {
    let starts = [0.0, 0.0, 1.0, -0.5];
    let goals = [[-0.5, 0.8, 0.2, 0.4], [-0.7, 0.5, 0.3, 0.6]];
    let (pool, pools) = (SeededPool::new(6), [9, 11]);
    let examples = [ExampleId(5), ExampleId(1)];
    let target = goals.map(|goals| tensor::<Flex, 2>(goals.to_vec(), [2, 2]));
    let target = Target::new(&Squared, target.to_vec());
    let strategy = Strategy::Hierarchical {
        pools: pools.to_vec(),
    };
    let start = || tensor::<Flex, 2>(starts.to_vec(), [2, 2]);
    let found = Search::new(strategy, 5)
        .run(&Walk, &Squared, start(), &target, &pool, &examples)
        .unwrap();

    for (row, found) in found.iter().enumerate() {
        let mut state = StagedGenerator::<Flex>::begin(&Walk, start().narrow(0, row, 1));
        for (level, count) in pools.into_iter().enumerate() {
            let goal = &goals[level][2 * row..2 * row + 2];
            let mut reached: Vec<_> = (0..count)
                .map(|index| {
                    let len = Walk.code_len(&state);
                    assert_eq!(len, 2 * (level + 1));
                    let code = tensor(code(pool, level, examples[row], index, len), [1, len]);
                    let code = Walk.code(&state, code);
                    let (state, output) = Walk.advance(state.clone(), code);
                    (squared(&values(output), goal), state)
                })
                .collect();
            for (found, (expected, _)) in found.distances[level].iter().zip(&reached) {
                assert!((found - expected).abs() <= 1e-5 * expected.max(1e-3));
            }
            let by_distance = |a: &usize, b: &usize| reached[*a].0.total_cmp(&reached[*b].0);
            let nearest = (0..count).min_by(by_distance).unwrap();
            assert_eq!(found.candidates[level], nearest);
            state = reached.swap_remove(nearest).1;
        }
    }
}
