//! `cargo xtask bench`: what a ring costs, what the plugins' work costs, and what the daemon costs while nothing
//! rings.

mod criterion;
mod daemon;
mod desktop;
mod plugins;
mod proc;
mod table;

use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{fs, thread};

use anyhow::Context as _;
use clap::Args;

use self::daemon::{Folder, median};
use self::table::{Row, Table};
use crate::cargo::{Profile, Workspace};
use crate::plugins::Choice;
use crate::{build, interrupt, packages, process, say};

/// Measure the cost of a ring, of what the plugins carry, and of the daemon while nothing rings
///
/// The daemon runs with the simulated driver, so that the figures need no virtual machine: the device
/// model is in them. What the plugins carry is measured on real X servers. Our own crates are compiled as
/// for use, what they depend on as for the tests: at optimisation level 2.
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
    build::all(&workspace, Profile::Bench, options.plugin_toolchain)?;
    packages::ensure(packages::X_SERVER);
    let figures = workspace.target.join("figures");
    fs::create_dir_all(&figures).with_context(|| format!("Making {}", figures.display()))?;
    let mut tables = Vec::new();

    println!("\nThe ring: cargo bench --workspace --bench ring");
    let mut command = bench(&workspace, &["ring"], options.quick);
    process::run(command.env("CRITERION_HOME", &figures))?;
    tables.extend(criterion::tables(&figures)?);

    println!("\nThe plugins: cargo bench --workspace --bench seamless --bench clipboard --bench neighbours");
    plugins::forget(&figures)?;
    let mut command = bench(&workspace, &["seamless", "clipboard", "neighbours"], options.quick);
    process::run(command.env("BELLHOP_FIGURES", &figures))?;
    tables.extend(plugins::tables(&figures)?);

    println!("\nThe daemon: starting it several times, then leaving it idle");
    tables.push(measure("daemon, display alone", "native", &workspace, options.quick)?);
    tables.push(measure("daemon, display alone on Pulley", "pulley", &workspace, options.quick)?);
    match desktop::Desktop::start(&workspace) {
        Ok(desktop) => tables.push(idle("daemon, all plugins on X11", desktop.daemon(), "", options.quick)?),
        Err(error) => println!("SKIPPED the daemon on a desktop: {error:#}"),
    }

    println!("\nOur own crates at optimisation level 3, what they depend on at level 2.");
    for table in tables {
        print!("\n{table}");
    }
    Ok(ExitCode::SUCCESS)
}

/// A command that runs benchmarks.
fn bench(workspace: &Workspace, names: &[&str], quick: bool) -> Command {
    let mut command = workspace.cargo_with(Profile::Bench);
    command.args(["bench", "--workspace", "--profile", Profile::Bench.name()]);
    for name in names {
        command.args(["--bench", name]);
    }
    if quick {
        command.args(["--", "--quick"]);
    }
    command
}

/// Starts the daemon with an empty and with a filled cache, and watches it do nothing.
fn measure(heading: &str, engine: &str, workspace: &Workspace, quick: bool) -> anyhow::Result<Table> {
    let starts = if quick { 3 } else { 5 };
    let program = workspace.bellhop(Profile::Bench);
    let folder = Folder::make(workspace, engine)?;

    let mut cold = Vec::new();
    for _ in 0..starts {
        folder.empty_cache()?;
        cold.push(folder.start(&program)?.ready_after);
    }
    let mut warm = Vec::new();
    for _ in 0..starts {
        warm.push(folder.start(&program)?.ready_after);
    }

    let time = |times| median(times).map_or_else(|| "none".to_owned(), say::duration);
    let daemon = folder.start(&program)?;
    let mut table = idle(heading, daemon.id(), "< 12 MB", quick)?;
    table.prepend([
        Row::new("ready, cold cache", time(cold), ""),
        Row::new("ready, warm cache", time(warm), "< 50 ms"),
    ]);
    Ok(table)
}

/// Watches a daemon do nothing.
fn idle(heading: &str, daemon: u32, resident: &'static str, quick: bool) -> anyhow::Result<Table> {
    let seconds = if quick { 3 } else { 10 };
    // What is done once after the start, such as freeing what it took, is not idling.
    thread::sleep(Duration::from_secs(1));
    let before = proc::switches(daemon)?;
    thread::sleep(Duration::from_secs(seconds));
    interrupt::check()?;
    let after = proc::switches(daemon)?;
    let memory = proc::memory(daemon).context("Reading the daemon's memory")?;
    let threads = proc::threads(daemon)?;
    let switches = after.saturating_sub(before).to_string();
    Ok(Table::new(
        heading,
        vec![
            Row::new("resident (VmRSS)", say::size(memory.resident), resident),
            Row::new("proportional (Pss)", say::size(memory.proportional), ""),
            Row::new("of it, no file's", say::size(memory.anonymous), ""),
            Row::new("threads", threads.to_string(), ""),
            Row::new(&format!("switches in {seconds} s idle"), switches, "0"),
        ],
    ))
}
