//! Runs a command on the Burn backend of a device. No other module names a backend.

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

/// A device, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// All cores of this computer.
    Cpu,
    /// An NVIDIA GPU.
    Cuda(usize),
    /// A GPU of any make, by Vulkan, Metal or DirectX 12.
    Wgpu(usize),
}

/// The devices of a run, as in `cuda:0,cuda:1`. `cpu:N` stands for N workers that share the CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices(pub Vec<Device>);

impl FromStr for Devices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut devices = Vec::new();
        for name in text.split(',') {
            match name.strip_prefix("cpu:").map(str::parse::<usize>) {
                Some(Ok(workers @ 1..=1024)) => devices.extend(vec![Device::Cpu; workers]),
                Some(_) => return Err(format!("`{name}`: cpu:N needs N from 1 to 1024")),
                None => devices.push(name.parse()?),
            }
        }
        for (index, device) in devices.iter().enumerate() {
            if std::mem::discriminant(device) != std::mem::discriminant(&devices[0]) {
                let first = devices[0];
                return Err(format!(
                    "must all be of one kind, but {first} and {device} are not"
                ));
            }
            if *device != Device::Cpu && devices[..index].contains(device) {
                return Err(format!("names {device} twice"));
            }
        }
        Ok(Self(devices))
    }
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

/// A device of this computer.
#[derive(Debug)]
pub struct Found {
    pub device: Device,
    /// The driver's name for the device.
    pub name: String,
    /// Its memory in bytes, if known.
    pub memory: Option<u64>,
    /// Whether the device is a real GPU, not a program that imitates one.
    pub is_gpu: bool,
}

/// The settings that all commands receive.
#[derive(Clone, Copy, Debug)]
pub struct Common {
    /// The device that the command runs on.
    pub device: Device,
    /// The value of `--seed`, if it was given.
    pub seed: Option<u64>,
    /// The number of bytes that a batch may take.
    pub memory: u64,
}

/// The memory for a batch on a device whose memory is not known, and on the CPU, where larger batches are not faster.
const USUAL_MEMORY: u64 = 1 << 30;

/// A command, written once for all backends.
pub trait Command {
    /// Whether the command computes enough to look for a GPU.
    const COMPUTES: bool = true;

    fn run<B: TrainingBackend>(self, device: B::Device, common: Common) -> Result<(), Failure>;

    /// Runs the command on several devices. Most commands use only the first.
    fn run_on<B: TrainingBackend>(
        self,
        devices: Vec<B::Device>,
        common: Common,
    ) -> Result<(), Failure>
    where
        Self: Sized,
    {
        let first = devices.into_iter().next().unwrap_or_default();
        self.run::<B>(first, common)
    }
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
    on(&[device], command, seed)
}

/// Runs a command on several devices of one kind.
pub fn run_on(devices: &Devices, command: impl Command, seed: Option<u64>) -> Result<(), Failure> {
    on(&devices.0, command, seed)
}

/// Lists the kinds of GPU that this build can use. Each comes with the GPUs found, or the reason why there are none.
pub fn gpus() -> Vec<(&'static str, Result<Vec<Found>, String>)> {
    vec![
        #[cfg(feature = "cuda")]
        ("cuda", cuda::list()),
        #[cfg(feature = "wgpu")]
        ("wgpu", wgpu::list()),
    ]
}

/// Returns the CPU of this computer.
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

/// Runs the self-test of a device. The error says why the device failed.
pub fn works(device: Device) -> Result<(), String> {
    // GPU libraries panic when a driver cannot do something.
    match catch_unwind(AssertUnwindSafe(|| on(&[device], SelfTest, None))) {
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

/// Returns the first GPU that works, or else the CPU.
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
                output::complain(
                    "warning",
                    format_args!("{device}, {name}, is not used: {reason}"),
                );
            }
        }
    }
    Device::Cpu
}

fn on(devices: &[Device], command: impl Command, seed: Option<u64>) -> Result<(), Failure> {
    let common = |memory| Common {
        device: devices[0],
        seed,
        memory,
    };
    match devices[0] {
        Device::Cpu => {
            let memory = USUAL_MEMORY.min(free_memory::available() / 2);
            let devices = vec![Default::default(); devices.len()];
            command.run_on::<Autodiff<Flex>>(devices, common(memory))
        }
        #[cfg(feature = "cuda")]
        Device::Cuda(_) => {
            let found = check(devices, cuda::list)?;
            let memory = found[0].memory.map_or(USUAL_MEMORY, |all| all / 2);
            let devices = numbers(devices).map(cuda::device).collect();
            command.run_on::<Autodiff<burn_cuda::Cuda>>(devices, common(memory))
        }
        #[cfg(feature = "wgpu")]
        Device::Wgpu(_) => {
            check(devices, wgpu::list)?;
            let devices = numbers(devices).map(wgpu::device).collect();
            command.run_on::<Autodiff<burn_wgpu::Wgpu>>(devices, common(USUAL_MEMORY))
        }
        #[cfg(not(feature = "cuda"))]
        Device::Cuda(_) => Err(Failure::NotCompiledIn { feature: "cuda" }),
        #[cfg(not(feature = "wgpu"))]
        Device::Wgpu(_) => Err(Failure::NotCompiledIn { feature: "wgpu" }),
    }
}

/// Returns the numbers of GPUs of one kind.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn numbers(devices: &[Device]) -> impl Iterator<Item = usize> {
    devices.iter().map(|device| match device {
        Device::Cpu => 0,
        Device::Cuda(index) | Device::Wgpu(index) => *index,
    })
}

/// Finds the devices among those that `list` lists.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn check(
    devices: &[Device],
    list: impl Fn() -> Result<Vec<Found>, String>,
) -> Result<Vec<Found>, Failure> {
    let pairs = devices.iter().zip(numbers(devices));
    pairs
        .map(|(&device, index)| find(device, index, list()))
        .collect()
}

/// Finds a device among those found.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn find(device: Device, index: usize, found: Result<Vec<Found>, String>) -> Result<Found, Failure> {
    let reason = match found {
        Ok(mut found) if index < found.len() => return Ok(found.swap_remove(index)),
        Ok(found) => {
            let names = found.iter().map(|f| format!("{} ({})", f.device, f.name));
            let names: Vec<String> = names.collect();
            format!("does not exist; this computer has {}", names.join(", "))
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
    fn several_devices_are_of_one_kind_and_named_once() {
        let parse = |text: &str| text.parse::<Devices>();
        assert_eq!(parse("cpu:3"), Ok(Devices(vec![Device::Cpu; 3])));
        assert_eq!(
            parse("cuda:0,cuda:2"),
            Ok(Devices(vec![Device::Cuda(0), Device::Cuda(2)]))
        );
        for (text, word) in [
            ("cuda:0,cuda", "twice"),
            ("cpu,cuda:0", "one kind"),
            ("cpu:0", "from 1"),
            ("cpu:x", "from 1"),
            ("", "must be"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

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
