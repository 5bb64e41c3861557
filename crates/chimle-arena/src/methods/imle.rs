//! CHIMLE and cIMLE: the library's search and objective with the shared generator.
//!
//! Both minimize, over θ, the sum over i of min over j of d(G(x_i, z_ij), y_i), with no discriminator (Li and Malik
//! 2018). CHIMLE (Peng, Moazeni, Li 2022) searches the code level by level. cIMLE draws whole codes. Both have the same
//! generator, the same distance and the same loss at every level, so only the search differs. By default, the number of
//! whole codes of cIMLE is chosen so that its search costs as much as CHIMLE's.
//!
//! A search finds the codes of a round of examples. These codes are then kept for some training steps. A resumed run
//! starts with a new round.

use std::path::Path;

use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use chimle_core::TaskHandle;
use chimle_core::data::{Batch, Example, Planes, Sizes};
use chimle_core::imle::{
    Candidate, CodePool, ExampleId, Objective, Search, SeededPool, StagedGenerator, Strategy,
    Target, TrainingDistance,
};
use chimle_core::nn::Generator;
use chimle_core::perceptual::ImageDistance;
use chimle_kernels::{Kernels, TrainingBackend};
use serde::{Deserialize, Serialize};

use crate::backbone::{backbone, sample_rows};
use crate::context::Context;
use crate::error::Error;
use crate::feed::Feed;
use crate::method::{Costs, Method};
use crate::random::Random;
use crate::schedule::halved_twice;
use crate::trained::Trained;

/// The decay rates of Adam's moments.
const BETAS: (f32, f32) = (0.9, 0.999);
/// The largest number of candidates that are evaluated in one batch.
const CHUNK: usize = 64;

/// The settings of CHIMLE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChimleSettings {
    /// The number of candidates per level, coarse to fine.
    pub pools: Vec<usize>,
    /// The schedule of rounds and steps.
    pub schedule: Schedule,
}

/// The settings of cIMLE.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CimleSettings {
    /// The number of whole codes for each input. If it is not set, it is chosen so that the search evaluates as many
    /// pixels as a hierarchical search with `pools`.
    pub candidates: Option<usize>,
    /// The pools of CHIMLE that determine the number of whole codes, if `candidates` is not set. The default is
    /// CHIMLE's.
    pub pools: Option<Vec<usize>>,
    /// The schedule of rounds and steps.
    pub schedule: Schedule,
}

/// The schedule of rounds and steps, which CHIMLE and cIMLE share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// The number of inputs that are searched together.
    pub round: usize,
    /// The number of steps taken with the codes of a round.
    pub steps_per_search: u64,
    /// The number of examples in a step.
    pub batch: usize,
    /// Adam's learning rate at the beginning. It is halved twice.
    pub rate: f64,
}

impl Default for ChimleSettings {
    fn default() -> Self {
        Self {
            pools: vec![20, 12, 6, 4],
            schedule: Schedule::default(),
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            round: 32,
            steps_per_search: 24,
            batch: 8,
            rate: 2e-3,
        }
    }
}

/// CHIMLE or cIMLE.
pub struct Imle<B: TrainingBackend> {
    task: TaskHandle,
    generator: Trained<B, Generator<B>>,
    distance: ImageDistance<B>,
    search: Search,
    schedule: Schedule,
    seed: u64,
    device: B::Device,
    round: Option<Round>,
    /// The number of rounds that this process has drawn.
    rounds: u64,
}

/// Examples with the codes that the search found for them.
struct Round {
    examples: Vec<Example>,
    /// The index of the chosen candidate of each example at each level.
    chosen: Vec<Vec<usize>>,
    pool: SeededPool,
    random: Random,
    /// The examples of the next steps. The last one is used first.
    order: Vec<usize>,
    steps: u64,
}

