//! `bellhop run`: the daemon.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bellhop_agent::agent::Agent;
use bellhop_agent::config::{Config, ControlSocket, DriverChoice};
use bellhop_agent::control::status::Facts;
use bellhop_agent::control::{self, Control};
use bellhop_agent::{footprint, logging};
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
    let facts = Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        process: std::process::id(),
        driver: driver.describe(),
        desktop: desktop.desktop.outputs.describe(),
        config: path.display().to_string(),
    };
    let agent = Arc::new(Agent::start(&config, driver, desktop.desktop, compiler()?)?);
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
    // A plugin may have demanded the end before: then this signal waits.
    agent.ending().on_demand(|| {
        if let Err(error) = kill(Pid::this(), Signal::SIGTERM) {
            tracing::error!(%error, "Cannot end, as a plugin's `on-failure` says");
        }
    });
    ready(&agent, path);
    footprint::forget_the_start();

    let signal = loop {
        match signals.wait().context("Cannot wait for signals")? {
            // It may take a while, in which the end can be ordered.
            Signal::SIGHUP => reload(&agent),
            signal => break signal,
        }
    };
    // From here on a second signal ends the process at once.
    signals.thread_unblock().context("Cannot unblock signals")?;
    tracing::info!(%signal, "Stopping");
    let demanded = agent.ending().reason();
    drop(control);
    agent.stop();
    tracing::info!("Stopped");
    match demanded {
        None => Ok(Verdict::Well),
        Some(reason) => bail!("Ended, as `on-failure` says. {reason}"),
    }
}

/// Has the configuration read again, and what came of it logged.
fn reload(agent: &Arc<Agent>) {
    let agent = agent.clone();
    let reloading = std::thread::Builder::new().name("reload".into()).spawn(move || drop(agent.reload()));
    if let Err(error) = reloading {
        tracing::error!(%error, "Not reloaded: there is no thread for it");
    }
}

/// Holds back the signals that end the agent or have it read its configuration, in this thread and those it
/// starts, so that they can be waited for.
fn block_signals() -> Result<SigSet> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
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
fn control(config: &Config, facts: Facts, agent: &Arc<Agent>) -> Result<Option<Control>> {
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
    let reload = {
        let agent = agent.clone();
        Arc::new(move || agent.reload().map(Into::into).map_err(|error| error.to_string()))
    };
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
