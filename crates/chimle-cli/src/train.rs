//! `chimle train`: starts or resumes a run.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chimle_core::{
    GeneratorConfig, NodesConfig, RunConfig, Trainer, TrainingBackend, architecture, load_weights,
};
use clap::Args;
use sysinfo::System;

use crate::device::{Command, Common, Devices};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::page::{self, INPUTS, SAMPLES};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::tensorboard::Recorder;
use crate::{flags, output};

/// Trains a model on photographs, pairs or procedural scenes, or resumes a run.
///
/// The run's folder contains `config.toml` (everything needed to repeat the run), `log.jsonl` (all its numbers),
/// `samples/` (samples of held-out inputs, drawn during training) and `checkpoints/`. A run can be stopped at any time
/// and resumed. The first Ctrl-C finishes the step, saves and exits; the second exits at once.
#[derive(Args)]
#[command(override_usage = USAGE, after_help = EXAMPLES)]
pub struct Train {
    /// Resume the run in this folder, with the settings in its config.toml
    #[arg(long, value_name = "RUN", conflicts_with_all = ["settings", "config", "out"])]
    resume: Option<PathBuf>,

    /// Read all settings from this file, which has the format of a run's config.toml
    ///
    /// Only --out, --init, --steps, --minutes, --device and --seed can be given with it.
    #[arg(long, value_name = "FILE", conflicts_with = "settings")]
    config: Option<PathBuf>,

    /// The new run's folder
    #[arg(long, value_name = "RUN", required_unless_present = "resume")]
    out: Option<PathBuf>,

    /// Start from the weights of this trained model, run or file; the new run then has the same network
    ///
    /// The file can also be a checkpoint of the authors' release (.pth).
    #[arg(long, value_name = "NAME|RUN|FILE", conflicts_with = "resume")]
    init: Option<PathBuf>,

    /// The total number of training steps; 0 gives an untrained model. The learning rate's schedule is scaled to it
    ///
    /// With --resume, the number includes the steps already done. [default: the preset's, or the run's]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,

    /// Stop after this many minutes even if steps remain; --resume continues the run
    #[arg(long, value_name = "M", value_parser = flags::minutes)]
    minutes: Option<Duration>,

    /// Train on several devices of one kind: cuda:0,cuda:1, or cpu:N for N workers that share the CPU
    ///
    /// Each device searches a part of every round and trains on a part of every batch. The result is the same as on one
    /// device, up to rounding.
    #[arg(long, value_name = "DEVICE,...", conflicts_with = "device")]
    pub devices: Option<Devices>,

    /// Train together with other machines, which `chimle orchestrate` at this address connects
    #[arg(long, value_name = "HOST:PORT")]
    nodes: Option<String>,

    /// The name of this machine in messages [default: its host name and process]
    #[arg(long, value_name = "NAME", requires = "nodes")]
    node_name: Option<String>,

    /// Resume even if the data have changed since the run began
    #[arg(long, requires = "resume")]
    accept_data: bool,

    /// Also write all numbers to TensorBoard event files, in `tensorboard/` in the run's folder
    #[arg(long)]
    tensorboard: bool,

    #[command(flatten)]
    settings: Settings,
}

const USAGE: &str = "\
chimle train --task TASK --data DIR|procedural --out RUN [OPTIONS]
       chimle train --task night-to-day --pairs INPUT OUTPUT --out RUN [OPTIONS]
       chimle train --config FILE --out RUN [--steps N] [--minutes M]
       chimle train --resume RUN [--steps N] [--minutes M]";

const EXAMPLES: &str = "\
Examples:
  chimle train --task colorization --data procedural --steps 500 --out runs/scenes
  chimle train --task colorization --data photos/ --preset small --size 64 \\
    --perceptual vgg16 --lpips lpips-vgg16 --out runs/color
  chimle train --task night-to-day --pairs night/ day/ --out runs/night
  chimle train --resume runs/color --minutes 30";

impl Command for Train {
    fn run<B: TrainingBackend>(self, device: B::Device, common: Common) -> Result<(), Failure> {
        self.run_on::<B>(vec![device], common)
    }

