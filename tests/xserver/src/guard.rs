//! A process that does not outlive its owner, however the owner ends: a server, or a program that runs on
//! one.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a process may take to end when it is asked to; then it is killed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits for its standard input to end, which it does when the owner ends, and then kills the process
/// and removes what it leaves behind.
///
/// The kernel's own parent-death signal is no help: it follows the thread that started it, and
/// a test's thread ends before the test program does.
const WATCH: &str = r#"trap '' INT TERM HUP; read -r _; kill -KILL "$1"; shift; rm -rf -- "$@""#;

/// A running process.
#[derive(Debug)]
pub(crate) struct Guarded {
    process: Child,
    watch: Child,
}

impl Guarded {
    /// Starts the process, and its watch. `remains` is what is to be removed should the owner not live
    /// to do it.
    pub(crate) fn spawn(command: &mut Command, remains: &[&Path]) -> io::Result<Self> {
        let mut process = command.spawn()?;
        let watch = Command::new("sh")
            .args(["-c", WATCH, "sh", &process.id().to_string()])
            .args(remains)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match watch {
            Ok(watch) => Ok(Self { process, watch }),
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                Err(error)
            }
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its standard output, once.
    pub(crate) fn stdout(&mut self) -> Option<impl Read + std::os::fd::AsFd + use<>> {
        self.process.stdout.take()
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(id), signal);
        }
    }

    /// Kills it on the spot, as a crash would end it.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Its process id is its own only until its end was noticed.
        if self.runs() {
            self.signal(Signal::SIGTERM);
            // A stopped process takes no notice of SIGTERM until it goes on.
            self.signal(Signal::SIGCONT);
        }
        let asked = Instant::now();
        while self.runs() && asked.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.kill();
        // Only now: the watch must not kill a stranger who got its process id.
        let _ = self.watch.kill();
        let _ = self.watch.wait();
    }
}
