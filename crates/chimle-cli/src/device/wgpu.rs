//! GPUs by Vulkan, Metal or DirectX 12.

use burn_wgpu::WgpuDevice;
use burn_wgpu::graphics::{AutoGraphicsApi, GraphicsApi};
use wgpu::{AdapterInfo, DeviceType, Instance, InstanceDescriptor};

use crate::device::{Device, Found};

/// Returns the GPU with this number in the order of [`list`].
pub fn device(index: usize) -> WgpuDevice {
    let adapters = adapters();
    let Some(wanted) = adapters.get(index).map(|info| info.device_type) else {
        return WgpuDevice::DefaultDevice;
    };
    let of_type = adapters[..index]
        .iter()
        .filter(|info| info.device_type == wanted);
    let number = of_type.count();
    match wanted {
        DeviceType::DiscreteGpu => WgpuDevice::DiscreteGpu(number),
        DeviceType::IntegratedGpu => WgpuDevice::IntegratedGpu(number),
        DeviceType::VirtualGpu => WgpuDevice::VirtualGpu(number),
        DeviceType::Cpu => WgpuDevice::Cpu,
        DeviceType::Other => WgpuDevice::DefaultDevice,
    }
}

/// Lists all GPUs, those that are likely to be the fastest first. If there is none, the error says why and what to do.
pub fn list() -> Result<Vec<Found>, String> {
    let found: Vec<Found> = adapters()
        .into_iter()
        .enumerate()
        .map(|(index, info)| Found {
            device: Device::Wgpu(index),
            name: format!("{} by {}", info.name, info.backend),
            memory: None,
            is_gpu: info.device_type != DeviceType::Cpu,
        })
        .collect();
    if found.is_empty() {
        return Err(format!(
            "there is no GPU with a {} driver: install one, or use --device cpu",
            AutoGraphicsApi::backend()
        ));
    }
    Ok(found)
}

fn adapters() -> Vec<AdapterInfo> {
    let api = AutoGraphicsApi::backend();
    let instance = Instance::new(InstanceDescriptor {
        backends: api.into(),
        ..InstanceDescriptor::new_without_display_handle()
    });
    let adapters = pollster::block_on(instance.enumerate_adapters(api.into()));
    let mut infos: Vec<AdapterInfo> = adapters.iter().map(wgpu::Adapter::get_info).collect();
    infos.sort_by_key(|info| match info.device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    });
    infos
}
