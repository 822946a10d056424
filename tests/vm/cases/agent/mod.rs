//! The agent on the kernel's driver.

mod compiling;
mod figures;
mod hints;
mod services;
mod trouble;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use vm::{AGENT_TOML, Context, Machine};

pub use compiling::once;
pub use figures::figures;
pub use hints::{after_the_start, before_the_start, burst, several_displays, stream};
pub use services::properties;
pub use trouble::{
    host_resets, killed, let_go, no_driver, not_executable, rebound, refused_once, reloaded, restored, taken,
    two_agents, unprivileged,
};

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

/// Waits until all of an agent's plugins run. At its first start it compiles those that no other machine has
/// compiled before.
pub fn ready(machine: &mut Machine, name: &str) -> anyhow::Result<()> {
    at_last(machine, name, &format!("grep -q 'Ready running=\\([1-9]\\) wanted=\\1$' /run/{name}.log"))?;
    machine.keep_compiled()
}

/// Kills an agent without a word.
fn kill(machine: &mut Machine, name: &str) -> anyhow::Result<()> {
    machine.run(&format!("kill -KILL $(cat /run/{name}.pid)")).map(drop)
}

/// Waits until the last layout that an agent has made is this one.
fn shows(machine: &mut Machine, name: &str, layout: &str) -> anyhow::Result<()> {
    until(machine, name, &last_is(name, layout))
}

/// The guest's condition that the last layout that an agent has made is this one.
fn last_is(name: &str, layout: &str) -> String {
    let last = format!("sed -n 's/.* INFO \\(HEADLESS.*\\); desktop .*/\\1/p' /run/{name}.log | tail -n 1");
    format!("[ \"$({last})\" = '{layout}' ]")
}

/// Asks for one width after the other at a pace that a person's dragging has, the last of them 1800.
fn drag(machine: &Machine, steps: u32) -> anyhow::Result<()> {
    let orders: Vec<String> = (0..steps).rev().map(|left| format!("hint 0 {} 600", 1800 - left)).collect();
    paced(machine, orders.iter().map(String::as_str))
}

/// Gives orders to the host, one every 5 ms.
pub fn paced<'a>(machine: &Machine, orders: impl IntoIterator<Item = &'a str>) -> anyhow::Result<()> {
    const PACE: Duration = Duration::from_millis(5);
    let began = Instant::now();
    let paced = orders.into_iter().zip(0..).map(|(order, step)| {
        thread::sleep((PACE * step).saturating_sub(began.elapsed()));
        order
    });
    machine.host()?.orders(paced).map(drop)
}

/// Waits, in the guest, until a condition holds; else tells what the agent said.
pub fn until(machine: &mut Machine, name: &str, condition: &str) -> anyhow::Result<()> {
    if comes_to_hold(machine, condition)? {
        return Ok(());
    }
    let log = machine.run(&format!("tail -n 20 /run/{name}.log"))?;
    bail!("`{condition}` does not come to hold; the agent said:\n{log}")
}

/// Waits likewise for what an emulated processor has much to do for.
pub fn at_last(machine: &mut Machine, name: &str, condition: &str) -> anyhow::Result<()> {
    const TIMES: u32 = 4;
    for _ in 1..TIMES {
        if comes_to_hold(machine, condition)? {
            return Ok(());
        }
    }
    until(machine, name, condition)
}

/// Whether a condition comes to hold in the guest, for which it has some time.
fn comes_to_hold(machine: &mut Machine, condition: &str) -> anyhow::Result<bool> {
    let script = format!("i=0; until {condition}; do i=$((i+1)); [ $i -lt 250 ] || exit 1; sleep 0.1; done");
    Ok(machine.try_run(&script)?.status == 0)
}
