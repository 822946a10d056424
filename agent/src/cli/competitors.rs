//! VirtualBox's own agents, which would take events from this one.

use std::path::Path;

use driver_core::wire::Capabilities;

use super::Taken;

/// The programs of VirtualBox's guest additions that wait for events, as the kernel names processes.
const COMPETITORS: [&str; 3] = ["VBoxService", "VBoxClient", "VBoxDRMClient"];

/// Warns of each one that runs. An event goes to the first who waits for it, and to nobody else, so
/// two agents for one feature each miss what the other gets.
pub(super) fn warn() {
    for (program, process) in running(Path::new("/proc")) {
        tracing::warn!(
            process,
            "{program} runs too: what it waits for may never get here, and the other way round. \
             Stop it, or leave its features out of agent.toml"
        );
    }
}

/// That capabilities, without which no plugin can work, are another agent's.
pub(super) fn taken(capabilities: Capabilities) -> Taken {
    Taken(format!(
        "Another agent has {capabilities} for itself, and no enabled plugin can work without; stop that agent, \
         or its features ({} are VirtualBox's own)",
        COMPETITORS.join(", ")
    ))
}

/// The competitors among the processes of a `/proc`, with their process ids.
pub(super) fn running(proc: &Path) -> Vec<(&'static str, u32)> {
    let entries = std::fs::read_dir(proc).into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<_> = processes
        .filter_map(|process| {
            // A process that ended meanwhile has no name any more.
            let name = std::fs::read_to_string(proc.join(process.to_string()).join("comm")).ok()?;
            let program = COMPETITORS.into_iter().find(|program| *program == name.trim_end())?;
            Some((program, process))
        })
        .collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtualbox_s_own_agents_are_found_among_the_processes() {
        let proc = tempfile::tempdir().expect("there is room for a folder");
        for (process, name) in
            [("12", "VBoxClient"), ("7", "bash"), ("3", "VBoxService"), ("self", "VBoxClient")]
        {
            let folder = proc.path().join(process);
            std::fs::create_dir(&folder).expect("a folder");
            std::fs::write(folder.join("comm"), format!("{name}\n")).expect("a file");
        }

        assert_eq!(running(proc.path()), [("VBoxClient", 12), ("VBoxService", 3)]);
    }

    #[test]
    fn a_machine_without_a_proc_has_no_competitors() {
        assert_eq!(running(Path::new("/nonexistent")), []);
    }
}
