//! The devices that can be imitated: what they support, and how fast they are.

use std::sync::OnceLock;
use std::time::Duration;

use burn_cubecl::cubecl::features::{AtomicUsage, MmaConfig, Plane, TypeUsage};
use burn_cubecl::cubecl::ir::{
    AddressType, ContiguousElements, DeviceProperties, ElemType, FloatKind, HardwareProperties,
    IntKind, MatrixIdent, MatrixLayout, MemoryDeviceProperties, MmaProperties, StorageType,
    TargetProperties, Type, UIntKind, VectorSize,
};
use burn_cubecl::cubecl::profile::TimingMethod;

use crate::counted::Launches;

/// A device that is imitated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// A Vulkan device without tensor cores, as the software driver lavapipe is one. Its launches
    /// can be compared with a log of CubeCL.
    Vulkan,
    /// An NVIDIA GPU of compute capability 9.0 on CUDA, such as the H200.
    Hopper,
}

static CHOSEN: OnceLock<Model> = OnceLock::new();

/// The bytes per second of an H200's memory.
pub const BANDWIDTH: f64 = 4.8e12;

/// The seconds that a launch takes at least.
pub const LAUNCH: f64 = 5e-6;

/// The multiply-adds per second of an H200: of 32-bit floats, in TF32, and in bf16. A multiply-add
/// is two of the operations that the vendor counts.
pub const MACS_F32: f64 = 67e12 / 2.0;
pub const MACS_TF32: f64 = 495e12 / 2.0;
pub const MACS_BF16: f64 = 990e12 / 2.0;

impl Model {
    /// Chooses the model, once per process.
    pub fn choose(self) {
        CHOSEN.set(self).expect("one model per process");
    }

    pub fn chosen() -> Self {
        *CHOSEN.get().expect("a model is chosen first")
    }

    /// Returns the name under which autotuning keeps its results.
    pub fn runtime(self) -> &'static str {
        match self {
            Self::Vulkan => "counted-vulkan",
            Self::Hopper => "counted-hopper",
        }
    }

    /// Returns the time that a launch is assumed to take when kernels compete in autotuning.
    ///
    /// A convolution without tensor cores loses against one with them. Otherwise, the bytes and the
    /// launches decide.
    pub fn time(self, kernel: &str, launch: &Launches) -> Duration {
        let bytes = (launch.read + launch.written) as f64;
        let slow = if self == Self::Hopper && is_without_tensor_cores(kernel) {
            1.0
        } else {
            0.0
        };
        Duration::from_secs_f64(slow + LAUNCH + bytes / BANDWIDTH)
    }

    pub fn properties(self) -> DeviceProperties {
        match self {
            Self::Vulkan => vulkan(),
            Self::Hopper => hopper(),
        }
    }

    pub fn target(self) -> TargetProperties {
        let mma = match self {
            Self::Vulkan => MmaProperties::default(),
            // The layout of the fragments of `mma.sync`, as cubecl-cuda describes it.
            Self::Hopper => MmaProperties {
                register_size_bits: 32,
                const_plane_size: 32,
                register_layout_a: MatrixLayout::RowMajor,
                register_layout_b: MatrixLayout::ColMajor,
                register_layout_acc: MatrixLayout::RowMajor,
                register_duplication_a: 1,
                register_duplication_b: 1,
                register_duplication_acc: 1,
                contiguous_elements: ContiguousElements::new(contiguous_elements),
            },
        };
        TargetProperties { mma }
    }
}

/// Returns whether a convolution or a product is computed without tensor cores.
fn is_without_tensor_cores(kernel: &str) -> bool {
    let kernel = kernel.to_lowercase();
    kernel.contains("direct") || kernel.contains("naive") || kernel.contains("convtranspose")
}

fn contiguous_elements(ident: MatrixIdent, matrix: burn_cubecl::cubecl::ir::Matrix) -> usize {
    match ident {
        MatrixIdent::A | MatrixIdent::B => 32 / matrix.storage.size_bits(),
        MatrixIdent::Accumulator => 2,
    }
}

