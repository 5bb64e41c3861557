//! The implementation of `Kernels` for CUDA, WGPU and every other backend on CubeCL. All operations
//! are Burn's own.

use burn_cubecl::CubeBackend;
use burn_fusion::{Fusion, FusionBackend};

use crate::kernels::Kernels;

impl<R, F, I, BT> Kernels for CubeBackend<R, F, I, BT>
where
    R: burn_cubecl::CubeRuntime,
    F: burn_cubecl::FloatElement,
    I: burn_cubecl::IntElement,
    BT: burn_cubecl::element::BoolElement,
    Self: burn::tensor::backend::Backend,
{
}

impl<B: FusionBackend> Kernels for Fusion<B> {}
