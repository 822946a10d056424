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

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use bellhop_agent::agent::Agent;
use bellhop_agent::config::{LogFormat, LogLevel};
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

/// What is played, and how.
pub(super) struct Play<'a> {
    pub(super) config: &'a Path,
    pub(super) log_level: Option<LogLevel>,
    pub(super) log_format: Option<LogFormat>,
    pub(super) screenshots: Option<PathBuf>,
    pub(super) interactive: bool,
}

pub(super) fn demo(options: &Options) -> Result<Verdict> {
    let play = Play {
        config: &options.config.config,
        // What plugins and agent say is part of the show only when asked for, or when it is bad.
        log_level: Some(options.log.log_level.unwrap_or(LogLevel::Warn)),
        log_format: options.log.log_format,
        screenshots: options.screenshots.clone(),
        interactive: options.interactive,
    };
    self::play(&play, |_| Ok(()))
}

/// Plays a host and a guest. `started` is called once the agent runs.
pub(super) fn play(play: &Play<'_>, started: impl FnOnce(&Arc<Agent>) -> Result<()>) -> Result<Verdict> {
    let config = load(play.config)?;
    let (recorder, layer) = Recorder::new();
    logging::start(
        play.log_level.unwrap_or(config.log.level),
        play.log_format.unwrap_or(config.log.format),
        Some(layer),
    )?;
    if let Some(folder) = &play.screenshots {
        std::fs::create_dir_all(folder).with_context(|| format!("Cannot make {}", folder.display()))?;
    }
    let (host, driver) = drivers::simulated()?;
    let desktop = run::desktop(&config);
    say!("Guest    {}", driver.describe());
    say!("Desktop  {} ({})", desktop.desktop.outputs.describe(), desktop.reason);
    let agent = Agent::start(&config, driver, desktop.desktop.clone(), compiler())?;
    let agent = Arc::new(agent);
    started(&agent)?;
    let (running, wanted) = agent.running();
    say!("Plugins  {running} of {wanted} run");

    let stage = Stage::new(host, desktop, recorder, play.screenshots.clone());
    let outcome = if play.interactive { prompt::talk(&stage) } else { scene::play(&stage) };
    agent.stop();
    say!("\nAgent stopped; the host is left with {}", stage.host_view());
    outcome.map(|()| Verdict::Well)
}
