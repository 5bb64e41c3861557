//! `chimle devices`: lists the devices that this build can compute on.

use clap::Args;

use crate::device::{self, Found};
use crate::error::Failure;
use crate::output;

/// Lists the devices that this build can use on this computer.
///
/// Prints each device's name for --device, its model, its memory if known, and whether it passes a small self-test. The
/// test compares a convolution and its gradient with known numbers.
#[derive(Args)]
pub struct Devices {}

impl Devices {
    pub fn run(self) -> Result<(), Failure> {
        show(&device::cpu())?;
        for (kind, found) in device::gpus() {
            match found {
                Ok(found) => found.iter().try_for_each(show)?,
                Err(reason) => output::say(format_args!("{kind:<8}{reason}"))?,
            }
        }
        for (feature, is_there) in [
            ("cuda", cfg!(feature = "cuda")),
            ("wgpu", cfg!(feature = "wgpu")),
        ] {
            if !is_there {
                output::say(format_args!(
                    "{feature:<8}not in this build: cargo build --release -p chimle-cli --features {feature}"
                ))?;
            }
        }
        Ok(())
    }
}

fn show(found: &Found) -> Result<(), Failure> {
    const GIB: f64 = (1u64 << 30) as f64;
    let memory = match found.memory {
        Some(bytes) => format!("{:.1} GiB", bytes as f64 / GIB),
        None => "unknown memory".to_owned(),
    };
    let outcome = match device::works(found.device) {
        Ok(()) => "works".to_owned(),
        Err(reason) => format!("FAILS its self-test: {reason}"),
    };
    output::say(format_args!(
        "{:<8}{}, {memory}: {outcome}",
        found.device.to_string(),
        found.name
    ))
}
