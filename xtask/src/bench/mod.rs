//! `cargo xtask bench`: what a ring costs, and what the daemon costs while nothing rings.

mod criterion;
mod daemon;
mod proc;
mod table;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use self::daemon::{Folder, median};
use self::table::{Row, Table};
use crate::cargo::{Profile, Workspace};
use crate::plugins::Choice;
use crate::{build, interrupt, process, say};

/// Measure the cost of a ring, and of the daemon while nothing rings
///
/// The daemon runs with the simulated driver and the headless desktop, so that the figures need no
/// virtual machine: the device model is in them.
#[derive(Args)]
pub struct Options {
    /// Fewer samples and a shorter idle time: figures to orient by, not to quote
    #[arg(long)]
    quick: bool,

    /// Where to take the standard library for WebAssembly from
    #[arg(long, value_enum, default_value_t, value_name = "WAY")]
    plugin_toolchain: Choice,
}

/// Runs the command.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    build::all(&workspace, Profile::Release, options.plugin_toolchain)?;
    let figures = workspace.target.join("criterion");

    println!("\nThe ring: cargo bench --workspace --bench ring");
    let mut command = workspace.cargo();
    command.args(["bench", "--workspace", "--bench", "ring"]);
    if options.quick {
        command.args(["--", "--quick"]);
    }
    process::run(command.env("CRITERION_HOME", &figures))?;
    let [ring, handler] = criterion::tables(&figures)?;

    println!("\nThe daemon: starting it several times, then leaving it idle");
    let daemon = measure(&workspace, options.quick)?;

    println!("\n{ring}\n{handler}\n{daemon}");
    Ok(ExitCode::SUCCESS)
}

/// Starts the daemon with an empty and with a filled cache, and watches it do nothing.
fn measure(workspace: &Workspace, quick: bool) -> anyhow::Result<Table> {
    let (starts, idle) = if quick { (3, 3) } else { (5, 10) };
    let program = workspace.bellhop(Profile::Release);
    let folder = Folder::make(workspace)?;

    let mut cold = Vec::new();
    for _ in 0..starts {
        folder.empty_cache()?;
        cold.push(folder.start(&program)?.ready_after);
    }
    let mut warm = Vec::new();
    for _ in 0..starts {
        warm.push(folder.start(&program)?.ready_after);
    }

    let daemon = folder.start(&program)?;
    // What is done once after the start, such as freeing what it took, is not idling.
    thread::sleep(Duration::from_secs(1));
    let before = proc::switches(daemon.id())?;
    thread::sleep(Duration::from_secs(idle));
    interrupt::check()?;
    let after = proc::switches(daemon.id())?;
    let memory = proc::memory(daemon.id()).context("Reading the daemon's memory")?;
    let threads = proc::threads(daemon.id())?;

    let time = |times| median(times).map_or_else(|| "none".to_owned(), say::duration);
    Ok(Table::new(
        "daemon",
        vec![
            Row::new("ready, cold cache", time(cold), ""),
            Row::new("ready, warm cache", time(warm), "< 50 ms"),
            Row::new("resident (VmRSS)", say::size(memory.resident), "< 12 MB"),
            Row::new("proportional (Pss)", say::size(memory.proportional), ""),
            Row::new("threads", threads.to_string(), ""),
            Row::new(&format!("switches in {idle} s idle"), after.saturating_sub(before).to_string(), "0"),
        ],
    ))
}
