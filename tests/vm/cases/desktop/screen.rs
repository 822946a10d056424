//! The display plugin.

use anyhow::ensure;
use vm::{AGENT_TOML, Context, Machine};

use super::{machine, start};
use crate::agent::until;

/// Where the outputs that are on are, one in a line.
const OUTPUTS: &str = "DISPLAY=:0 /usr/bin/xrandr --current \
    | sed -n 's/^\\(DUMMY[0-9]*\\) .* \\([0-9]*x[0-9]*+[0-9]*+[0-9]*\\) .*/\\1 \\2/p'";

/// A wish changes the X server's screen, and where the display ended up is reported.
pub fn wish(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;
    let position = machine.host()?.position()?;

    machine.host()?.order("hint 0 1366 777")?;

    shows(&mut machine, "DUMMY0 1366x777+0+0")?;
    screen(&mut machine, "1366 x 777")?;
    machine.host()?.order(&format!("wait request 222 --since {position}"))?;
    let guest = machine.host()?.guest()?;
    ensure!(guest["monitor_positions"][0] == serde_json::json!([0, 0]), "{guest}");
    Ok(())
}

/// Displays come and go.
pub fn several_displays(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;

    machine.host()?.orders(["hint 0 1366 777 0 0", "hint 1 1024 768 1366 0"])?;
    shows(&mut machine, "DUMMY0 1366x777+0+0\nDUMMY1 1024x768+1366+0")?;
    screen(&mut machine, "2390 x 777")?;
    machine.host()?.order("off 1")?;

    shows(&mut machine, "DUMMY0 1366x777+0+0")?;
    screen(&mut machine, "1366 x 777")
}

/// An X server that has ended, and another in its place, do not end the agent: the next wish is followed.
pub fn another_x_server(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;
    machine.host()?.order("hint 0 1366 777")?;
    shows(&mut machine, "DUMMY0 1366x777+0+0")?;

    machine.run("kill $(pidof Xorg); while pidof Xorg; do sleep 0.1; done")?;
    machine.run("kill -0 $(cat /run/agent.pid)")?;
    machine.run("sh /etc/xorg.sh")?;
    machine.host()?.order("hint 0 1280 801")?;

    shows(&mut machine, "DUMMY0 1280x801+0+0")
}

/// A machine with an X server and the agent, which both run.
fn launch(context: &Context) -> anyhow::Result<Machine> {
    start(machine(context, &AGENT_TOML.replace("\"headless\"", "\"x11\"")))
}

/// Waits until these outputs are on, and no others.
fn shows(machine: &mut Machine, outputs: &str) -> anyhow::Result<()> {
    until(machine, "agent", &format!("[ \"$({OUTPUTS})\" = '{outputs}' ]"))
}

/// Waits until the X server's screen is this large.
fn screen(machine: &mut Machine, size: &str) -> anyhow::Result<()> {
    let current = format!("DISPLAY=:0 /usr/bin/xrandr --current | grep -q ', current {size},'");
    until(machine, "agent", &current)
}
