//! `bellhop demo`: a host and a guest in one process, and each step of each ring.

mod clipboard;
mod picture;
mod programs;
mod prompt;
mod recorder;
mod region;
mod scene;
mod stage;
mod windows;

use std::path::PathBuf;

use anyhow::{Context, Result};
use bellhop_agent::agent::Agent;
use bellhop_agent::config::LogLevel;
use bellhop_agent::logging;
use clap::Args;

use super::{ConfigOption, LogOptions, Verdict, compiler, drivers, load, run};
use recorder::Recorder;
use stage::Stage;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: ConfigOption,
    #[command(flatten)]
    log: LogOptions,
    /// Write pictures to this folder: the X screen before the first ring and after each one, what the
    /// host shows of it, and what was pasted
    #[arg(long, value_name = "DIR")]
    screenshots: Option<PathBuf>,
    /// Take the host's place, at a prompt, instead of watching the scene
    #[arg(long)]
    interactive: bool,
}

pub(super) fn demo(options: &Options) -> Result<Verdict> {
    let config = load(&options.config.config)?;
    let (recorder, layer) = Recorder::new();
    // What plugins and agent say is part of the show only when asked for, or when it is bad.
    logging::start(
        options.log.log_level.unwrap_or(LogLevel::Warn),
        options.log.log_format.unwrap_or(config.log.format),
        Some(layer),
    )?;
    if let Some(folder) = &options.screenshots {
        std::fs::create_dir_all(folder).with_context(|| format!("Cannot make {}", folder.display()))?;
    }
    let (host, driver) = drivers::simulated()?;
    let desktop = run::desktop(&config);
    say!("Guest    {}", driver.describe());
    say!("Desktop  {} ({})", desktop.desktop.outputs.describe(), desktop.reason);
    let agent = Agent::start(&config, driver, desktop.desktop.clone(), compiler())?;
    let (running, wanted) = agent.running();
    say!("Plugins  {running} of {wanted} run");

    let stage = Stage::new(host, desktop, recorder, options.screenshots.clone());
    let outcome = if options.interactive { prompt::talk(&stage) } else { scene::play(&stage) };
    agent.stop();
    say!("\nAgent stopped; the host is left with {}", stage.host_view());
    outcome.map(|()| Verdict::Well)
}
