//! The configuration of a run that several tests train.

use chimle_core::imle::Strategy;
use chimle_core::{DataSource, Preset, RunConfig, TaskHandle};

/// Returns the configuration of a run of a few seconds, with three searches and two checkpoints within rounds.
pub fn small(task: impl Into<TaskHandle>) -> RunConfig {
    let mut config = RunConfig::new(task, Preset::Tiny);
    config.data.source = DataSource::Procedural { scenes: 20 };
    (config.data.height, config.data.width) = (16, 24);
    config.generator.residual_channels = vec![6, 4];
    config.generator.growth_channels = vec![4, 3];
    config.search.strategy = Strategy::Hierarchical { pools: vec![3, 2] };
    config.training.steps = 12;
    config.training.round = 6;
    config.training.steps_per_search = 5;
    config.training.batch = 4;
    config.training.perturbation = 0.1;
    config.training.checkpoint_every = 3;
    config.training.validate_every = 6;
    config
}
