//! What the agent takes, of time and of memory.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use vm::{AGENT_TOML, Context, Happened, Machine, Moment};

use super::{drag, kill, shows, start};
use crate::bare::{self, BARE, READ};

const STEPS: u32 = 1000;

/// Prints how long the agent takes from the interrupt to the display request, beside what the least
/// program takes in the same machine, and what it needs while there is nothing to be done. That no wish
/// goes unread and that nothing wakes an idle agent must hold; how fast it all is depends on the machine
/// that emulates this one.
pub fn figures(context: &Context) -> anyhow::Result<()> {
    let mut machine = bare::machine(context, BARE)?.agent(AGENT_TOML).launch()?;

    bare::start(&mut machine, BARE)?;
    let before = machine.host()?.history()?.len();
    drag(&machine, STEPS)?;
    let bare = latencies(&mut machine, before)?;
    kill(&mut machine, BARE)?;

    start(&mut machine, "agent")?;
    machine.host()?.order("hint 0 640 480")?;
    shows(&mut machine, "agent", "HEADLESS0 640x480+0+0")?;
    let idle = idle(&mut machine)?;
    let before = machine.host()?.history()?.len();
    drag(&machine, STEPS)?;
    shows(&mut machine, "agent", "HEADLESS0 1800x600+0+0")?;
    let agent = latencies(&mut machine, before)?;

    print(&format!("bare, {STEPS} events"), &bare);
    print(&format!("agent, {STEPS} events"), &agent);
    println!("agent to bare, medians: {:.2}", median(&agent).as_secs_f64() / median(&bare).as_secs_f64());
    println!("agent, idle for 10 s: {idle}");
    Ok(())
}

/// From each time that the guest was rung to the display request that read the wish.
fn latencies(machine: &mut Machine, before: usize) -> anyhow::Result<Vec<Duration>> {
    // The last wish may still be on its way.
    machine.run("sleep 1")?;
    let history = machine.host()?.history()?.split_off(before);
    let mut latencies = Vec::new();
    for (place, rung) in history.iter().enumerate().filter(|(_, moment)| moment.what == Happened::Rang) {
        let read = history[place..].iter().find(|moment| moment.what == Happened::Answered(READ));
        let Moment { at, .. } = read.context("a wish was not read")?;
        latencies.push(at.saturating_sub(rung.at));
    }
    ensure!(!latencies.is_empty() && latencies.len() <= STEPS as usize, "{} times rung", latencies.len());
    latencies.sort();
    Ok(latencies)
}

fn median(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() / 2]
}

fn print(who: &str, sorted: &[Duration]) {
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
    let (median, worst) = (milliseconds(median(sorted)), milliseconds(sorted[sorted.len() - 1]));
    println!("{who}: {} times rung, median {median:.3} ms, worst {worst:.3} ms", sorted.len());
}

/// What an agent needs that has nothing to do, for people.
fn idle(machine: &mut Machine) -> anyhow::Result<String> {
    // Whatever follows the last wish is over then.
    machine.run("sleep 2")?;
    let before = switches(machine)?;
    machine.run("sleep 10")?;
    let switches = switches(machine)? - before;
    let memory = machine.run(
        "cd /proc/$(cat /run/agent.pid) && grep -h -e ^VmRSS -e ^Threads status && grep ^Pss: smaps_rollup",
    )?;
    let memory: Vec<String> =
        memory.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    ensure!(switches == 0, "an idle agent was awake {switches} times in 10 s");
    Ok(format!("awake {switches} times, {}", memory.join(", ")))
}

/// How often the agent's threads have gone to sleep.
fn switches(machine: &mut Machine) -> anyhow::Result<u64> {
    let counts = machine
        .run("sed -n 's/^voluntary_ctxt_switches:\\s*//p' /proc/$(cat /run/agent.pid)/task/*/status")?;
    let counts = counts.lines().map(|count| count.trim().parse::<u64>());
    counts.sum::<Result<_, _>>().context("The counts of context switches")
}
