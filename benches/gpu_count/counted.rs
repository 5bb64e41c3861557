//! A CubeCL runtime that computes nothing. It records every kernel that it is asked to launch.
//!
//! Burn's backend, its fusion and its choice of kernels run as they do on a GPU. Only the device is
//! replaced: no memory is allocated, a launch is written down, and a read returns zeros. So a
//! network of any size is counted in seconds, on a computer without a GPU.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use burn_cubecl::cubecl::bytes::Bytes;
use burn_cubecl::cubecl::device::{Device, DeviceId, DeviceService, ServerUtilitiesHandle};
use burn_cubecl::cubecl::future::DynFut;
use burn_cubecl::cubecl::ir::{ElemType, StorageType, TargetProperties};
use burn_cubecl::cubecl::profile::ProfileDuration;
use burn_cubecl::cubecl::server::{
    Binding, ComputeServer, CopyDescriptor, CubeCount, Handle, IoError, KernelArguments,
    MemoryLayout, MemoryLayoutDescriptor, MemoryLayoutPolicy, ProfileError, ProfilingToken,
    ServerCommunication, ServerError, ServerUtilities,
};
use burn_cubecl::cubecl::stream_id::StreamId;
use burn_cubecl::cubecl::zspace::{Shape, Strides};
use burn_cubecl::cubecl::{
    CompilationError, Compiler, CubeTask, ExecutionMode, MemoryUsage, Runtime,
    client::ComputeClient,
};
use cubecl_runtime::allocator::{ContiguousMemoryLayoutPolicy, PitchedMemoryLayoutPolicy};
use cubecl_runtime::config::{TypeNameFormatLevel, type_name_format};
use cubecl_runtime::id::KernelId;
use cubecl_runtime::kernel::{KernelDefinition, Visibility};
use cubecl_runtime::logging::ServerLogger;
use cubecl_runtime::memory_management::{ManagedMemoryHandle, MemoryAllocationMode};
use cubecl_runtime::storage::{ComputeStorage, ManagedResource, StorageHandle, StorageId};

use crate::model::Model;

/// The launches of one kernel, and the bytes that they read and write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Launches {
    pub count: u64,
    pub read: u64,
    pub written: u64,
}

/// What the device did between two synchronizations.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// The launches, by the name of the kernel.
    pub kernels: BTreeMap<String, Launches>,
    /// The number of times that the host waited for values.
    pub reads: u64,
}

impl Part {
    /// Returns the sum over all kernels.
    pub fn total(&self) -> Launches {
        let mut total = Launches::default();
        for launches in self.kernels.values() {
            total.count += launches.count;
            total.read += launches.read;
            total.written += launches.written;
        }
        total
    }
}

/// All parts so far. The last one is still open.
static PARTS: Mutex<Vec<Part>> = Mutex::new(Vec::new());

/// Returns the parts that launched a kernel, in order.
pub fn parts() -> Vec<Part> {
    let parts = PARTS.lock().expect("no thread panicked").clone();
    let launched = parts.into_iter().filter(|part| !part.kernels.is_empty());
    launched.collect()
}

fn record(change: impl FnOnce(&mut Part)) {
    let mut parts = PARTS.lock().expect("no thread panicked");
    if parts.is_empty() {
        parts.push(Part::default());
    }
    change(parts.last_mut().expect("one was pushed"));
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CountedDevice;

impl Device for CountedDevice {
    fn from_id(_: DeviceId) -> Self {
        Self
    }

    fn to_id(&self) -> DeviceId {
        DeviceId {
            type_id: 0,
            index_id: 0,
        }
    }
}

impl burn::tensor::backend::DeviceOps for CountedDevice {}

#[derive(Clone, Debug)]
pub struct Counted;

impl Runtime for Counted {
    type Compiler = Definitions;
    type Server = Server;
    type Device = CountedDevice;

    fn client(device: &Self::Device) -> ComputeClient<Self> {
        ComputeClient::load(device)
    }

    fn name(_: &ComputeClient<Self>) -> &'static str {
        Model::chosen().runtime()
    }

    fn require_array_lengths() -> bool {
        Model::chosen() == Model::Hopper
    }

    fn max_cube_count() -> (u32, u32, u32) {
        Model::chosen().properties().hardware.max_cube_count
    }

    fn can_read_tensor(shape: &Shape, strides: &Strides) -> bool {
        // The last dimension may be padded on CUDA, which does not matter for a read of zeros.
        let mut expected = 1;
        let mut dimensions = shape.iter().zip(strides.iter()).rev();
        dimensions.all(|(&size, &stride)| {
            let fits = stride >= expected || size == 1;
            expected = stride * size;
            fits
        })
    }

    fn target_properties() -> TargetProperties {
        Model::chosen().target()
    }

    fn enumerate_devices(_: u16, _: &()) -> Vec<DeviceId> {
        vec![CountedDevice.to_id()]
    }
}

