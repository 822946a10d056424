//! `bellhop run`: the daemon.

use std::path::Path;

use anyhow::{Context, Result, bail};
use bellhop_agent::agent::Agent;
use bellhop_agent::config::{Config, DriverChoice};
use bellhop_agent::logging;
use bellhop_desktop::Chosen;
use clap::Args;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use super::{ConfigOption, LogOptions, Verdict, competitors, compiler, drivers, load};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: ConfigOption,
    #[command(flatten)]
    log: LogOptions,
}

pub(super) fn run(options: &Options) -> Result<Verdict> {
    let signals = block_signals()?;
    let path = &options.config.config;
    let config = load(path)?;
    logging::start(
        options.log.log_level.unwrap_or(config.log.level),
        options.log.log_format.unwrap_or(config.log.format),
        None,
    )?;
    let driver = drivers::open(&config)?;
    let desktop = desktop(&config);
    tracing::info!(config = %path.display(), driver = driver.describe(), "Starting");
    // Nobody else is at a device that is this process's own.
    if config.driver != DriverChoice::Simulated {
        competitors::warn();
    }
    let agent = Agent::start(&config, driver, desktop.desktop, compiler()?)?;
    let taken = agent.awaited_by_all();
    if !taken.is_empty() {
        agent.stop();
        return Err(competitors::taken(taken).into());
    }
    // A plugin may have demanded the end before: then this signal waits.
    agent.ending().on_demand(|| {
        if let Err(error) = kill(Pid::this(), Signal::SIGTERM) {
            tracing::error!(%error, "Cannot end, as a plugin's `on-failure` says");
        }
    });
    ready(&agent, path);

    let signal = signals.wait().context("Cannot wait for signals")?;
    // From here on a second signal ends the process at once.
    signals.thread_unblock().context("Cannot unblock signals")?;
    tracing::info!(%signal, "Stopping");
    let demanded = agent.ending().reason();
    agent.stop();
    tracing::info!("Stopped");
    match demanded {
        None => Ok(Verdict::Well),
        Some(reason) => bail!("Ended, as `on-failure` says. {reason}"),
    }
}

/// Holds back the signals that end the agent, in this thread and those it starts, so that they can be
/// waited for.
fn block_signals() -> Result<SigSet> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    signals.thread_block().context("Cannot block signals")?;
    Ok(signals)
}

/// The desktop that the configuration asks for.
pub(super) fn desktop(config: &Config) -> Chosen {
    let display = std::env::var("DISPLAY").ok();
    let desktop = bellhop_desktop::choose(config.outputs.backend, display.as_deref());
    tracing::info!(desktop = desktop.desktop.outputs.describe(), reason = desktop.reason, "Desktop chosen");
    desktop
}

fn ready(agent: &Agent, path: &Path) {
    let (running, wanted) = agent.running();
    if wanted == 0 {
        tracing::warn!("No plugin is enabled in {}: nothing will happen", path.display());
    }
    tracing::info!(running, wanted, "Ready");
}
