//! What the agent takes, of time and of memory.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use vm::{AGENT_TOML, Context, Happened, Machine, Moment, eventually};

use super::{drag, kill, shows, start};
use crate::bare::{BARE, READ};
use crate::{programs, turns};

/// So many events in all, and in how many rounds: the agent's turn follows the least program's, so that
/// what this machine does besides weighs on both.
const EVENTS: u32 = 1000;
const ROUNDS: u32 = 4;

/// How much longer than the least program the agent may take, at the median.
const MOST_TIMES_BARE: f64 = 1.3;

/// What an idle agent may have in memory, in kB.
const MOST_RESIDENT: u64 = 9300;

/// Prints how long the agent takes from the interrupt to the display request, beside what the least
/// program takes in the same machine, and what it needs while there is nothing to be done. That no wish
/// goes unread and that nothing wakes an idle agent must hold; how fast it all is depends on the machine
/// that emulates this one.
pub fn figures(context: &Context) -> anyhow::Result<()> {
    let mut machine = programs::machine(context, BARE)?.agent(AGENT_TOML).launch()?;
    let (mut bare, mut agent) = (Vec::new(), Vec::new());
    let turn = turns::alone();
    for round in 0..ROUNDS {
        if round > 0 {
            kill(&mut machine, "agent")?;
        }
        programs::start(&mut machine, BARE)?;
        bare.extend(latencies(&mut machine, EVENTS / ROUNDS)?);
        kill(&mut machine, BARE)?;

        start(&mut machine, "agent")?;
        machine.host()?.order("hint 0 640 480")?;
        shows(&mut machine, "agent", "HEADLESS0 640x480+0+0")?;
        agent.extend(latencies(&mut machine, EVENTS / ROUNDS)?);
        shows(&mut machine, "agent", "HEADLESS0 1800x600+0+0")?;
    }
    drop(turn);
    let switches = switches_while_idle(&mut machine)?;
    let memory = memory(&mut machine)?;
    print!("{}", table(&mut bare, &mut agent, switches, &memory));
    ensure!(switches == 0, "an idle agent was awake {switches} times in 10 s");
    Ok(())
}

/// From each time that the guest was rung to the display request that read the wish.
fn latencies(machine: &mut Machine, events: u32) -> anyhow::Result<Vec<Duration>> {
    let before = machine.host()?.history()?.len();
    drag(machine, events)?;
    let read = Happened::Answered(READ);
    let history = eventually("the last wish is read", || {
        let history = machine.host()?.history()?.split_off(before);
        let mut either = history.iter().filter(|moment| [Happened::Rang, read].contains(&moment.what));
        Ok(either.next_back().is_some_and(|last| last.what == read).then_some(history))
    })?;
    let mut latencies = Vec::new();
    for (place, rung) in history.iter().enumerate().filter(|(_, moment)| moment.what == Happened::Rang) {
        let read = history[place..].iter().find(|moment| moment.what == read);
        let Moment { at, .. } = read.context("a wish was not read")?;
        latencies.push(at.saturating_sub(rung.at));
    }
    ensure!(!latencies.is_empty() && latencies.len() <= events as usize, "{} times rung", latencies.len());
    Ok(latencies)
}

/// How often an agent's threads went to sleep, and so had been awake, in ten seconds of nothing.
fn switches_while_idle(machine: &mut Machine) -> anyhow::Result<u64> {
    // Whatever follows the last wish is over then.
    machine.run("sleep 2")?;
    let before = switches(machine)?;
    machine.run("sleep 10")?;
    Ok(switches(machine)? - before)
}

/// How often the agent's threads have gone to sleep.
fn switches(machine: &mut Machine) -> anyhow::Result<u64> {
    let counts = machine
        .run("sed -n 's/^voluntary_ctxt_switches:\\s*//p' /proc/$(cat /run/agent.pid)/task/*/status")?;
    let counts = counts.lines().map(|count| count.trim().parse::<u64>());
    counts.sum::<Result<_, _>>().context("The counts of context switches")
}

/// What the agent has in memory, in kB: what is resident, and of that its own share.
fn memory(machine: &mut Machine) -> anyhow::Result<[u64; 2]> {
    let text = machine.run(
        "sed -n 's/^\\(Rss\\|Pss\\): *\\([0-9]*\\) kB/\\2/p' /proc/$(cat /run/agent.pid)/smaps_rollup",
    )?;
    let sizes: Result<Vec<u64>, _> = text.lines().map(str::parse).collect();
    sizes.ok().and_then(|sizes| sizes.try_into().ok()).with_context(|| format!("No sizes in {text:?}"))
}

/// The figures for people, each beside its goal where it has one.
fn table(bare: &mut [Duration], agent: &mut [Duration], switches: u64, memory: &[u64; 2]) -> String {
    let times = median(agent).as_secs_f64() / median(bare).as_secs_f64();
    let milliseconds = |time: Duration| format!("{:.3} ms", time.as_secs_f64() * 1e3);
    let reached = |reached| if reached { "reached" } else { "missed" };
    let [resident, own] = memory;
    let rows = [
        [&format!("{EVENTS} events, one every 5 ms"), "bare", "agent", "goal", ""],
        ["  times rung", &bare.len().to_string(), &agent.len().to_string(), "", ""],
        ["  interrupt to request, median", &milliseconds(median(bare)), &milliseconds(median(agent)), "", ""],
        [
            "  agent to bare",
            "",
            &format!("{times:.2}"),
            &format!("{MOST_TIMES_BARE}"),
            reached(times <= MOST_TIMES_BARE),
        ],
        ["  interrupt to request, worst", &milliseconds(worst(bare)), &milliseconds(worst(agent)), "", ""],
        ["  wishes lost", "0", "0", "0", reached(true)],
        ["Idle for 10 s", "", "", "", ""],
        ["  awake", "", &switches.to_string(), "0", reached(switches == 0)],
        [
            "  resident",
            "",
            &format!("{resident} kB"),
            &format!("{MOST_RESIDENT} kB"),
            reached(*resident <= MOST_RESIDENT),
        ],
        ["  of that its own", "", &format!("{own} kB"), "", ""],
    ];
    let mut text = String::new();
    for [what, bare, agent, goal, verdict] in rows {
        let line = format!("{what:<34}{bare:>12}{agent:>12}{goal:>12}  {verdict}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn worst(times: &[Duration]) -> Duration {
    times.iter().copied().max().unwrap_or_default()
}
