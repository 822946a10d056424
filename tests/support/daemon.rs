//! The daemon as a process of its own.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bellhop;

/// A daemon in a folder, and its log.
pub struct Daemon {
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Daemon {
    /// Starts one that is configured by the folder's `agent.toml`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(folder: &Path) -> Self {
        Self::start_by(Command::new(bellhop()), folder)
    }

    /// Starts one likewise by a command that ends with the program.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_by(mut bellhop: Command, folder: &Path) -> Self {
        let mut process = bellhop
            .args(["run", "--config", "agent.toml", "--log-format", "json"])
            .current_dir(folder)
            .env_remove("DISPLAY")
            .stderr(Stdio::piped())
            .spawn()
            .expect("bellhop can be started");
        let log = BufReader::new(process.stderr.take().expect("it was piped")).lines();
        Self { process, log }
    }

    /// Reads the log up to a line with this text; gives back all that was read, that line last.
    ///
    /// # Panics
    /// When the log ends without it.
    pub fn log_until(&mut self, text: &str) -> Vec<String> {
        let mut read = Vec::new();
        while !read.last().is_some_and(|line: &String| line.contains(text)) {
            let line = self.log.next().unwrap_or_else(|| panic!("The log ended without {text}: {read:#?}"));
            read.push(line.expect("the log is text"));
        }
        read
    }

    /// How often its threads have gone to sleep so far, which is how often they woke.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn sleeps(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("it runs");
        tasks
            .map(|task| {
                std::fs::read_to_string(task.expect("a task").path().join("status")).expect("its status")
            })
            .map(|status| {
                let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
                count.expect("a count").trim().parse::<u64>().expect("a number")
            })
            .sum()
    }

    /// Its process id.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// Kills it, so that it can tidy nothing up.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// Tells it to end, and waits until it has; gives back its exit status.
    ///
    /// # Panics
    /// When it does not stop.
    pub fn end(&mut self, signal: Signal) -> Option<i32> {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).expect("it can be told");
        self.log_until("Stopped");
        self.process.wait().expect("it ends").code()
    }
}
