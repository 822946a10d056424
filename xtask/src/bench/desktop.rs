//! The daemon with all plugins on a real desktop, in seamless mode.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdout, Command, Stdio};
use std::thread;

use anyhow::{Context as _, bail, ensure};
use bellhop_xserver::{Program, Running as Client, XServer, openbox};
use serde_json::Value;

use crate::cargo::{Profile, Workspace};
use crate::interrupt;
use crate::process::Running;

/// A desktop with a window manager, a terminal, and the daemon. `bellhop demo` is the daemon with the host's
/// end at a prompt, which is what switches the mode on; it then waits for the next word.
pub struct Desktop {
    daemon: Running,
    // What they run on ends after them.
    _clients: [Client; 2],
    _server: XServer,
}

impl Desktop {
    /// Starts all of it, and waits until the host is shown the terminal.
    pub fn start(workspace: &Workspace) -> anyhow::Result<Self> {
        let server = interrupt::unblocked(|| XServer::virtual_framebuffer(1920, 1080))?;
        let manager = interrupt::unblocked(|| openbox(server.display(), &[]))?;
        let terminal = ["-geometry", "80x24+100+100"];
        let terminal = interrupt::unblocked(|| Program::XTERM.start(server.display(), &terminal))?;
        let find = ["search", "--sync", "--onlyvisible", "--class", "xterm"];
        interrupt::unblocked(|| Program::XDOTOOL.run(server.display(), &find))?;

        let mut command = Command::new(workspace.bellhop(Profile::Bench));
        command.args(["demo", "--interactive", "--config"]).arg(workspace.root.join("agent.toml"));
        command.env("DISPLAY", server.display()).env_remove("WAYLAND_DISPLAY").env_remove("LD_LIBRARY_PATH");
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut daemon = Running::start_with_pipe(&mut command)?;
        show(&mut daemon)?;
        Ok(Self { daemon, _clients: [manager, terminal], _server: server })
    }

    /// The number of the daemon's process.
    pub fn daemon(&self) -> u32 {
        self.daemon.id()
    }
}

/// Switches seamless mode on, and makes sure that the host is shown something.
fn show(daemon: &mut Running) -> anyhow::Result<()> {
    let child = daemon.child();
    let words = child.stdin.as_mut().context("The daemon has no stdin")?;
    words.write_all(b"seamless on\nstate\n").context("Talking to the daemon")?;
    let said = child.stdout.take().context("The daemon has no stdout")?;
    let mut said = BufReader::new(said);
    let state = object(&mut said)?;
    let region = state.pointer("/guest/visible_region").and_then(Value::as_array);
    ensure!(region.is_some_and(|region| !region.is_empty()), "The host is shown no windows");
    // Read on, so that the daemon never waits for us.
    thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    Ok(())
}

/// The next JSON object among what is said, which stands on lines of its own.
fn object(said: &mut BufReader<ChildStdout>) -> anyhow::Result<Value> {
    let mut object = String::new();
    for line in said.lines() {
        let line = line.context("Listening to the daemon")?;
        if line == "{" || !object.is_empty() {
            object.push_str(&line);
        }
        if line == "}" {
            return serde_json::from_str(&object).context("Understanding the daemon");
        }
    }
    interrupt::check()?;
    bail!("The daemon ended before it said what the host is shown")
}
