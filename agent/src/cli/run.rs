//! `bellhop run`: the daemon.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, Result};
use bellhop_agent::agent::Agent;
use bellhop_agent::config::{Config, DriverChoice};
use bellhop_agent::confine::{self, Needs};
use bellhop_agent::logging;
use bellhop_agent::service::ServiceManager;
use bellhop_desktop::Chosen;
use clap::Args;
use nix::sys::signal::{SigSet, Signal};

use super::drivers::Device;
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
    let manager = ServiceManager::from_environment();
    if let Some(user) = &config.process.user {
        confine::user::switch_to(user, &config.cache)?;
    }
    let device = drivers::open(&config)?;
    let kept = device.keep_by(&manager);
    let desktop = desktop(&config);
    // Nobody else is at a device that is this process's own.
    if config.driver != DriverChoice::Simulated {
        competitors::warn();
    }
    // Before there is a second thread: what is given up is given up by each thread for itself.
    let needs = needs(&config, path, &device, &desktop);
    confine::confine(config.process.confine, &config.process.leave_out, &needs)?;
    let driver = device.driver()?;
    tracing::info!(config = %path.display(), driver = driver.describe(), "Starting");
    let agent = Agent::start(&config, driver, desktop.desktop, compiler())?;
    let taken = agent.awaited_by_all();
    if !taken.is_empty() {
        agent.stop();
        return Err(competitors::taken(taken).into());
    }
    ready(&agent, path, &manager);

    let signal = manager.wait(&signals, || agent.is_well()).context("Cannot wait for signals")?;
    // From here on a second signal ends the process at once.
    signals.thread_unblock().context("Cannot unblock signals")?;
    tracing::info!(%signal, "Stopping");
    manager.stopping();
    if kept {
        agent.leave_capabilities();
    }
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

/// What the daemon opens again while it runs: for another incarnation of a plugin, another session of the
/// device, another connection to the desktop.
fn needs(config: &Config, path: &Path, device: &Device, desktop: &Chosen) -> Needs {
    // It is made when something is compiled, which is too late for a folder that is to be named here.
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(&config.cache);
    let mut needs = Needs {
        read: config.process.read.clone(),
        write: vec![config.cache.clone()],
        devices: device.nodes(config),
        sockets: desktop.needs.sockets.clone(),
        ports: desktop.needs.ports.clone(),
    };
    needs.read.extend_from_slice(&desktop.needs.read);
    needs.read_beside(path);
    config.plugins.iter().for_each(|plugin| needs.read_beside(&plugin.component));
    needs
}

fn ready(agent: &Agent, path: &Path, manager: &ServiceManager) {
    let (running, wanted) = agent.running();
    if wanted == 0 {
        tracing::warn!("No plugin is enabled in {}: nothing will happen", path.display());
    }
    tracing::info!(running, wanted, "Ready");
    manager.ready(&format!("{running} of {wanted} plugins run"));
}
