//! `chimle orchestrate`: connects the machines of one run.

use std::time::Duration;

use chimle_core::Orchestrator;
use clap::Args;

use crate::error::Failure;
use crate::{flags, output};

/// Connects the machines of one run, and tells the others when one of them fails.
///
/// Start it on one machine. Then start `chimle train --nodes HOST:PORT ...` on each machine of the run, with
/// the same configuration, the same data and a run folder of its own. The orchestrator adds the gradients of the
/// machines, and ends when the run ends. It uses no encryption and no passwords, so only the machines of the run should
/// be able to reach it.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Orchestrate {
    /// The number of machines
    #[arg(long, value_name = "N")]
    nodes: usize,

    /// The address to listen on
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:4500")]
    listen: String,

    /// After this many minutes without progress, a machine that the others wait for is considered hung
    #[arg(long, value_name = "M", default_value = "10", value_parser = flags::minutes)]
    patience: Duration,
}

const EXAMPLES: &str = "\
Example, with two machines:
  first$  chimle orchestrate --nodes 2 --listen 0.0.0.0:4500
  first$  chimle train --nodes first:4500 --task colorization --data photos/ --out runs/color
  second$ chimle train --nodes first:4500 --task colorization --data photos/ --out runs/color";

impl Orchestrate {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let orchestrator = Orchestrator::listen(&self.listen, self.nodes, self.patience)?;
        output::say(format_args!(
            "waiting for {} machines on {}",
            self.nodes, self.listen
        ))?;
        // A closed output must not end the run on all machines.
        Ok(orchestrator.run(&|line| drop(output::say(line)))?)
    }
}
