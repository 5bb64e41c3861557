//! `chimle arena`: CHIMLE and its rivals on the same images, with the same CPU time.

use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::Ordering;

use chimle_arena::{Arena, ArenaConfig, Job, Methods, Notice, report, stop_with_parent};
use chimle_core::TrainingBackend;
use clap::{Args, Subcommand};

use crate::device::{self, Command, Common, Device};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::output;

/// Compares CHIMLE with its rivals. All are trained on the same images for the same CPU time and measured in the same way.
///
/// A configuration names the task, the images, the methods and the CPU time. Ready-made configurations are in
/// crates/chimle-arena/configs. Folders of samples made by other programs can take part too.
#[derive(Args)]
pub struct ArenaCommand {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Subcommand)]
enum Commands {
    Run(Run),
    Report(Report),
    #[command(hide = true)]
    Job(JobCommand),
}

/// Trains, samples and measures all methods of a configuration, and writes the report.
///
/// Each method is trained in its own process with one thread. The samples, the measures, results.json and arena.html are
/// written into DIR. The first Ctrl-C lets the methods save their state. The same command then continues the arena.
#[derive(Args)]
struct Run {
    /// The configuration, a TOML file
    #[arg(value_name = "CONFIG")]
    config: PathBuf,

    /// The arena's folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes results.json and arena.html again from the samples and measures in an arena's folder.
#[derive(Args)]
struct Report {
    /// The arena's folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Measure all samples again first
    #[arg(long)]
    measure: bool,
}

/// Does one job of an arena. `arena run` starts it.
#[derive(Args)]
struct JobCommand {
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    #[arg(value_name = "METHOD")]
    name: String,

    /// The seed of training; without it, the method is a folder of samples from another program
    #[arg(long)]
    of_seed: Option<u64>,
}

impl ArenaCommand {
    /// Runs the command. Training runs on the CPU unless a device is named, because the methods get the same CPU time.
    pub fn run(self, device: Option<Device>, seed: Option<u64>) -> Result<(), Failure> {
        if seed.is_some() {
            return Err(Failure::Flag {
                flag: "--seed",
                reason: "is set in the arena's configuration: `seeds`".to_owned(),
            });
        }
        let device = Some(device.unwrap_or(Device::Cpu));
        match self.command {
            Commands::Run(command) => device::run(command, device, None),
            Commands::Report(command) => device::run(command, device, None),
            Commands::Job(command) => device::run(command, device, None),
        }
    }
}

impl Command for Run {
    fn run<B: TrainingBackend>(self, device: B::Device, common: Common) -> Result<(), Failure> {
        let methods = Methods::<B>::built_in();
        let arena = Arena::create(ArenaConfig::read(&self.config)?, &self.out)?;
        arena.prepare(&methods, &device)?;
        let program = std::env::current_exe().map_err(Failure::file("find", "this program"))?;
        let command = |job: &Job| job_command(&program, arena.folder.path(), job, common.device);
        let interrupt = Interrupt::watch("letting the methods save their state");
        let mut said = Ok(());
        let mut notice = |notice: Notice<'_>| {
            let line = match notice {
                Notice::WasDone(job) => format!("{}: was done before", job.name()),
                Notice::Begun(job) => format!("{}: begun", job.name()),
                Notice::Done(job) => format!("{}: done", job.name()),
                Notice::Failed(job, reason) => format!("{}: failed: {reason}", job.name()),
            };
            if said.is_ok() {
                said = output::say(line);
            }
        };
        let found = arena.run(&command, &|| interrupt.happened(), &mut notice);
        said?;
        // The report is written even if a method failed or was stopped, so that the existing results can be seen.
        let page = report(&arena, methods.names())?;
        output::say(format_args!("the report: {}", page.display()))?;
        Ok(found?)
    }
}

/// Returns the command that runs a job.
fn job_command(program: &Path, folder: &Path, job: &Job, device: Device) -> process::Command {
    let mut command = process::Command::new(program);
    command.arg("arena").arg("job").arg(folder);
    match job {
        Job::Train { method, seed } => {
            command.arg(method).arg("--of-seed").arg(seed.to_string());
        }
        Job::Foreign { name } => {
            command.arg(name);
        }
    }
    command.arg("--device").arg(device.to_string());
    command
}

impl Command for JobCommand {
    fn run<B: TrainingBackend>(self, device: B::Device, _: Common) -> Result<(), Failure> {
        let arena = Arena::open(&self.folder)?;
        let job = match self.of_seed {
            Some(seed) => Job::Train {
                method: self.name,
                seed,
            },
            None => Job::Foreign { name: self.name },
        };
        let interrupt = Interrupt::watch("finishing the step and saving");
        let left_alone = stop_with_parent();
        let stop = || interrupt.happened() || left_alone.load(Ordering::SeqCst);
        let methods = Methods::<B>::built_in();
        job.run(&arena.config, &arena.folder, &methods, &device, &stop)?;
        Ok(())
    }
}

impl Command for Report {
    const COMPUTES: bool = false;

    fn run<B: TrainingBackend>(self, device: B::Device, _: Common) -> Result<(), Failure> {
        let arena = Arena::open(&self.folder)?;
        if self.measure {
            arena.measure_again::<B::InnerBackend>(&device)?;
        }
        let page = report(&arena, Methods::<B>::built_in().names())?;
        output::say(format_args!("the report: {}", page.display()))
    }
}
