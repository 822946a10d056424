//! The guest's own programs, by which the demo does what somebody in the guest would do.

use std::io::{ErrorKind, Write};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// A program that is not Bellhop's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program {
    name: &'static str,
    /// The Debian package that has it.
    package: &'static str,
}

/// Takes pictures of the screen.
pub(super) const IMPORT: Program = Program { name: "import", package: "imagemagick" };
/// Copies and pastes.
pub(super) const XCLIP: Program = Program { name: "xclip", package: "xclip" };
/// Moves windows as people do.
pub(super) const XDOTOOL: Program = Program { name: "xdotool", package: "xdotool" };
/// A window that is no rectangle.
pub(super) const XEYES: Program = Program { name: "xeyes", package: "x11-apps" };

/// A program that is not installed.
#[derive(Debug, thiserror::Error)]
#[error("No program {name} here; on Debian: apt-get install {package}")]
pub(super) struct Missing {
    name: &'static str,
    package: &'static str,
}

impl Program {
    /// Finds out whether it is installed.
    pub(super) fn find(self) -> Result<(), Missing> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        match std::env::split_paths(&path).any(|folder| folder.join(self.name).is_file()) {
            true => Ok(()),
            false => Err(Missing { name: self.name, package: self.package }),
        }
    }

    /// Runs it to its end, and gives what it wrote.
    pub(super) fn run(self, arguments: &[&str]) -> Result<Vec<u8>> {
        let output =
            self.command(arguments).stdin(Stdio::null()).output().map_err(|error| self.cannot(error))?;
        self.succeeded(output)
    }

    /// Runs it to its end with something to read. It may leave a process of its own behind, as those do
    /// that copy.
    pub(super) fn feed(self, arguments: &[&str], input: &[u8]) -> Result<()> {
        let mut command = self.command(arguments);
        // Whoever stays behind must not hold a pipe of ours open.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().map_err(|error| self.cannot(error))?;
        let fed = process.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(input));
        let status = process.wait().with_context(|| format!("Cannot wait for {}", self.name))?;
        fed.with_context(|| format!("Cannot hand anything to {}", self.name))?;
        if !status.success() {
            bail!("{} failed: {status}", self.name);
        }
        Ok(())
    }

    /// Starts it, to run until it is dropped.
    pub(super) fn start(self, arguments: &[&str]) -> Result<Running> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Running(command.spawn().map_err(|error| self.cannot(error))?))
    }

    fn command(self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.name);
        command.args(arguments);
        command
    }

    fn cannot(self, error: std::io::Error) -> anyhow::Error {
        match error.kind() {
            ErrorKind::NotFound => Missing { name: self.name, package: self.package }.into(),
            _ => anyhow::Error::new(error).context(format!("Cannot run {}", self.name)),
        }
    }

    fn succeeded(self, output: Output) -> Result<Vec<u8>> {
        if !output.status.success() {
            bail!("{} failed: {}", self.name, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output.stdout)
    }
}

/// A program that runs.
pub(super) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
