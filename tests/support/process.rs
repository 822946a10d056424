//! What this process takes of the machine.

use std::fs;

/// What there is of each at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Memory that is resident, in bytes.
    pub resident: u64,
    /// Open file descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
}

impl Process {
    /// What there is now.
    ///
    /// # Panics
    /// When `/proc` does not tell.
    #[must_use]
    pub fn now() -> Self {
        let count = |folder| fs::read_dir(folder).expect("the kernel tells").count();
        Self { resident: resident(), descriptors: count("/proc/self/fd"), threads: count("/proc/self/task") }
    }
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("the kernel names it") * 1024
}
