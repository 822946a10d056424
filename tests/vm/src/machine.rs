//! A machine that has booted.

use std::io::{Seek as _, Write as _};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use crate::PATIENCE;
use crate::compiled::{CACHE, Code, Compiled};
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
    components: Components,
    _folder: TempDir,
}

/// The components of a machine's agent.
#[derive(Debug)]
pub(crate) struct Components {
    /// Where each is, and its content.
    pub files: Vec<(String, Vec<u8>)>,
    /// Where it is kept what they were compiled to.
    pub compiled: Arc<Compiled>,
}

impl Machine {
    pub(crate) fn new(
        qemu: Running,
        device: Option<Device>,
        console: Console,
        boot: Duration,
        components: Components,
        folder: TempDir,
    ) -> Self {
        Self { qemu, device, console, boot, components, _folder: folder }
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

    /// Keeps what the agent has compiled here, so that those of machines that are launched later need not.
    ///
    /// # Errors
    /// When the guest does not answer, or what it answers came to harm.
    pub fn keep_compiled(&mut self) -> anyhow::Result<()> {
        const PACKED: &str = "/run/compiled.gz";
        let Components { files, compiled } = &self.components;
        for (path, component) in files.iter().filter(|(_, component)| compiled.of(component).is_none()) {
            let script = format!(
                "sum=$(sha256sum <{path}); file=$(ls {CACHE}/${{sum%% *}}-*.cwasm 2>/dev/null) || exit 0
                 gzip -c $file >{PACKED} && echo $file"
            );
            let Answer { status, text } = self.console.run(&script, PATIENCE)?;
            ensure!(status == 0, "the guest cannot pack what {path} was compiled to: {}", text.trim_end());
            let file = text.trim();
            if !file.is_empty() {
                let content = unpack(&self.console.fetch(PACKED, PATIENCE)?)?;
                compiled.keep(component.clone(), Code { file: file.to_owned(), content });
            }
        }
        Ok(())
    }
}

/// Unpacks what was packed with gzip, which has a sum of its own.
fn unpack(packed: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut file = tempfile::tempfile().context("Making a file")?;
    file.write_all(packed).and_then(|()| file.rewind()).context("Writing what the guest has packed")?;
    let output = Command::new("gzip").arg("-dc").stdin(file).output().context("Starting `gzip`")?;
    ensure!(output.status.success(), "what the guest has packed came to harm on its way");
    Ok(output.stdout)
}
