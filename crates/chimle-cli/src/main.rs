//! `chimle`: one image in, many plausible images out.
//!
//! Each command has a file, which contains its flags as a plain struct and calls `chimle-core`, `chimle-studio`,
//! `chimle-verify` or `chimle-show`.

mod arena;
mod bench;
mod curves;
mod device;
mod devices;
mod error;
mod evaluate;
mod exchange;
mod film;
mod flags;
mod free_memory;
mod inputs;
mod interrupt;
mod located;
mod lpips;
mod models;
mod orchestrate;
mod output;
mod page;
mod panic;
mod progress;
mod quickstart;
mod run_log;
mod sample;
mod settings;
#[cfg(feature = "studio")]
mod studio;
mod tensorboard;
mod train;
mod verify;
mod weights;

use std::ffi::OsString;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use device::Device;
use error::Failure;

/// CHIMLE: one image in, many plausible images out.
///
/// Trains and samples models for colorization, 16x super-resolution, JPEG decompression, and any task
/// given by pairs of images (such as night to day).
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Commands,

    /// The device to compute on: cpu, cuda, cuda:N, wgpu or wgpu:N; `chimle devices` lists them [default: the first GPU
    /// that works, or else the CPU]
    #[arg(long, global = true, display_order = 100, value_name = "DEVICE")]
    device: Option<Device>,

    /// The seed of all random numbers; the same seed gives the same result [default: 0]
    #[arg(long, global = true, display_order = 101, value_name = "N")]
    seed: Option<u64>,
}

const EXAMPLES: &str = "\
Examples:
  chimle quickstart
  chimle sample --model scenes-colorization-64 --input photo.jpg --out samples/
  chimle train --task colorization --data photos/ --preset small --out runs/color
  chimle sample --model runs/color --input photo.jpg --samples 8 --out samples/
  chimle studio --model runs/color
  chimle evaluate --model runs/color --data other-photos/

`chimle help COMMAND` describes a command's flags.";

/// The commands. Each one is described where its struct is defined.
#[derive(Subcommand)]
enum Commands {
    Quickstart(quickstart::Quickstart),
    Train(train::Train),
    Orchestrate(orchestrate::Orchestrate),
    Sample(sample::Sample),
    #[cfg(feature = "studio")]
    Studio(studio::StudioCommand),
    Models(models::Models),
    Evaluate(evaluate::Evaluate),
    Page(page::Page),
    Film(film::Film),
    Weights(weights::Weights),
    Import(exchange::Import),
    Export(exchange::Export),
    Bench(bench::Bench),
    Arena(arena::ArenaCommand),
    Verify(verify::Verify),
    Devices(devices::Devices),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return wrong_command_line(&error),
    };
    panic::keep_quiet();
    let failure = match catch_unwind(AssertUnwindSafe(|| run(cli))) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(Failure::Reported)) => return ExitCode::FAILURE,
        Ok(Err(failure)) => failure.to_string(),
        Err(_) => panic::explained(),
    };
    output::complain("error", failure);
    ExitCode::FAILURE
}

/// Prints what is wrong with the command line, or the help that was asked for. Control characters in the arguments
/// are escaped, because a terminal would obey them.
fn wrong_command_line(error: &clap::Error) -> ExitCode {
    let is_harmless = |argument: OsString| {
        let argument = argument.to_string_lossy();
        output::harmless(&argument) == argument
    };
    let shown = match std::env::args_os().all(is_harmless) {
        true => error.print(),
        false => writeln!(
            std::io::stderr(),
            "{}",
            output::harmless(&error.to_string())
        ),
    };
    // If standard error is closed, there is nowhere left to report it.
    drop(shown);
    ExitCode::from(error.exit_code() as u8)
}

fn run(
    Cli {
        command,
        device,
        seed,
    }: Cli,
) -> Result<(), Failure> {
    match command {
        Commands::Quickstart(command) => device::run(command, device, seed),
        Commands::Train(command) => match command.devices.clone() {
            Some(devices) => device::run_on(&devices, command, seed),
            None => device::run(command, device, seed),
        },
        Commands::Orchestrate(command) => command.run(),
        Commands::Sample(command) => device::run(command, device, seed),
        #[cfg(feature = "studio")]
        Commands::Studio(command) => device::run(command, device, seed),
        Commands::Evaluate(command) => device::run(command, device, seed),
        Commands::Page(command) => device::run(command, device, seed),
        Commands::Film(command) => command.run(),
        Commands::Weights(command) => command.run(),
        Commands::Import(command) => device::run(command, device, seed),
        Commands::Export(command) => device::run(command, device, seed),
        Commands::Bench(command) => device::run(command, device, seed),
        Commands::Arena(command) => command.run(device, seed),
        Commands::Verify(command) => device::run(command, device, seed),
        Commands::Models(command) => command.run(),
        Commands::Devices(command) => command.run(),
    }
}