    fn run_on<B: TrainingBackend>(
        self,
        devices: Vec<B::Device>,
        common: Common,
    ) -> Result<(), Failure> {
        let (folder, mut trainer) = self.open::<B>(devices, common)?;
        let begun = Instant::now();
        let limit = self.minutes.unwrap_or(Duration::MAX);
        let interrupt = Interrupt::watch("finishing the step and saving");
        let stop = || interrupt.happened() || begun.elapsed() >= limit;
        let tensorboard = self
            .tensorboard
            .then(|| trainer.folder().tensorboard_path());
        let mut progress = Progress::new();
        let mut recorder = Recorder::new(tensorboard.as_deref(), trainer.step(), &mut progress)?;
        trainer.run_until(&stop, &mut recorder)?;
        if let Some(error) = recorder.finish() {
            output::complain("warning", error);
        }
        if interrupt.happened() {
            return output::say(format_args!(
                "stopped at step {}; continue with: chimle train --resume {}",
                trainer.step(),
                folder.display()
            ));
        }
        write_page(&folder, &trainer)
    }
}

/// Writes the page of a run that is done, and says where the page and the model are.
fn write_page<B: TrainingBackend>(folder: &Path, trainer: &Trainer<B>) -> Result<(), Failure> {
    let held_out = trainer.held_out();
    let examples = &held_out[..held_out.len().min(INPUTS)];
    let config = trainer.config();
    let inputs = page::sampled(&trainer.model(), examples, SAMPLES, config.seed)?;
    let page = page::of_run(trainer.folder(), config, inputs, None, None)?;
    output::say(format_args!(
        "samples: open {} in a browser",
        page.display()
    ))?;
    output::say(format_args!(
        "the model is in {0}; sample it with: chimle sample --model {0} --input IMAGE --out DIR",
        folder.display()
    ))
}

impl Train {
    /// Creates the run, or opens the run to resume, on all devices. Returns its folder and its trainer.
    fn open<B: TrainingBackend>(
        &self,
        devices: Vec<B::Device>,
        common: Common,
    ) -> Result<(PathBuf, Trainer<B>), Failure> {
        let device = devices[0].clone();
        let (folder, mut trainer) = match (self.resume.clone(), self.out.clone()) {
            (Some(folder), _) => {
                if common.seed.is_some() {
                    let reason =
                        "cannot be changed: a resumed run keeps the seed in its config.toml"
                            .to_owned();
                    return Err(Failure::Flag {
                        flag: "--seed",
                        reason,
                    });
                }
                let mut trainer = Trainer::<B>::resume(&folder, device)?;
                if let Some(steps) = self.steps {
                    trainer.set_steps(steps)?;
                }
                (folder, trainer)
            }
            (None, Some(folder)) => {
                let trainer = Trainer::<B>::create(self.new_config(common)?, &folder, device)?;
                (folder, trainer)
            }
            (None, None) => {
                return Err(Failure::Flag {
                    flag: "--out",
                    reason: "is needed".to_owned(),
                });
            }
        };
        trainer.set_memory(common.memory);
        for device in devices.into_iter().skip(1) {
            let distance = trainer.config().distance.load(&device)?;
            trainer.add_worker(device, distance)?;
        }
        if let Some(orchestrator) = self.nodes.clone() {
            let usual = || {
                let host = System::host_name().unwrap_or_else(|| "unknown".to_owned());
                format!("{host} (process {})", std::process::id())
            };
            trainer.set_nodes(NodesConfig {
                orchestrator,
                name: self.node_name.clone().unwrap_or_else(usual),
            });
        }
        if self.accept_data {
            trainer.accept_data();
        }
        Ok((folder, trainer))
    }

    fn new_config(&self, common: Common) -> Result<RunConfig, Failure> {
        let mut config = match &self.config {
            Some(file) => RunConfig::read(file)?,
            None => self.settings.config()?,
        };
        if let Some(init) = &self.init {
            // The name of a trained model must not become a path.
            let init = match init.exists() {
                true => flags::absolute(init)?,
                false => init.clone(),
            };
            let file = load_weights(&init)?;
            config.generator = GeneratorConfig::of_file(&file, Some(architecture(&*config.task)))?;
            config.init = Some(init);
        }
        if let Some(steps) = self.steps {
            config.training.set_steps(steps);
        }
        if let Some(seed) = common.seed {
            config.seed = seed;
        }
        Ok(config)
    }
}
