//! The agent on a real X server: Debian's Xorg, whose outputs are nobody's but take any mode.

mod clipboard;
mod screen;
mod seamless;
mod whole;

use vm::{Configure, Context, Machine};

use crate::agent::ready;

pub use clipboard::{text, too_much_text};
pub use screen::{another_x_server, several_displays, wish};
pub use seamless::windows;
pub use whole::{killed, unprivileged};

/// Starts the agent, once the X server listens.
const AGENT: &str = "
DISPLAY=:0 setsid bellhop run --config /etc/agent.toml >/run/agent.log 2>&1 &
echo $! >/run/agent.pid
";

/// A machine with an X server, which starts the agent then.
fn machine<'a>(context: &'a Context, agent_toml: &str) -> Configure<'a> {
    context.machine().agent(agent_toml).desktop().at_boot(AGENT)
}

/// Starts it, and waits until the agent's plugins run.
fn start(machine: Configure<'_>) -> anyhow::Result<Machine> {
    let mut machine = machine.launch()?;
    ready(&mut machine, "agent")?;
    Ok(machine)
}

/// A script for the guest that finds the desktop and its programs.
fn on_desktop(script: &str) -> String {
    format!("export DISPLAY=:0 PATH=$PATH:/usr/bin\n{script}")
}
