//! NVIDIA GPUs.

use std::panic::catch_unwind;

use burn_cuda::CudaDevice;
use cudarc::driver::{CudaContext, DriverError};

use crate::device::{Device, Found};

/// Returns the GPU with this number.
pub fn device(index: usize) -> CudaDevice {
    CudaDevice::new(index)
}

/// Lists all NVIDIA GPUs, in the driver's order. If there is none, the error says why and what to do.
pub fn list() -> Result<Vec<Found>, String> {
    // The functions of cudarc panic if the driver's library is missing.
    let found = catch_unwind(found).map_err(|_| {
        "there is no NVIDIA driver (libcuda): install it, or use --device cpu".to_owned()
    })?;
    match found {
        Ok(found) if found.is_empty() => Err("the driver finds no NVIDIA GPU".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(format!(
            "cannot be used: {error}; is there an NVIDIA GPU, and is its driver new enough?"
        )),
    }
}

fn found() -> Result<Vec<Found>, DriverError> {
    let count = usize::try_from(CudaContext::device_count()?).unwrap_or(0);
    (0..count)
        .map(|index| {
            let context = CudaContext::new(index)?;
            Ok(Found {
                device: Device::Cuda(index),
                name: context.name()?,
                memory: Some(context.total_mem()? as u64),
                is_gpu: true,
            })
        })
        .collect()
}
