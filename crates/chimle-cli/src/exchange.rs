//! `chimle import` and `chimle export`: convert weights from and to the names of the authors' release.

use std::path::{Path, PathBuf};

use chimle_core::nn::{Generator, WeightFile, write_halved};
use chimle_core::{
    GeneratorConfig, Kernels, NetworkConfig, TaskHandle, TrainedFor, TrainingBackend, architecture,
    load_generator, save_generator,
};
use clap::Args;

use crate::device::{Command, Common};
use crate::error::Failure;
use crate::{flags, located, output};

/// Converts a PyTorch checkpoint of the authors' release to a model file, which contains the network's configuration.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chimle import colorization.pth --task colorization --out colorization.safetensors"
)]
pub struct Import {
    /// The checkpoint (.pth, or .safetensors with the same parameter names)
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The task that the checkpoint was trained for: super-resolution, colorization, decompression or night-to-day
    #[arg(long, value_parser = flags::task)]
    task: TaskHandle,

    #[command(flatten)]
    target: Target,
}

/// Writes a trained model's weights to a safetensors file, under the authors' parameter names.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chimle export --model runs/color --out colorization.safetensors"
)]
pub struct Export {
    /// A trained model (`chimle models`), the folder of a run (its newest checkpoint is used), or a model file
    #[arg(long, value_name = "NAME|RUN|FILE")]
    model: PathBuf,

    /// Round the parameters to 16 bits, which halves the file's size. Every command can read such a file
    #[arg(long)]
    half: bool,

    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
struct Target {
    /// The file to write; its name must end in .safetensors
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

impl Command for Import {
    const COMPUTES: bool = false;

    fn run<B: TrainingBackend>(self, device: B::Device, _: Common) -> Result<(), Failure> {
        self.target.check()?;
        let file = WeightFile::open(&self.file)?;
        let config = GeneratorConfig::of_file(&file, Some(architecture(&*self.task)))?;
        NetworkConfig::validate(&config, &*self.task).map_err(|error| Failure::Flag {
            flag: "--task",
            reason: format!(
                "{} does not fit {}: {error}",
                self.task,
                self.file.display()
            ),
        })?;
        let generator = config.init::<B::InnerBackend>(&device).load(&file)?;
        let trained_for = TrainedFor {
            task: self.task,
            ..TrainedFor::of_file(&file, &config)?
        };
        self.target.write(&generator, &trained_for, false)
    }
}

impl Command for Export {
    const COMPUTES: bool = false;

    fn run<B: TrainingBackend>(self, device: B::Device, _: Common) -> Result<(), Failure> {
        self.target.check()?;
        located::run_at(&self.model)?;
        let (generator, trained_for) =
            load_generator::<B::InnerBackend, Generator<_>>(&self.model, None, &device)?;
        self.target.write(&generator, &trained_for, self.half)
    }
}

impl Target {
    /// Checks that the file may be written, before any work is done.
    fn check(&self) -> Result<(), Failure> {
        if self
            .out
            .extension()
            .is_none_or(|extension| extension != "safetensors")
        {
            let reason = format!(
                "{} must end in .safetensors, because other files cannot be read back",
                self.out.display()
            );
            return Err(Failure::Flag {
                flag: "--out",
                reason,
            });
        }
        if self.out.exists() && !self.force {
            return Err(Failure::Exists {
                path: self.out.clone(),
                remedy: "choose another name, or replace it with --force",
            });
        }
        match self.out.parent() {
            Some(folder) if folder != Path::new("") => output::prepare_folder(folder),
            _ => Ok(()),
        }
    }

    fn write<B: Kernels>(
        &self,
        generator: &Generator<B>,
        trained_for: &TrainedFor,
        half: bool,
    ) -> Result<(), Failure> {
        if half {
            let folder = tempfile::tempdir()
                .map_err(Failure::file("make a folder in", &std::env::temp_dir()))?;
            let whole = folder.path().join("whole.safetensors");
            save_generator(generator, trained_for, &whole)?;
            write_halved(&WeightFile::open(&whole)?, &self.out)?;
        } else {
            save_generator(generator, trained_for, &self.out)?;
        }
        let parameters = burn::module::Module::num_params(generator);
        output::say(format_args!(
            "{}: {parameters} parameters",
            self.out.display()
        ))
    }
}
