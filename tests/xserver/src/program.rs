//! Programs that run on a server: clients and window managers to test with, and tools to look with.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Missing};
use crate::guard::Guarded;
use crate::look::succeeded;

/// How long a window manager may take to be ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that is not Bellhop's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    name: &'static str,
    package: &'static str,
}

impl Program {
    /// A window manager that puts windows into frames.
    pub const OPENBOX: Self = Self::of("openbox", "openbox");
    /// A terminal: an ordinary window.
    pub const XTERM: Self = Self::of("xterm", "xterm");
    /// Two eyes: a window with a shape.
    pub const XEYES: Self = Self::of("xeyes", "x11-apps");
    /// Does to windows what people do.
    pub const XDOTOOL: Self = Self::of("xdotool", "xdotool");
    /// Tells where windows are.
    pub const XWININFO: Self = Self::of("xwininfo", "x11-utils");
    /// Reads and writes properties of windows.
    pub const XPROP: Self = Self::of("xprop", "x11-utils");

    /// A program, and the Debian package that has it.
    #[must_use]
    pub const fn of(name: &'static str, package: &'static str) -> Self {
        Self { name, package }
    }

    /// Finds out whether it is installed.
    ///
    /// # Errors
    /// [`Missing`] when it is nowhere on the path.
    pub fn find(self) -> Result<(), Missing> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if std::env::split_paths(&path).any(|folder| folder.join(self.name).is_file()) {
            return Ok(());
        }
        Err(Missing::Program { program: self.name, package: self.package })
    }

    /// Starts it on a display, to run until it is dropped. What it says is thrown away.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is not installed.
    pub fn start(self, display: &str, arguments: &[&str]) -> Result<Running, Error> {
        let mut command = self.command(display, arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = Guarded::spawn(&mut command, &[]).map_err(Error::spawn(self.name, self.package))?;
        Ok(Running { process })
    }

    /// Runs it on a display to its end, and gives what it wrote.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is not installed; [`Error::Look`] when it fails.
    pub fn run(self, display: &str, arguments: &[&str]) -> Result<String, Error> {
        let output = self.command(display, arguments).output();
        succeeded(self.name, display, output.map_err(Error::spawn(self.name, self.package))?)
    }

    fn command(self, display: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.name);
        command.args(arguments).env("DISPLAY", display).stdin(Stdio::null());
        command
    }
}

/// A program that runs; it ends when this is dropped, or when this process ends.
#[derive(Debug)]
pub struct Running {
    process: Guarded,
}

impl Running {
    /// Ends it on the spot, as a crash would.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

/// Starts the window manager openbox on a display, and waits until it is ready: windows that are mapped
/// while it starts are lost to it.
///
/// # Errors
/// [`Error::Missing`] without openbox or `xprop`; [`Error::Look`] when it is not ready in time.
pub fn openbox(display: &str, arguments: &[&str]) -> Result<Running, Error> {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let mark = format!("STARTED_{}", STARTED.fetch_add(1, Ordering::SeqCst));
    let startup = format!("xprop -root -f {mark} 8s -set {mark} yes");
    let arguments = [&["--sm-disable", "--startup", &startup], arguments].concat();
    let running = Program::OPENBOX.start(display, &arguments)?;
    let end = Instant::now() + PATIENCE;
    while !Program::XPROP.run(display, &["-root", &mark])?.contains("yes") {
        if Instant::now() > end {
            let said = format!("not ready within {PATIENCE:?}");
            return Err(Error::Look { program: "openbox", display: display.into(), said });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(running)
}
