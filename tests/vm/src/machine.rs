//! A machine that has booted.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::PATIENCE;
use crate::console::{Answer, Console};
use crate::device::Device;
use crate::running::Running;

/// A machine that has booted. Dropped, it is gone, and its device too.
#[derive(Debug)]
pub struct Machine {
    // Dropped in this order: the machine goes first, as it does not expect its device to.
    qemu: Running,
    device: Option<Device>,
    console: Console,
    boot: Duration,
    _folder: TempDir,
}

impl Machine {
    pub(crate) fn new(
        qemu: Running,
        device: Option<Device>,
        console: Console,
        folder: TempDir,
        boot: Duration,
    ) -> Self {
        Self { qemu, device, console, boot, _folder: folder }
    }

    /// How long it took from nothing to a guest that takes commands.
    #[must_use]
    pub fn boot(&self) -> Duration {
        self.boot
    }

    /// The host's end.
    ///
    /// # Errors
    /// When the machine was configured without.
    pub fn host(&self) -> anyhow::Result<&Device> {
        self.device.as_ref().context("this machine was configured without a device")
    }

    /// Runs a script in the guest, for at most [`PATIENCE`].
    ///
    /// # Errors
    /// When the guest does not answer. A status other than 0 is an answer.
    pub fn try_run(&mut self, script: &str) -> anyhow::Result<Answer> {
        if let Some(status) = self.qemu.ended()? {
            bail!("the machine has ended: {status}");
        }
        self.console.run(script, PATIENCE)
    }

    /// Runs a script in the guest that must succeed, and returns what it wrote.
    ///
    /// # Errors
    /// When it fails, or the guest does not answer.
    pub fn run(&mut self, script: &str) -> anyhow::Result<String> {
        let Answer { status, text } = self.try_run(script)?;
        if status != 0 {
            bail!("in the guest, `{script}` ended with status {status}: {}", text.trim_end());
        }
        Ok(text)
    }
}