/// A compiler that keeps of a kernel only which of its buffers are written.
#[derive(Clone, Debug)]
pub struct Definitions;

/// For each buffer of a kernel, whether the kernel writes it.
#[derive(Clone, Debug)]
pub struct Written(Vec<bool>);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Compiler for Definitions {
    type Representation = Written;
    type CompilationOptions = ();

    fn compile(
        &mut self,
        kernel: KernelDefinition,
        (): &(),
        _: ExecutionMode,
        _: StorageType,
    ) -> Result<Written, CompilationError> {
        let written = |visibility| visibility == Visibility::ReadWrite;
        let buffers = kernel.buffers.into_iter();
        Ok(Written(
            buffers.map(|buffer| written(buffer.visibility)).collect(),
        ))
    }

    fn elem_size(&self, elem: ElemType) -> usize {
        elem.size()
    }

    fn extension(&self) -> &'static str {
        "txt"
    }
}

/// The layout of tensors, as the runtimes of Vulkan and CUDA have it.
pub enum Layout {
    Contiguous(ContiguousMemoryLayoutPolicy),
    Pitched(PitchedMemoryLayoutPolicy),
}

impl MemoryLayoutPolicy for Layout {
    fn apply(
        &self,
        stream: StreamId,
        descriptors: &[MemoryLayoutDescriptor],
    ) -> (Handle, Vec<MemoryLayout>) {
        match self {
            Self::Contiguous(policy) => policy.apply(stream, descriptors),
            Self::Pitched(policy) => policy.apply(stream, descriptors),
        }
    }
}

/// A storage that is never asked for anything.
#[derive(Debug)]
pub struct NoStorage;

impl ComputeStorage for NoStorage {
    type Resource = ();

    fn alignment(&self) -> usize {
        1
    }

    fn get(&mut self, _: &StorageHandle) {}

    fn alloc(&mut self, _: u64) -> Result<StorageHandle, IoError> {
        unreachable!("nothing is allocated")
    }

    fn dealloc(&mut self, _: StorageId) {}

    fn flush(&mut self) {}
}

pub struct Server {
    utilities: Arc<ServerUtilities<Self>>,
    /// Which buffers each kernel writes. `None` if the kernel cannot be expanded for this device. Then
    /// it is assumed to write the buffers that are still empty.
    compiled: HashMap<KernelId, Option<Vec<bool>>>,
    /// The memory that has been written. A kernel that writes it again is assumed to update it, and
    /// so to read it.
    filled: HashSet<String>,
    /// The time that the launches would take since the start of a profile.
    profiled: Duration,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

impl DeviceService for Server {
    fn init(_: DeviceId) -> Self {
        let model = Model::chosen();
        let properties = model.properties();
        let alignment = properties.memory.alignment as usize;
        let layout = match model {
            Model::Vulkan => Layout::Contiguous(ContiguousMemoryLayoutPolicy::new(alignment)),
            Model::Hopper => Layout::Pitched(PitchedMemoryLayoutPolicy::new(alignment)),
        };
        let logger = Arc::new(ServerLogger::default());
        Self {
            utilities: Arc::new(ServerUtilities::new(properties, logger, (), layout)),
            compiled: HashMap::new(),
            filled: HashSet::new(),
            profiled: Duration::ZERO,
        }
    }

    fn utilities(&self) -> ServerUtilitiesHandle {
        self.utilities.clone()
    }
}

impl ServerCommunication for Server {
    const SERVER_COMM_ENABLED: bool = false;
}

/// Returns the first word of a kernel's name. The others are types, the last one the runtime's.
///
/// On tensor cores, a convolution is a matrix product with arguments of its own.
pub fn short(kernel: &str) -> String {
    let word = kernel.split(" | ").next().unwrap_or(kernel).trim();
    if kernel.contains("| RuntimeArgs") {
        format!("{word} of a convolution")
    } else {
        word.to_owned()
    }
}

/// Returns whether a kernel copies a part of a tensor, or into a part of a tensor. The larger one of
/// its two buffers is neither read nor written as a whole.
fn moves_a_part(kernel: &str) -> bool {
    kernel.to_lowercase().contains("slice")
}

/// Names a memory. Its number is private, but not in this text.
fn memory(binding: &Binding) -> String {
    format!("{:?}", binding.memory)
}

impl ComputeServer for Server {
    type Kernel = Box<dyn CubeTask<Definitions>>;
    type Info = ();
    type MemoryLayoutPolicy = Layout;
    type Storage = NoStorage;

