//! The agent on the kernel's driver.

mod hints;
mod trouble;

use vm::{Context, Machine, eventually};

pub use hints::{after_the_start, before_the_start, burst, several_displays};
pub use trouble::{host_resets, killed, no_driver, refused_once, restored, two_agents, unprivileged};

/// How the agent is configured, but for its cache.
const AGENT_TOML: &str = r#"
driver = "vboxguest"
[outputs]
backend = "headless"
[plugins.display]
component = "/etc/display.wasm"
[plugins.display.grants]
events = ["display-change", "restored"]
capabilities = ["graphics"]
requests = ["display", "guest"]
desktop = ["outputs"]
"#;

/// A machine with the agent in it, not started.
fn launch(context: &Context) -> anyhow::Result<Machine> {
    context.machine().agent(AGENT_TOML).launch()
}

/// Starts an agent, and waits until its plugins run. Its log is `/run/NAME.log`, its process's number
/// in `/run/NAME.pid`.
fn start(machine: &mut Machine, name: &str) -> anyhow::Result<()> {
    machine.run(&format!(
        "setsid bellhop run --config /etc/agent.toml >/run/{name}.log 2>&1 & echo $! >/run/{name}.pid"
    ))?;
    ready(machine, name)
}

/// Waits until an agent's plugins run.
fn ready(machine: &mut Machine, name: &str) -> anyhow::Result<()> {
    let outcome = eventually("the agent is ready", || {
        Ok((machine.try_run(&format!("grep 'Ready running=1 wanted=1' /run/{name}.log"))?.status == 0)
            .then_some(()))
    });
    said(machine, name, outcome)
}

/// Kills an agent without a word.
fn kill(machine: &mut Machine, name: &str) -> anyhow::Result<()> {
    machine.run(&format!("kill -KILL $(cat /run/{name}.pid)")).map(drop)
}

/// Waits until the last layout that an agent has made is this one.
fn shows(machine: &mut Machine, name: &str, layout: &str) -> anyhow::Result<()> {
    let script = format!("sed -n 's/.* INFO \\(HEADLESS.*\\); desktop .*/\\1/p' /run/{name}.log | tail -n 1");
    let mut last = String::new();
    let outcome = eventually(&format!("the layout {layout}"), || {
        last = machine.run(&script)?;
        Ok((last.trim() == layout).then_some(()))
    });
    said(machine, name, outcome)
}

/// Adds what an agent said to an error.
fn said(machine: &mut Machine, name: &str, outcome: anyhow::Result<()>) -> anyhow::Result<()> {
    outcome.map_err(|error| {
        let log = machine.run(&format!("tail -n 20 /run/{name}.log")).unwrap_or_default();
        error.context(format!("the agent said:\n{log}"))
    })
}
