//! The clipboard plugin. The kernel's driver carries 24 MiB, and text has two bytes a character there.

use std::fs;
use std::path::PathBuf;
use std::slice;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use vm::{Context, Machine, eventually, reference_toml};

use super::on_desktop;
use crate::agent::{at_last, until};

/// Sizes of the guest's text, in bytes: more than twice as many are on their way.
const MUCH: usize = 1 << 20;
const VERY_MUCH: usize = 10 << 20;
const TOO_MUCH: usize = 12 << 20;

/// Text crosses both ways, short and long.
pub fn text(context: &Context) -> anyhow::Result<()> {
    let texts = [("much", MUCH), ("very-much", VERY_MUCH)].map(|(name, size)| Text::long(name, size));
    let mut shared = Shared::launch(context, &texts)?;

    shared.crosses(&Text::line("a line, \u{e4}, \u{1f600}"))?;
    for text in &texts {
        let began = Instant::now();
        shared.to_guest(text)?;
        let to_guest = began.elapsed();
        shared.to_host(text)?;
        let to_host = began.elapsed() - to_guest;
        println!("{} bytes: {to_guest:?} to the guest, {to_host:?} to the host", text.content.len());
    }
    Ok(())
}

/// What is too much for the kernel's driver is refused either way, the log says why, and what is copied later
/// crosses.
pub fn too_much_text(context: &Context) -> anyhow::Result<()> {
    let (text, later) = (Text::long("too-much", TOO_MUCH), Text::line("later"));
    let mut shared = Shared::launch(context, slice::from_ref(&text))?;

    shared.host_copies(&text)?;
    let pasted = shared.machine.run(&on_desktop("xclip -sel c -o -t UTF8_STRING 2>/dev/null | wc -c"))?;
    ensure!(pasted.trim() == "0", "{} bytes were pasted", pasted.trim());
    shared.said("are more than the kernel.s driver carries, which are 24 MiB")?;
    shared.crosses(&later)?;

    shared.guest_copies(&text)?;
    let refused = shared.host_pastes();
    ensure!(refused.is_err(), "the host pasted what the driver does not carry");
    shared.said("it is larger than the kernel.s driver carries, which is 24 MiB")?;
    shared.crosses(&later)
}

/// Something to copy, and the file that the guest has it in.
pub struct Text {
    content: String,
    file: Option<String>,
}

impl Text {
    /// A line without its end, and without quotes.
    pub fn line(line: &str) -> Self {
        Self { content: line.to_owned(), file: None }
    }

    /// Lines of 64 bytes, of which no two are the same.
    fn long(name: &str, size: usize) -> Self {
        let content = (0..size / 64).map(|number| format!("{number:063}\n")).collect();
        Self { content, file: Some(format!("/etc/{name}")) }
    }

    /// What writes it in the guest.
    fn script(&self) -> String {
        match &self.file {
            Some(file) => format!("cat {file}"),
            None => format!("printf %s '{}'", self.content),
        }
    }
}

/// A machine whose clipboard is shared, and a place for what the host copies and pastes.
pub struct Shared {
    pub machine: Machine,
    folder: TempDir,
}

impl Shared {
    /// A machine that has these texts, and whose agent has the clipboard plugin alone.
    fn launch(context: &Context, texts: &[Text]) -> anyhow::Result<Self> {
        let mut machine = super::machine(context, &reference_toml(&["clipboard"]));
        for Text { content, file } in texts {
            machine = machine.file(file.as_deref().unwrap_or_default(), content.as_bytes());
        }
        Self::new(super::start(machine)?)
    }

    /// A machine whose agent has the clipboard plugin, which listens to the host once this returns.
    pub fn new(machine: Machine) -> anyhow::Result<Self> {
        let shared = Self { machine, folder: tempfile::tempdir().context("Making a folder")? };
        shared.listens()?;
        Ok(shared)
    }

    /// Waits until the plugin listens to the host.
    pub fn listens(&self) -> anyhow::Result<()> {
        eventually("the plugin waits for the host's messages", || {
            let state = self.machine.host()?.order("state")?;
            let mut clients = state["hgcm"].as_array().into_iter().flatten();
            let listens = clients.any(|client| client["waiting"].as_array().is_some_and(|w| w.len() == 1));
            Ok(listens.then_some(()))
        })
    }

    /// Text crosses to the guest and to the host.
    pub fn crosses(&mut self, text: &Text) -> anyhow::Result<()> {
        self.to_guest(text)?;
        self.to_host(text)
    }

    fn to_guest(&mut self, text: &Text) -> anyhow::Result<()> {
        self.host_copies(text)?;
        // Who pastes may have to wait longer than one command may take.
        let paste = "xclip -sel c -o -t UTF8_STRING >/run/pasted; echo $? >/run/pasted.status";
        self.machine
            .run(&on_desktop(&format!("rm -f /run/pasted*; setsid sh -c '{paste}' 2>/dev/null &")))?;
        at_last(&mut self.machine, "agent", "[ -s /run/pasted.status ]")?;
        self.machine.run(&format!("{} | cmp - /run/pasted", text.script())).map(drop)
    }

    fn to_host(&mut self, text: &Text) -> anyhow::Result<()> {
        self.guest_copies(text)?;
        let pasted = eventually("the host pastes what was copied in the guest", || {
            Ok(self.host_pastes().is_ok_and(|pasted| pasted == text.content).then_some(()))
        });
        if pasted.is_err() {
            let log = self.machine.run("tail -n 20 /run/agent.log")?;
            return pasted.with_context(|| format!("the agent said:\n{log}"));
        }
        Ok(())
    }

    /// Copies something at the host, and waits until the guest is offered it: what programs of the guest
    /// copy has no MIME type here.
    fn host_copies(&mut self, text: &Text) -> anyhow::Result<()> {
        let file = self.file();
        fs::write(&file, &text.content).context("Writing what the host copies")?;
        self.machine.host()?.order(&format!("clipboard put text {}", file.display()))?;
        until(&mut self.machine, "agent", &on_desktop("xclip -sel c -o -t TARGETS | grep -q text/plain"))
    }

    fn host_pastes(&self) -> anyhow::Result<String> {
        let file = self.file();
        self.machine.host()?.order(&format!("clipboard get --timeout 35s text {}", file.display()))?;
        fs::read_to_string(&file).context("Reading what the host pasted")
    }

    /// Copies something, and waits until the host knows that there is something.
    fn guest_copies(&mut self, text: &Text) -> anyhow::Result<()> {
        let copy = format!("{} | xclip -sel c -i -t UTF8_STRING >/dev/null 2>&1", text.script());
        self.machine.run(&on_desktop(&copy))?;
        self.machine.host()?.order("wait clipboard text --timeout 15s").map(drop)
    }

    /// Waits until the agent's log has this.
    fn said(&mut self, what: &str) -> anyhow::Result<()> {
        until(&mut self.machine, "agent", &format!("grep -q '{what}' /run/agent.log"))
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("text")
    }
}
