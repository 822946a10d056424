//! `bellhop run`: the daemon.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use bellhop_agent::agent::Agent;
use bellhop_agent::config::{Config, ControlSocket, DriverChoice};
use bellhop_agent::control::status::Facts;
use bellhop_agent::control::{self, Control};
use bellhop_agent::logging;
use bellhop_desktop::Chosen;
use clap::Args;
use nix::sys::signal::{SigSet, Signal};

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
    let facts = Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        process: std::process::id(),
        driver: driver.describe(),
        desktop: desktop.desktop.outputs.describe(),
        config: path.display().to_string(),
    };
    let agent = Agent::start(&config, driver, desktop.desktop, compiler()?)?;
    let taken = agent.awaited_by_all();
    if !taken.is_empty() {
        agent.stop();
        return Err(competitors::taken(taken).into());
    }
    let control = match control(&config, facts, &agent) {
        Ok(control) => control,
        Err(error) => {
            agent.stop();
            return Err(error);
        }
    };
    ready(&agent, path);

    let signal = signals.wait().context("Cannot wait for signals")?;
    // From here on a second signal ends the process at once.
    signals.thread_unblock().context("Cannot unblock signals")?;
    tracing::info!(%signal, "Stopping");
    drop(control);
    agent.stop();
    tracing::info!("Stopped");
    Ok(Verdict::Well)
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

/// The control socket that the configuration asks for. One that is only usual is done without, if it cannot
/// be had.
fn control(config: &Config, facts: Facts, agent: &Agent) -> Result<Option<Control>> {
    let (path, usual) = match &config.control {
        ControlSocket::None => return Ok(None),
        ControlSocket::At(path) => (path.clone(), false),
        ControlSocket::Usual => match control::default_path() {
            Some(path) => (path, true),
            None => {
                tracing::info!("No control socket: XDG_RUNTIME_DIR is not set, and neither is `control`");
                return Ok(None);
            }
        },
    };
    let reload = Arc::new(|| Err("This agent cannot read its configuration again".to_owned()));
    match Control::start(&path, facts, agent.board().clone(), reload) {
        Ok(control) => Ok(Some(control)),
        Err(error) if usual => {
            tracing::error!("Going on without a control socket: {error:#}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn ready(agent: &Agent, path: &Path) {
    let (running, wanted) = agent.running();
    if wanted == 0 {
        tracing::warn!("No plugin is enabled in {}: nothing will happen", path.display());
    }
    tracing::info!(running, wanted, "Ready");
}
