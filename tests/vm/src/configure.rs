//! A machine that is being configured.

use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{fs, mem};

use anyhow::{Context as _, bail};

use crate::console::Listener;
use crate::context::{Context, last_words};
use crate::device::Device;
use crate::eventually;
use crate::initramfs::Initramfs;
use crate::machine::{Components, Machine};
use crate::running::Running;

/// An `agent.toml` for [`Configure::agent`]: the display plugin on the kernel's driver, in a guest without a
/// screen.
pub const AGENT_TOML: &str = r#"
driver = "vboxguest"
[outputs]
backend = "headless"
# An emulated processor on a busy machine is slow.
[limits]
cpu-per-event = "2 s"
wall-per-event = "20 s"
[plugins.display]
component = "/etc/display.wasm"
[plugins.display.grants]
events = ["display-change", "restored"]
capabilities = ["graphics"]
requests = ["display", "guest"]
desktop = ["outputs"]
"#;

/// The reference `agent.toml` with these of its plugins alone, with their components where
/// [`Configure::agent`] puts them, and with time for an emulated processor.
#[must_use]
pub fn reference_toml(plugins: &[&str]) -> String {
    let is_wanted = |table: &&str| {
        let plugin = table.strip_prefix("plugins.").and_then(|rest| rest.split(['.', ']']).next());
        plugin.is_none_or(|name| plugins.contains(&name))
    };
    let tables: Vec<&str> = include_str!("../../../agent.toml").split("\n[").filter(is_wanted).collect();
    tables
        .join("\n[")
        .replace("\"target/plugins/", "\"/etc/")
        .replace("cpu-per-event = \"200 ms\"", "cpu-per-event = \"2 s\"")
        .replace("wall-per-event = \"5 s\"", "wall-per-event = \"20 s\"")
}

/// The names of the components that an `agent.toml` wants in `/etc`.
fn components(agent_toml: &str) -> impl Iterator<Item = &str> {
    agent_toml.lines().filter_map(|line| line.strip_prefix("component = \"/etc/")?.strip_suffix(".wasm\""))
}

/// Memory of a machine: the guest's files are in it.
const MEMORY: &str = "512M";

/// What the kernel is told. It need not find out whether an emulated machine's timer and clock are good,
/// which it waits for, nor whether its own cryptography is.
const KERNEL: &str = "console=ttyS0 panic=-1 loglevel=7 no_timer_check tsc=reliable cryptomgr.notests";

/// How Xorg is configured: outputs that take any mode, and no card.
const XORG_CONF: &[u8] = include_bytes!("xorg.conf");

/// Starts Xorg as display `:0`, and waits until it takes clients. One that does not says why in the
/// kernel's log, which outlives the guest.
const XORG_START: &[u8] = include_bytes!("xorg.sh");

/// A machine that is being configured.
#[derive(Debug)]
pub struct Configure<'a> {
    context: &'a Context,
    device: Option<Vec<String>>,
    rc: String,
    agent: Option<String>,
    cold: bool,
    programs: Vec<(String, PathBuf)>,
    desktop: bool,
    files: Vec<(String, Vec<u8>)>,
}