impl<B: TrainingBackend> Imle<B> {
    /// Creates CHIMLE.
    ///
    /// # Errors
    ///
    /// If the pools do not fit the generator, or the distance cannot be loaded.
    pub fn chimle(context: &Context<B>, settings: ChimleSettings) -> Result<Self, Error> {
        let strategy = Strategy::Hierarchical {
            pools: settings.pools,
        };
        Self::new(context, strategy, settings.schedule)
    }

    /// Creates cIMLE.
    ///
    /// # Errors
    ///
    /// The errors of [`chimle`](Self::chimle), and an error if `candidates` is 0.
    pub fn cimle(context: &Context<B>, settings: CimleSettings) -> Result<Self, Error> {
        let pools = settings.pools.unwrap_or_else(|| {
            let usual = ChimleSettings::default().pools.into_iter();
            usual.take(context.backbone.levels()).collect()
        });
        let candidates = settings
            .candidates
            .unwrap_or_else(|| whole_codes(&pools, &context.sizes));
        Self::new(context, Strategy::Flat { candidates }, settings.schedule)
    }

    fn new(context: &Context<B>, strategy: Strategy, schedule: Schedule) -> Result<Self, Error> {
        let search = Search::new(strategy, CHUNK);
        let levels = context.backbone.levels();
        search.validate(levels).map_err(chimle_core::Error::from)?;
        let sizes = [
            ("schedule.round", schedule.round),
            ("schedule.batch", schedule.batch),
            (
                "schedule.steps_per_search",
                schedule.steps_per_search as usize,
            ),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|&(_, size)| size == 0) {
            return Err(Error::setting(field, "must be at least 1"));
        }
        let _beginning = context.seed_weights();
        Ok(Self {
            task: context.task.clone(),
            generator: backbone(context, BETAS),
            distance: context.load_distance()?,
            search,
            schedule,
            seed: context.seed,
            device: context.device.clone(),
            round: None,
            rounds: 0,
        })
    }

    /// Finds, for each example, the code whose output is nearest to the truth.
    fn search(&self, examples: Vec<Example>, seed: u64) -> Result<Round, Error> {
        let generator = self.generator.network.valid().fold();
        let distance = self.distance.valid();
        let pool = SeededPool::new(seed);
        let mut chosen = Vec::with_capacity(examples.len());
        for part in examples.chunks(self.search.inputs_at_once()) {
            let part: Vec<&Example> = part.iter().collect();
            let batch = Batch::<B::InnerBackend>::collate(&part, &self.device);
            let target = Target::new(&distance, batch.targets);
            let identities: Vec<ExampleId> = part.iter().map(|e| ExampleId(e.input.0)).collect();
            let found = self.search.run(
                &generator,
                &distance,
                batch.conditioning,
                &target,
                &pool,
                &identities,
            );
            let found = found.map_err(chimle_core::Error::from)?;
            chosen.extend(found.into_iter().map(|found| found.candidates));
        }
        Ok(Round {
            examples,
            chosen,
            pool,
            random: Random::new(seed, 1),
            order: Vec::new(),
            steps: 0,
        })
    }

    /// Takes a training step on examples of the round, with their codes held.
    fn train(&mut self, rate: f64) -> f32 {
        let round = self.round.as_mut().expect("a search comes before a step");
        round.steps += 1;
        let places: Vec<usize> = (0..self.schedule.batch)
            .map(|_| round.next_place())
            .collect();
        let examples: Vec<&Example> = places.iter().map(|&place| &round.examples[place]).collect();
        let batch = Batch::<B>::collate(&examples, &self.device);
        let targets = batch.targets.into_iter().map(Tensor::inner).collect();
        let target = Target::new(&self.distance.valid(), targets);
        let target = target.constants::<B, ImageDistance<B>>();
        let objective = Objective {
            intermediate_supervision: true,
        };
        let network = &self.generator.network;
        let losses = objective.losses(
            network,
            &self.distance,
            batch.conditioning,
            |level, state| {
                let candidates: Vec<Candidate> = places
                    .iter()
                    .map(|&place| Candidate {
                        example: ExampleId(round.examples[place].input.0),
                        index: round.chosen[place][level],
                    })
                    .collect();
                let len = network.code_len(state);
                let values = round.pool.draw(level, &candidates, len, &self.device);
                network.code(state, values)
            },
            &target,
        );
        let loss = losses.into_iter().map(Tensor::mean).reduce(|a, b| a + b);
        let loss = loss.expect("a generator has levels");
        let value = number(&loss);
        self.generator.step(&mut loss.backward(), rate);
        value
    }
}