    fn initialize_memory(&mut self, _: ManagedMemoryHandle, _: u64, _: StreamId) {}

    fn logger(&self) -> Arc<ServerLogger> {
        self.utilities.logger.clone()
    }

    fn utilities(&self) -> Arc<ServerUtilities<Self>> {
        self.utilities.clone()
    }

    fn read(
        &mut self,
        descriptors: Vec<CopyDescriptor>,
        _: StreamId,
    ) -> DynFut<Result<Vec<Bytes>, ServerError>> {
        record(|part| part.reads += 1);
        let zeros = |descriptor: CopyDescriptor| {
            let values: usize = descriptor.shape.iter().product();
            Bytes::from_bytes_vec(vec![0; values * descriptor.elem_size])
        };
        let read = descriptors.into_iter().map(zeros).collect();
        Box::pin(async move { Ok(read) })
    }

    fn write(&mut self, descriptors: Vec<(CopyDescriptor, Bytes)>, _: StreamId) {
        let written = descriptors.iter().map(|(to, _)| memory(&to.handle));
        self.filled.extend(written);
    }

    fn sync(&mut self, _: StreamId) -> DynFut<Result<(), ServerError>> {
        PARTS
            .lock()
            .expect("no thread panicked")
            .push(Part::default());
        Box::pin(async { Ok(()) })
    }

    fn get_resource(
        &mut self,
        binding: Binding,
        _: StreamId,
    ) -> Result<ManagedResource<()>, ServerError> {
        Ok(ManagedResource::new(binding.memory, ()))
    }

    unsafe fn launch(
        &mut self,
        kernel: Self::Kernel,
        _: CubeCount,
        arguments: KernelArguments,
        mode: ExecutionMode,
        _: StreamId,
    ) {
        let id = kernel.id();
        if !self.compiled.contains_key(&id) {
            let address = kernel.address_type();
            let compiled = catch_unwind(AssertUnwindSafe(|| {
                kernel.compile(&mut Definitions, &(), mode, address)
            }));
            let written = compiled
                .ok()
                .and_then(Result::ok)
                .and_then(|compiled| compiled.repr);
            self.compiled
                .insert(id.clone(), written.map(|Written(written)| written));
        }
        let written = &self.compiled[&id];
        let mut launch = Launches {
            count: 1,
            ..Launches::default()
        };
        for (index, buffer) in arguments.buffers.iter().enumerate() {
            let bytes = buffer.size_in_used();
            let is_filled = self.filled.contains(&memory(buffer));
            let is_written = match written {
                Some(written) => written.get(index) == Some(&true),
                None => !is_filled,
            };
            if is_written {
                launch.written += bytes;
                self.filled.insert(memory(buffer));
            }
            if is_filled || !is_written {
                launch.read += bytes;
            }
        }
        let maps = arguments.tensor_maps.iter();
        launch.read += maps.map(|map| map.binding.size_in_used()).sum::<u64>();

        let name = short(&type_name_format(
            kernel.name(),
            TypeNameFormatLevel::Balanced,
        ));
        if moves_a_part(&name) {
            let sizes = arguments.buffers.iter().map(Binding::size_in_used);
            let part = sizes.min().unwrap_or(0);
            (launch.read, launch.written) = (part, part);
        }
        self.profiled += Model::chosen().time(&name, &launch);
        record(|part| {
            let launches = part.kernels.entry(name).or_default();
            launches.count += launch.count;
            launches.read += launch.read;
            launches.written += launch.written;
        });
    }

    fn flush(&mut self, _: StreamId) -> Result<(), ServerError> {
        Ok(())
    }

    fn memory_usage(&mut self, _: StreamId) -> Result<MemoryUsage, ServerError> {
        Ok(MemoryUsage {
            number_allocs: 0,
            bytes_in_use: 0,
            bytes_padding: 0,
            bytes_reserved: 0,
        })
    }

    fn memory_cleanup(&mut self, _: StreamId) {}

    fn start_profile(&mut self, _: StreamId) -> Result<ProfilingToken, ServerError> {
        self.profiled = Duration::ZERO;
        Ok(ProfilingToken { id: 0 })
    }

    fn end_profile(
        &mut self,
        _: StreamId,
        _: ProfilingToken,
    ) -> Result<ProfileDuration, ProfileError> {
        let start = Instant::now();
        Ok(ProfileDuration::new_system_time(
            start,
            start + self.profiled,
        ))
    }

    fn allocation_mode(&mut self, _: MemoryAllocationMode, _: StreamId) {}
}