impl<'a> Configure<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        let rc = "insmod /lib/vboxguest.ko\n".to_owned();
        Self {
            context,
            device: Some(Vec::new()),
            rc,
            agent: None,
            cold: false,
            programs: Vec::new(),
            desktop: false,
            files: Vec::new(),
        }
    }

    /// Leaves out the device.
    #[must_use]
    pub fn without_device(mut self) -> Self {
        self.device = None;
        self
    }

    /// Gives the device an option of `vmmdev serve`.
    #[must_use]
    pub fn device_option(mut self, name: &str, value: &str) -> Self {
        self.device.get_or_insert_default().extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// Leaves loading the kernel's driver, `/lib/vboxguest.ko`, to the test.
    #[must_use]
    pub fn without_driver(mut self) -> Self {
        self.rc.clear();
        self
    }

    /// Brings the agent. This is its `/etc/agent.toml`, and with it come the plugins that it has as
    /// `component = "/etc/NAME.wasm"`, and what they were compiled to if another machine has kept that.
    #[must_use]
    pub fn agent(mut self, agent_toml: &str) -> Self {
        self.agent = Some(agent_toml.to_owned());
        self
    }

    /// Leaves it to the agent to compile its plugins.
    #[must_use]
    pub fn cold(mut self) -> Self {
        self.cold = true;
        self
    }

    /// Brings a program of this machine, with its libraries.
    #[must_use]
    pub fn program(mut self, path: &str, program: &Path) -> Self {
        self.programs.push((path.to_owned(), program.to_owned()));
        self
    }

    /// Brings Debian's X server, with outputs `DUMMY0` to `DUMMY15`, and starts it as display `:0`. When it
    /// has ended, `sh /etc/xorg.sh` starts another.
    #[must_use]
    pub fn desktop(mut self) -> Self {
        self.desktop = true;
        self.rc.push_str("sh /etc/xorg.sh || exit 1\n");
        self
    }

    /// Adds to what the guest does before it takes commands.
    #[must_use]
    pub fn at_boot(mut self, script: &str) -> Self {
        self.rc.push_str(script);
        self
    }

    /// Brings a file.
    #[must_use]
    pub fn file(mut self, path: &str, content: &[u8]) -> Self {
        self.files.push((path.to_owned(), content.to_owned()));
        self
    }

    /// Starts the device and the machine, and waits until the guest takes commands.
    ///
    /// # Errors
    /// When a part is missing, or the guest does not boot in time.
    pub fn launch(mut self) -> anyhow::Result<Machine> {
        let started = Instant::now();
        let files = mem::take(&mut self.files);
        let Context { kit, kernel, programs, .. } = self.context;
        let logs = self.context.logs()?;
        // The paths of sockets must be short, so they are not below the logs.
        let folder = tempfile::Builder::new().prefix("bellhop-vm-").tempdir().context("Making a folder")?;

        let mut initramfs = Initramfs::new(&kit.busybox(), &kit.module(kernel), &self.rc)?;
        if self.desktop {
            initramfs.tree(&kit.desktop()?)?;
            initramfs.file("etc/xorg.conf", 0o644, XORG_CONF);
            initramfs.file("etc/xorg.sh", 0o644, XORG_START);
        }
        let mut brought = Components { files: Vec::new(), compiled: programs.compiled.clone() };
        if let Some(agent_toml) = &self.agent {
            initramfs.program("bin/bellhop", &programs.bellhop()?, &programs.stripped)?;
            for name in components(agent_toml) {
                let plugin = programs.plugin(name)?;
                let plugin = fs::read(&plugin).with_context(|| format!("Reading {}", plugin.display()))?;
                let path = format!("/etc/{name}.wasm");
                initramfs.file(&path, 0o644, &plugin);
                if let Some(code) = programs.compiled.of(&plugin).filter(|_| !self.cold) {
                    initramfs.file(&code.file, 0o600, &code.content);
                }
                brought.files.push((path, plugin));
            }
            initramfs.file("etc/agent.toml", 0o644, agent_toml.as_bytes());
        }
        for (path, program) in &self.programs {
            initramfs.program(path, program, &programs.stripped)?;
        }
        for (path, content) in files {
            initramfs.file(&path, 0o755, &content);
        }
        let initrd = folder.path().join("initramfs");
        initramfs.write(&initrd)?;

        let device = match &self.device {
            Some(options) => Some(Device::start(&programs.vmmdev()?, options, folder.path(), &logs)?),
            None => None,
        };
        let listener = Listener::bind(&folder.path().join("console"))?;
        let mut qemu = kit.qemu();
        qemu.args(["-M", "pc,memory-backend=memory", "-m", MEMORY])
            // The device maps the guest's memory, so it must be a file that can be handed over.
            .args(["-object", &format!("memory-backend-memfd,id=memory,size={MEMORY},share=on")])
            // A processor that is emulated is there on every machine. /dev/kvm is not, or hangs.
            .args(["-accel", "tcg,thread=multi", "-cpu", "max"])
            .args(["-nodefaults", "-no-user-config", "-nographic", "-no-reboot"])
            .arg("-serial")
            .arg(format!("file:{}", logs.join("serial.log").display()))
            .arg("-serial")
            .arg(format!("unix:{}", folder.path().join("console").display()))
            .arg("-kernel")
            .arg(kit.image(kernel))
            .arg("-initrd")
            .arg(&initrd)
            .args(["-append", KERNEL]);
        if let Some(device) = &device {
            let path = device.socket().display().to_string();
            let socket = serde_json::json!({ "type": "unix", "path": path });
            // QEMU takes this device as JSON only.
            let attach = serde_json::json!({ "driver": "vfio-user-pci", "socket": socket });
            qemu.arg("-device").arg(attach.to_string());
        }
        let mut qemu = Running::start(&mut qemu, &logs.join("qemu.log"))?;

        let mut alive = || match qemu.ended()? {
            Some(status) => bail!("QEMU has ended: {status}; {}", last_words(&logs.join("qemu.log"))),
            None => Ok(()),
        };
        let mut console = eventually("QEMU opens the serial line", || {
            alive()?;
            listener.accept()
        })?;
        let rc = eventually("the guest boots", || {
            alive()?;
            console.poll("ready ")
        })?;
        let machine = Machine::new(qemu, device, console, started.elapsed(), brought, folder);
        if rc != "0" {
            bail!("the guest's /etc/rc ended with status {rc}");
        }
        Ok(machine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_those_that_a_configuration_names() {
        assert_eq!(Vec::from_iter(components(AGENT_TOML)), ["display"]);
        let two = reference_toml(&["seamless", "clipboard"]);
        assert_eq!(Vec::from_iter(components(&two)), ["seamless", "clipboard"]);
    }

    #[test]
    fn the_reference_is_whole_but_for_plugins_that_are_not_wanted() {
        let text = reference_toml(&["clipboard"]);
        for kept in ["cpu-per-event = \"2 s\"", "wall-per-event = \"20 s\"", "[plugins.clipboard.limits]"] {
            assert!(text.contains(kept), "{kept} is not in {text}");
        }
        assert!(!text.contains("[plugins.display") && !text.contains("target/"), "{text}");
    }
}
