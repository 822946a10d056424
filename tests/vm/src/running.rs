//! A program that does not outlive its owner, however the owner ends.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Waits for its standard input to end, which it does when the owner ends, and then kills a group.
const WATCH: &str = r#"trap '' INT TERM HUP; read -r _; kill -KILL "-$1" 2>/dev/null"#;

/// A program in a process group of its own. Dropped, the whole group is killed.
#[derive(Debug)]
pub struct Running {
    program: Child,
    watch: Option<Child>,
}

impl Running {
    /// Starts a program that writes to a log.
    pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let name = command.get_program().display().to_string();
        let log = File::create(log).with_context(|| format!("Making {}", log.display()))?;
        let second = log.try_clone().context("Sharing a log")?;
        command.stdin(Stdio::null()).stdout(log).stderr(second).process_group(0);
        let program = command.spawn().with_context(|| format!("Starting {name}"))?;
        let mut running = Self { program, watch: None };
        let watch = Command::new("sh")
            .args(["-c", WATCH, "sh", &running.program.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        running.watch = Some(watch.with_context(|| format!("Starting the watch over {name}"))?);
        Ok(running)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.program.try_wait().context("Waiting for a program")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // While the program was not waited for, its number is nobody else's.
        if let Ok(group) = i32::try_from(self.program.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        if let Some(watch) = &mut self.watch {
            let _ = watch.kill();
            let _ = watch.wait();
        }
        let _ = self.program.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_program_is_gone_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let running =
            Running::start(Command::new("sh").args(["-c", "sleep 60 & echo $!; wait"]), &log).unwrap();
        let child = crate::eventually("the child's number", || {
            Ok(std::fs::read_to_string(&log)?.trim().parse::<u32>().ok())
        })
        .unwrap();

        drop(running);

        crate::eventually("the child is gone", || {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            Ok((stat.is_empty() || stat.contains(") Z ")).then_some(()))
        })
        .unwrap();
    }
}
