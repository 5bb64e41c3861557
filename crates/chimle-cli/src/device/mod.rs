//! From the name of a device to a Burn backend: the one place where backends are named.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "wgpu")]
mod wgpu;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_core::TrainingBackend;
use chimle_verify::self_test;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::error::Failure;
use crate::{free_memory, output, panic};

/// A device by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// All cores of this computer.
    Cpu,
    /// An NVIDIA GPU.
    Cuda(usize),
    /// A GPU of any make, by Vulkan, Metal or DirectX 12.
    Wgpu(usize),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, index) = match text.split_once(':') {
            Some((kind, index)) => {
                let index = index.parse().map_err(|_| {
                    format!("`{index}` is not the number of a device, as in {kind}:0")
                })?;
                (kind, Some(index))
            }
            None => (text, None),
        };
        match (kind, index) {
            ("cpu", None) => Ok(Self::Cpu),
            ("cuda", index) => Ok(Self::Cuda(index.unwrap_or(0))),
            ("wgpu", index) => Ok(Self::Wgpu(index.unwrap_or(0))),
            _ => Err("must be cpu, cuda, cuda:N, wgpu or wgpu:N".to_owned()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Wgpu(index) => write!(f, "wgpu:{index}"),
        }
    }
}

/// A device that is there.
#[derive(Debug)]
pub struct Found {
    pub device: Device,
    /// What its driver calls it.
    pub name: String,
    /// Its memory in bytes, where that can be known.
    pub memory: Option<u64>,
    /// Whether it is a GPU indeed, and not a program that stands in for one.
    pub is_gpu: bool,
}

/// What all commands are told.
#[derive(Clone, Copy, Debug)]
pub struct Common {
    /// The device it runs on.
    pub device: Device,
    /// As given, if it was.
    pub seed: Option<u64>,
    /// Bytes that a batch may take.
    pub memory: u64,
}

/// Of a device whose memory is not known, and of the CPU, where larger batches are no faster.
const USUAL_MEMORY: u64 = 1 << 30;

/// A command, written once for all backends.
pub trait Command {
    /// Whether it computes anything to speak of, so that a GPU is looked for.
    const COMPUTES: bool = true;

    fn run<B: TrainingBackend>(self, device: B::Device, common: Common) -> Result<(), Failure>;
}

/// Runs a command on the device asked for, or else on the best one that works.
pub fn run<C: Command>(
    command: C,
    device: Option<Device>,
    seed: Option<u64>,
) -> Result<(), Failure> {
    let device = match device {
        Some(device) => device,
        None if C::COMPUTES => best(),
        None => Device::Cpu,
    };
    on(device, command, seed)
}

/// The kinds of GPU that this build can use, each with those that are there or why there are none.
pub fn gpus() -> Vec<(&'static str, Result<Vec<Found>, String>)> {
    vec![
        #[cfg(feature = "cuda")]
        ("cuda", cuda::list()),
        #[cfg(feature = "wgpu")]
        ("wgpu", wgpu::list()),
    ]
}

/// The computer itself.
pub fn cpu() -> Found {
    let system = System::new_with_specifics(
        RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram()),
    );
    let brand = system.cpus().first().map(|cpu| cpu.brand().trim());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Found {
        device: Device::Cpu,
        name: format!("{}, {threads} threads", brand.unwrap_or("unknown")),
        memory: Some(system.total_memory()),
        is_gpu: false,
    }
}

/// Whether a device passes its self-test; if not, why.
pub fn works(device: Device) -> Result<(), String> {
    // What a driver cannot do comes out of the GPU libraries as a panic.
    match catch_unwind(AssertUnwindSafe(|| on(device, SelfTest, None))) {
        Ok(result) => result.map_err(|failure| failure.to_string()),
        Err(_) => Err(panic::last()),
    }
}

struct SelfTest;

impl Command for SelfTest {
    fn run<B: TrainingBackend>(self, device: B::Device, _: Common) -> Result<(), Failure> {
        Ok(self_test::<B>(&device)?)
    }
}

/// The first GPU that works, or the CPU.
fn best() -> Device {
    let found = gpus()
        .into_iter()
        .flat_map(|(_, found)| found.unwrap_or_default());
    for Found { device, name, .. } in found.filter(|found| found.is_gpu) {
        match works(device) {
            Ok(()) => {
                output::complain("device", format_args!("{device}, {name}"));
                return device;
            }
            Err(reason) => {
                output::complain("warning", format_args!("not on {device}, {name}: {reason}"));
            }
        }
    }
    Device::Cpu
}

fn on(device: Device, command: impl Command, seed: Option<u64>) -> Result<(), Failure> {
    let common = |memory| Common {
        device,
        seed,
        memory,
    };
    match device {
        Device::Cpu => {
            let memory = USUAL_MEMORY.min(free_memory::available() / 2);
            command.run::<Autodiff<Flex>>(Default::default(), common(memory))
        }
        #[cfg(feature = "cuda")]
        Device::Cuda(index) => {
            let found = check(device, index, cuda::list())?;
            let memory = found.memory.map_or(USUAL_MEMORY, |all| all / 2);
            command.run::<Autodiff<burn_cuda::Cuda>>(cuda::device(index), common(memory))
        }
        #[cfg(feature = "wgpu")]
        Device::Wgpu(index) => {
            check(device, index, wgpu::list())?;
            command.run::<Autodiff<burn_wgpu::Wgpu>>(wgpu::device(index), common(USUAL_MEMORY))
        }
        #[cfg(not(feature = "cuda"))]
        Device::Cuda(_) => Err(Failure::NotCompiledIn { feature: "cuda" }),
        #[cfg(not(feature = "wgpu"))]
        Device::Wgpu(_) => Err(Failure::NotCompiledIn { feature: "wgpu" }),
    }
}

/// The device among those found.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn check(
    device: Device,
    index: usize,
    found: Result<Vec<Found>, String>,
) -> Result<Found, Failure> {
    let reason = match found {
        Ok(mut found) if index < found.len() => return Ok(found.swap_remove(index)),
        Ok(found) => {
            let names = found.iter().map(|f| format!("{} ({})", f.device, f.name));
            let names: Vec<String> = names.collect();
            format!("is not there; there is {}", names.join(", "))
        }
        Err(reason) => reason,
    };
    Err(Failure::NoDevice {
        device: device.to_string(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_with_and_without_a_number() {
        for (text, device) in [
            ("cpu", Device::Cpu),
            ("cuda", Device::Cuda(0)),
            ("cuda:3", Device::Cuda(3)),
            ("wgpu:1", Device::Wgpu(1)),
        ] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        for text in ["gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", ""] {
            assert!(text.parse::<Device>().is_err(), "{text}");
        }
    }
}