impl Round {
    fn next_place(&mut self) -> usize {
        if self.order.is_empty() {
            self.order = self.random.order(self.examples.len());
        }
        self.order.pop().expect("a round has examples")
    }
}

/// Returns the number of whole codes that evaluate as many pixels as these pools do.
fn whole_codes(pools: &[usize], sizes: &Sizes) -> usize {
    let areas: Vec<usize> = sizes.targets().iter().map(|(h, w)| h * w).collect();
    let evaluated: usize = pools.iter().zip(&areas).map(|(m, area)| m * area).sum();
    let whole: usize = areas.iter().sum();
    ((evaluated as f64 / whole as f64).round() as usize).max(1)
}

/// Returns the value of a loss.
pub(crate) fn number<B: TrainingBackend>(loss: &Tensor<B, 1>) -> f32 {
    let values = loss.clone().inner().into_data();
    values.iter::<f32>().next().unwrap_or(f32::NAN)
}

impl<B: TrainingBackend> Method for Imle<B> {
    fn step(&mut self, feed: &mut Feed, progress: f64) -> Result<f32, Error> {
        let is_over = |round: &Round| round.steps >= self.schedule.steps_per_search;
        if self.round.as_ref().is_none_or(is_over) {
            // The seed depends on the feed's position, so every round has different candidates, even after a resume.
            let seed = Random::new(self.seed, feed.position()).seed();
            let examples = feed.next(self.schedule.round)?;
            self.round = Some(self.search(examples, seed)?);
            self.rounds += 1;
        }
        Ok(self.train(halved_twice(self.schedule.rate, progress)))
    }

    fn sample(
        &self,
        inputs: &[&Example],
        samples: usize,
        seed: u64,
    ) -> Result<Vec<Vec<Planes>>, Error> {
        let generator = self.generator.evaluated().fold();
        Ok(sample_levels(&generator, &self.task, inputs, samples, seed))
    }

    fn costs(&self) -> Costs {
        Costs {
            parameters: self.generator.parameters(),
            training_parameters: 0,
            evaluations_per_sample: 1,
            is_stochastic: true,
        }
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        self.generator.save(folder, "generator")
    }

    fn load(&mut self, folder: &Path) -> Result<(), Error> {
        self.round = None;
        self.generator.load(folder, "generator", &self.device)
    }
}

/// Draws samples with an independent code for each level.
fn sample_levels<B: Kernels>(
    generator: &Generator<B>,
    task: &TaskHandle,
    inputs: &[&Example],
    samples: usize,
    seed: u64,
) -> Vec<Vec<Planes>> {
    let (pool, device) = (SeededPool::new(seed), generator.device());
    sample_rows(task, inputs, samples, |examples, candidates| {
        let conditioning = Batch::collate(examples, &device).conditioning;
        let mut level = 0;
        let outputs = generator.evaluate(conditioning, |_, state| {
            let values = pool.draw(level, candidates, generator.code_len(state), &device);
            level += 1;
            generator.code(state, values)
        });
        outputs.into_iter().last().expect("a generator has levels")
    })
}

#[cfg(test)]
mod tests {
    use chimle_core::Colorization;

    use super::*;

    #[test]
    fn a_flat_search_of_equal_cost_counts_pixels() {
        let sizes = Sizes::new(&Colorization, 4, 256, 256).unwrap();
        // The pools of the authors' release.
        assert_eq!(whole_codes(&[200, 200, 20, 10], &sizes), 23);
        assert_eq!(whole_codes(&[1, 1, 1, 1], &sizes), 1);
    }
}