fn vulkan() -> DeviceProperties {
    let memory = MemoryDeviceProperties {
        max_page_size: 1 << 27,
        alignment: 16,
    };
    let hardware = HardwareProperties {
        load_width: 128,
        plane_size_min: 8,
        plane_size_max: 8,
        max_bindings: 1023,
        max_shared_memory_size: 32 << 10,
        max_cube_count: (65_535, 65_535, 65_535),
        max_units_per_cube: 1024,
        max_cube_dim: (1024, 1024, 1024),
        num_streaming_multiprocessors: None,
        num_tensor_cores: None,
        min_tensor_cores_dim: None,
        num_cpu_cores: None,
        max_vector_size: 4,
    };
    let mut properties = with_types(memory, hardware, &[AddressType::U32]);
    let atomic = [
        ElemType::Int(IntKind::I32),
        ElemType::UInt(UIntKind::U32),
        ElemType::Float(FloatKind::F32),
    ];
    register_atomics(&mut properties, &atomic);
    properties
}

fn hopper() -> DeviceProperties {
    let memory = MemoryDeviceProperties {
        max_page_size: (141 << 30) / 4,
        alignment: 512,
    };
    let hardware = HardwareProperties {
        load_width: 128,
        plane_size_min: 32,
        plane_size_max: 32,
        max_bindings: 1024,
        max_shared_memory_size: 227 << 10,
        max_cube_count: (i32::MAX as u32, 65_535, 65_535),
        max_units_per_cube: 1024,
        max_cube_dim: (1024, 1024, 64),
        num_streaming_multiprocessors: Some(132),
        num_tensor_cores: Some(4),
        min_tensor_cores_dim: Some(8),
        num_cpu_cores: None,
        max_vector_size: VectorSize::MAX,
    };
    let addresses = [AddressType::U32, AddressType::U64];
    let mut properties = with_types(memory, hardware, &addresses);
    let atomic = [
        ElemType::Int(IntKind::I32),
        ElemType::Int(IntKind::I64),
        ElemType::UInt(UIntKind::U32),
        ElemType::UInt(UIntKind::U64),
        ElemType::Float(FloatKind::F32),
    ];
    register_atomics(&mut properties, &atomic);
    let [f32, tf32, f16, bf16] = [
        FloatKind::F32,
        FloatKind::TF32,
        FloatKind::F16,
        FloatKind::BF16,
    ]
    .map(|kind| StorageType::from(ElemType::Float(kind)));
    properties.register_type_usage(tf32, TypeUsage::Conversion);
    let features = &mut properties.features;
    features.memory_reinterpret = true;
    features.alignment = true;
    features.plane.insert(Plane::Ops);
    features.plane.insert(Plane::Sync);
    features.plane.insert(Plane::NonUniformControlFlow);
    let config = |from, to, [m, n, k]: [u32; 3]| MmaConfig {
        a_type: from,
        b_type: from,
        cd_type: to,
        m,
        n,
        k,
    };
    // The combinations of `wmma` and `mma.sync` that cubecl-cpp offers for these types.
    for (from, to) in [(f16, f16), (f16, f32), (bf16, f32)] {
        for size in [[16, 16, 16], [32, 8, 16], [8, 32, 16]] {
            features.matmul.cmma.insert(config(from, to, size));
        }
    }
    features.matmul.cmma.insert(config(tf32, f32, [16, 16, 8]));
    for (from, to) in [(f16, f32), (bf16, f32)] {
        features.matmul.mma.insert(config(from, to, [16, 8, 16]));
        features.matmul.ldmatrix.insert(from);
        features.matmul.stmatrix.insert(from);
    }
    features.matmul.mma.insert(config(tf32, f32, [16, 8, 8]));
    properties
}

fn with_types(
    memory: MemoryDeviceProperties,
    hardware: HardwareProperties,
    addresses: &[AddressType],
) -> DeviceProperties {
    let mut properties =
        DeviceProperties::new(Default::default(), memory, hardware, TimingMethod::System);
    for &address in addresses {
        properties.register_address_type(address);
    }
    let ints = [IntKind::I8, IntKind::I16, IntKind::I32, IntKind::I64].map(ElemType::Int);
    let uints = [UIntKind::U8, UIntKind::U16, UIntKind::U32, UIntKind::U64].map(ElemType::UInt);
    let floats = [
        FloatKind::F32,
        FloatKind::Flex32,
        FloatKind::F16,
        FloatKind::BF16,
    ]
    .map(ElemType::Float);
    let types = ints.into_iter().chain(uints).chain(floats);
    for ty in types.chain([ElemType::Bool]) {
        properties.register_type_usage(ty, TypeUsage::all());
    }
    properties
}

fn register_atomics(properties: &mut DeviceProperties, types: &[ElemType]) {
    for &ty in types {
        let ty = Type::new(StorageType::Atomic(ty));
        properties.register_atomic_type_usage(ty, AtomicUsage::Add | AtomicUsage::LoadStore);
    }
}
