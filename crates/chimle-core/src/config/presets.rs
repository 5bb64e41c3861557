//! The schedules for the presets of the network.

use chimle_data::{Sizes, TaskHandle};
use chimle_imle::{Neighbors, Objective, Strategy};
use chimle_nn::{GeneratorConfig, Precision, Preset};

use super::{
    BatchOrder, DataConfig, DataSource, DistanceConfig, Measure, RunConfig, SearchConfig,
    TrainingConfig,
};
use crate::generator::architecture;

/// Returns the side of the coarsest level in pixels.
fn coarsest_side(preset: Preset) -> usize {
    match preset {
        Preset::Tiny | Preset::Small => 8,
        Preset::Paper => 32,
    }
}

impl RunConfig {
    /// Returns a configuration with the network and the schedule of a preset. The data are procedural
    /// scenes, and the distance is the Laplacian pyramid.
    pub fn new(task: impl Into<TaskHandle>, preset: Preset) -> Self {
        let task = task.into();
        let mut generator = GeneratorConfig::preset(preset, architecture(&*task));
        generator.in_channels = task.conditioning_channels();
        let multiple = Sizes::multiple(&*task, generator.levels());
        let side = coarsest_side(preset) * multiple.expect("a preset has a few levels");
        let (pools, training) = schedule(preset);
        Self {
            format: super::FORMAT,
            task,
            seed: 0,
            init: None,
            data: DataConfig {
                source: DataSource::Procedural { scenes: 512 },
                height: side,
                width: side,
                augment: true,
                smallest_crop: 0.75,
                transpose: true,
                validation: None,
                held_out: 32,
                threads: std::thread::available_parallelism().map_or(1, usize::from),
                cache_mib: 256,
            },
            distance: DistanceConfig::LaplacianPyramid,
            search: SearchConfig {
                strategy: Strategy::Hierarchical { pools },
                locals: Vec::new(),
                chunk: 64,
                neighbors: Neighbors::Exact,
            },
            training,
            generator,
        }
    }
}

/// Returns the pools and the schedule of a preset.
fn schedule(preset: Preset) -> (Vec<usize>, TrainingConfig) {
    let release = TrainingConfig {
        steps: 200_000,
        passes: Some(20),
        round: 400,
        steps_per_search: 10_000,
        batch: 1,
        accumulate: 1,
        order: BatchOrder::Shuffled,
        learning_rate: 1e-4,
        mapping_rate: 0.01,
        milestones: Vec::new(),
        decay: 0.5,
        perturbation: 0.0,
        objective: Objective {
            intermediate_supervision: true,
        },
        average: None,
        best_by: Measure::Best,
        precision: Precision::F32,
        recompute: false,
        checkpoint_every: 1000,
        validate_every: 1000,
        keep: 2,
    };
    match preset {
        Preset::Paper => (vec![200, 200, 20, 10], release),
        Preset::Small => (
            vec![20, 20, 10, 5],
            TrainingConfig {
                steps: 20_000,
                passes: None,
                round: 64,
                steps_per_search: 100,
                batch: 8,
                learning_rate: 1e-3,
                mapping_rate: 0.1,
                milestones: vec![12_000, 16_000],
                checkpoint_every: 100,
                validate_every: 100,
                ..release
            },
        ),
        Preset::Tiny => (
            vec![16, 2, 1],
            TrainingConfig {
                steps: 2000,
                passes: None,
                round: 64,
                steps_per_search: 16,
                batch: 16,
                learning_rate: 3e-3,
                mapping_rate: 1.0,
                milestones: vec![1200, 1600],
                checkpoint_every: 100,
                validate_every: 200,
                ..release
            },
        ),
    }
}
