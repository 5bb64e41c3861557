//! From the name of a device to a Burn backend: the one place where backends are named.

use burn::backend::Autodiff;
use burn_flex::Flex;
use chimle_core::TrainingBackend;
use clap::ValueEnum;

use crate::error::Failure;

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeviceName {
    /// All cores of this computer
    Cpu,
    /// The first NVIDIA GPU
    Cuda,
    /// A GPU of any make, by Vulkan, Metal or DirectX
    Wgpu,
}

/// The flags that all commands have.
#[derive(Clone, Copy, Debug)]
pub struct Common {
    pub device: DeviceName,
    /// As given, if it was.
    pub seed: Option<u64>,
}

/// A command, written once for all backends.
pub trait Command {
    fn run<B: TrainingBackend>(self, device: B::Device, common: Common) -> Result<(), Failure>;
}

/// Runs a command on the device asked for.
pub fn run(command: impl Command, common: Common) -> Result<(), Failure> {
    match common.device {
        DeviceName::Cpu => command.run::<Autodiff<Flex>>(Default::default(), common),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda => command.run::<Autodiff<burn_cuda::Cuda>>(Default::default(), common),
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu => command.run::<Autodiff<burn_wgpu::Wgpu>>(Default::default(), common),
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda => Err(Failure::NotCompiledIn { feature: "cuda" }),
        #[cfg(not(feature = "wgpu"))]
        DeviceName::Wgpu => Err(Failure::NotCompiledIn { feature: "wgpu" }),
    }
}
