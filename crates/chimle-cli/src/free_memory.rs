//! How much memory is free.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Returns the number of bytes that this process can still take without swapping. In a container, its limit is
/// respected too.
pub fn available() -> u64 {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory);
    let limit = system
        .cgroup_limits()
        .map_or(u64::MAX, |limits| limits.free_memory);
    system.available_memory().min(limit)
}
