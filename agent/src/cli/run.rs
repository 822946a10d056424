//! `bellhop run`: the daemon.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bellhop_agent::agent::Agent;
use bellhop_agent::config::{Config, ControlSocket, DriverChoice};
use bellhop_agent::confine::{self, Needs};
use bellhop_agent::control::status::Facts;
use bellhop_agent::control::{self, Control};
use bellhop_agent::footprint::Start;
use bellhop_agent::logging;
use bellhop_agent::sandbox::engine::Target;
use bellhop_agent::service::ServiceManager;
use bellhop_desktop::Chosen;
use clap::Args;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

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
    let manager = Arc::new(ServiceManager::from_environment());
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
    let control_path = control_path(&config);
    let start = Start::noted();
    // Before there is a second thread: what is given up is given up by each thread for itself.
    let needs = needs(&config, path, &device, &desktop, control_path.as_deref());
    confine::confine(config.process.confine, &config.process.leave_out, &needs)?;
    let driver = device.driver()?;
    tracing::info!(config = %path.display(), driver = driver.describe(), engine = %config.engine, "Starting");
    let facts = Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        process: std::process::id(),
        driver: driver.describe(),
        desktop: desktop.desktop.outputs.describe(),
        engine: config.engine,
        config: path.display().to_string(),
    };
    let agent = Arc::new(Agent::start(&config, driver, desktop.desktop, compiler())?);
    let taken = agent.awaited_by_all();
    if !taken.is_empty() {
        agent.stop();
        return Err(competitors::taken(taken).into());
    }
    let control = match control(&config, control_path, facts, &agent) {
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
    ready(&agent, path, &manager);
    start.forget();

    let signal = loop {
        match manager.wait(&signals, || agent.is_well()).context("Cannot wait for signals")? {
            // It may take a while, in which the end can be ordered.
            Signal::SIGHUP => reload(&agent, &manager),
            signal => break signal,
        }
    };
    // From here on a second signal ends the process at once.
    signals.thread_unblock().context("Cannot unblock signals")?;
    tracing::info!(%signal, "Stopping");
    manager.stopping();
    let demanded = agent.ending().reason();
    drop(control);
    if kept {
        agent.leave_capabilities();
    }
    agent.stop();
    tracing::info!("Stopped");
    match demanded {
        None => Ok(Verdict::Well),
        Some(reason) => bail!("Ended, as `on-failure` says. {reason}"),
    }
}

/// Has the configuration read again, and what came of it logged.
fn reload(agent: &Arc<Agent>, manager: &Arc<ServiceManager>) {
    manager.reloading();
    let (agent, told) = (agent.clone(), manager.clone());
    let reloading = std::thread::Builder::new().name("reload".into()).spawn(move || {
        let _ = agent.reload();
        told.ready(&status(&agent));
    });
    if let Err(error) = reloading {
        manager.ready("not reloaded");
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

/// Where the control socket is to be, if anywhere.
fn control_path(config: &Config) -> Option<PathBuf> {
    match &config.control {
        ControlSocket::None => None,
        ControlSocket::At(path) => Some(path.clone()),
        ControlSocket::Usual => {
            let path = control::default_path();
            if path.is_none() {
                tracing::info!("No control socket: XDG_RUNTIME_DIR is not set, and neither is `control`");
            }
            path
        }
    }
}

/// Serves the control socket that the configuration asks for. One that is only usual is done without, if it
/// cannot be had.
fn control(
    config: &Config,
    path: Option<PathBuf>,
    facts: Facts,
    agent: &Arc<Agent>,
) -> Result<Option<Control>> {
    let Some(path) = path else { return Ok(None) };
    let reload = {
        let agent = agent.clone();
        Arc::new(move || agent.reload().map(Into::into).map_err(|error| error.to_string()))
    };
    match Control::start(&path, facts, agent.board().clone(), reload) {
        Ok(control) => Ok(Some(control)),
        Err(error) if config.control == ControlSocket::Usual => {
            tracing::error!("Going on without a control socket: {error:#}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What the daemon opens again while it runs: for another incarnation of a plugin, another session of the
/// device, another connection to the desktop.
fn needs(config: &Config, path: &Path, device: &Device, desktop: &Chosen, control: Option<&Path>) -> Needs {
    // They are made when they are used, which is too late for a folder that is to be named here.
    let folders = [Some(config.cache.as_path()), control.and_then(Path::parent)];
    let folders = folders.into_iter().flatten().filter(|folder| !folder.as_os_str().is_empty());
    for folder in folders.clone() {
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    }
    let mut needs = Needs {
        read: config.process.read.clone(),
        write: folders.map(Path::to_owned).collect(),
        devices: device.nodes(config),
        sockets: desktop.needs.sockets.clone(),
        ports: desktop.needs.ports.clone(),
        executable_memory: config.engine == Target::Native,
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
    manager.ready(&status(agent));
}

/// How it fares, for people who look at the service.
fn status(agent: &Agent) -> String {
    let (running, wanted) = agent.running();
    format!("{running} of {wanted} plugins run")
}
