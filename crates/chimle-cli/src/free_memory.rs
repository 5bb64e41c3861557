//! How much memory is free.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Bytes that this process can still take without swapping, by what the system and, in a container,
/// its limit say.
pub fn available() -> u64 {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory);
    let limit = system
        .cgroup_limits()
        .map_or(u64::MAX, |limits| limits.free_memory);
    system.available_memory().min(limit)
}
