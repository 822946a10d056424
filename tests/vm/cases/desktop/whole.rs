//! The agent with both plugins that watch the desktop.

use anyhow::ensure;
use vm::{Context, eventually, reference_toml};

use super::clipboard::{Shared, Text};
use super::{AGENT, machine, seamless, start};
use crate::agent::ready;

const BOTH: [&str; 2] = ["seamless", "clipboard"];

/// An agent that is killed leaves nothing behind that the next one stumbles over.
pub fn killed(context: &Context) -> anyhow::Result<()> {
    let mut shared = Shared::new(start(machine(context, &reference_toml(&BOTH)))?)?;
    shared.crosses(&Text::line("before"))?;
    seamless::open(&mut shared.machine, "window", "200x100+50+60")?;
    shared.machine.host()?.order("seamless on")?;
    seamless::shows(&mut shared.machine, &["window"])?;

    shared.machine.run("kill -KILL $(cat /run/agent.pid)")?;
    eventually("the kernel takes back what the agent had", || {
        let state = shared.machine.host()?.order("state")?;
        let nothing = state["hgcm"].as_array().is_some_and(Vec::is_empty);
        Ok((nothing && state["guest"]["capabilities"] == "none").then_some(()))
    })?;
    let since = shared.machine.host()?.position()?;
    shared.machine.run(AGENT)?;
    ready(&mut shared.machine, "agent")?;

    shared.listens()?;
    shared.crosses(&Text::line("after"))?;
    shared.machine.host()?.order(&format!("wait request {} --since {since}", seamless::REGION))?;
    seamless::shows(&mut shared.machine, &["window"])
}

/// Any user can be the agent's, by the node that is for users.
pub fn unprivileged(context: &Context) -> anyhow::Result<()> {
    let mut machine = context.machine().agent(&reference_toml(&BOTH)).desktop().launch()?;
    machine.run("chmod 666 /dev/vboxuser; chmod 600 /dev/vboxguest; install -o user -d /run/user")?;

    machine.run(
        "setsid su user -c 'id -un >/run/user/name
         DISPLAY=:0 exec bellhop run --config /etc/agent.toml >/run/user/agent.log 2>&1' &",
    )?;
    ready(&mut machine, "user/agent")?;
    machine.run("ln -s user/agent.log /run/agent.log")?;
    let mut shared = Shared::new(machine)?;

    shared.crosses(&Text::line("of a user"))?;
    seamless::open(&mut shared.machine, "window", "200x100+50+60")?;
    shared.machine.host()?.order("seamless on")?;
    seamless::shows(&mut shared.machine, &["window"])?;
    ensure!(shared.machine.run("cat /run/user/name")?.trim() == "user");
    Ok(())
}
