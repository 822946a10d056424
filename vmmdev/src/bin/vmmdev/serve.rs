//! `vmmdev serve`: the device on its socket, and the words on theirs.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use nix::sys::signal::{SigSet, Signal};
use tracing_subscriber::EnvFilter;
use vmmdev::carrier::VfioUser;
use vmmdev::words::Console;
use vmmdev::{Host, Settings};

use super::ControlOption;
use super::control;
use super::socket::Socket;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where QEMU's vfio-user device connects to
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    #[command(flatten)]
    control: ControlOption,
    /// What a guest is told that offers to beat
    #[arg(long, value_enum, default_value_t = Heartbeat::Refuse)]
    heartbeat: Heartbeat,
    /// Append what happens to a file, each request and interrupt included, rather than to standard
    /// error without those
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// Linux kernels up to 7.3 beat some 250 times a second once they may, whatever they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Heartbeat {
    /// It may beat, every two seconds
    Accept,
    /// There is nobody to listen
    Refuse,
}

/// What a host that accepts heartbeats asks for, as VirtualBox does.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);

pub(super) fn serve(options: &Options) -> Result<()> {
    // Before any thread is started: they inherit it, and the signals wait for the one that asks.
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    signals.thread_block().context("Cannot block signals")?;
    start_log(options.log.as_deref())?;

    let heartbeat = (options.heartbeat == Heartbeat::Accept).then_some(HEARTBEAT_INTERVAL);
    let host = Host::new(Settings { heartbeat, ..Settings::default() });
    let device_socket = Socket::bind(&options.socket)?;
    let control_path = options.control.path();
    let control_socket = control_path.as_deref().map(Socket::bind).transpose()?;

    let (ended, end) = mpsc::channel();
    if let Some(socket) = &control_socket {
        let (listener, console) = (socket.listener()?, Arc::new(Console::new(&host)));
        let ended = ended.clone();
        start("control", move || control::serve(&listener, &console, &ended))?;
    }
    let device = VfioUser::new(&host, device_socket.listener()?);
    let device_ended = ended.clone();
    start("device", move || {
        // When nobody waits any more, the process is ending already.
        let _ = device_ended.send(device.serve().context("Device can no longer be reached"));
    })?;
    start("signals", move || {
        let signal = signals.wait().context("Cannot wait for signals");
        let _ = ended.send(signal.map(|signal| tracing::info!(%signal, "Stopping")));
    })?;

    match &control_path {
        Some(control) => println!("Device at {}, words at {}", options.socket.display(), control.display()),
        None => println!("Device at {}; no words: name a socket with --control", options.socket.display()),
    }
    // Returning removes the sockets.
    end.recv().context("Every thread ended")?
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(run).with_context(|| format!("Cannot start the thread {name}"))?;
    Ok(())
}

fn start_log(file: Option<&Path>) -> Result<()> {
    let log = tracing_subscriber::fmt().with_ansi(false);
    let outcome = match file {
        None => log.with_env_filter(EnvFilter::new("info")).with_writer(std::io::stderr).try_init(),
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let file = file.with_context(|| format!("Cannot open the log {}", path.display()))?;
            log.with_env_filter(EnvFilter::new("debug,bellhop::ring=trace")).with_writer(file).try_init()
        }
    };
    outcome.map_err(|error| anyhow::anyhow!("Cannot start the log: {error}"))
}
