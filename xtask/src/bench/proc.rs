//! What the kernel counts of a process.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

/// Memory, in bytes.
pub struct Memory {
    /// What is in memory, shared pages in full.
    pub resident: u64,
    /// The same, with shared pages divided among those who share them.
    pub proportional: u64,
    /// What is resident and backed by no file: what the process itself has written.
    pub anonymous: u64,
}

/// What a process has in memory.
pub fn memory(process: u32) -> anyhow::Result<Memory> {
    let status = read(process, "status")?;
    let rollup = read(process, "smaps_rollup")?;
    let bytes = |text: &str, name: &str| {
        field(text, name).map(|kib| kib * 1024).with_context(|| format!("The kernel names no {name}"))
    };
    Ok(Memory {
        resident: bytes(&status, "VmRSS")?,
        proportional: bytes(&rollup, "Pss")?,
        anonymous: bytes(&status, "RssAnon")?,
    })
}

/// How many threads a process has.
pub fn threads(process: u32) -> anyhow::Result<u64> {
    field(&read(process, "status")?, "Threads").context("The kernel names no Threads")
}

/// How often the threads of a process, all together, were switched away from: because they had to
/// wait, or because others were to run.
pub fn switches(process: u32) -> anyhow::Result<u64> {
    let tasks = PathBuf::from(format!("/proc/{process}/task"));
    let entries = fs::read_dir(&tasks).with_context(|| format!("Reading {}", tasks.display()))?;
    let mut sum = 0;
    for entry in entries {
        let file = entry?.path().join("status");
        // A thread may have ended since.
        let Ok(status) = fs::read_to_string(&file) else {
            continue;
        };
        for name in ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"] {
            sum += field(&status, name).with_context(|| format!("The kernel names no {name}"))?;
        }
    }
    Ok(sum)
}

fn read(process: u32, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{process}/{file}");
    fs::read_to_string(&path).with_context(|| format!("Reading {path}"))
}

/// The number in a line `Name:   12 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let status = "VmRSSx:\t1 kB\nVmRSS:\t   7612 kB\nThreads:\t4\n\
                      voluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";

        assert_eq!(field(status, "VmRSS"), Some(7612));
        assert_eq!(field(status, "voluntary_ctxt_switches"), Some(12));
        assert_eq!(field(status, "Pss"), None);
    }

    #[test]
    fn our_own_process_can_be_measured() {
        let memory = memory(std::process::id()).unwrap();

        assert!(memory.resident > 0 && memory.proportional > 0);
        assert!(threads(std::process::id()).unwrap() > 0);
        assert!(switches(std::process::id()).is_ok());
    }
}
