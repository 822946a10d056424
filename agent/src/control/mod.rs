//! The control socket: how an administrator sees what the agent is doing.
//!
//! [`Control`] serves it on a thread of its own, which sleeps while nobody asks; [`client::Client`] is the
//! other end; [`protocol`] is what they say.

pub mod client;
pub mod protocol;
mod server;
mod socket;
pub mod status;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::observe::{Board, Known, Listener, Names, Subscription};
use crate::sandbox::admission;
use crate::sync::lock;
use protocol::{Ask, Follows, Header, RECORD_VERSION, Recorded, Reloaded, Reply, Said};
use server::{Bell, Pending, Server};
use socket::Socket;
use status::{Facts, Status, since_epoch};

pub use socket::default_path;

/// So much of a trace waits for a reader, in bytes.
const TRACE_RING: usize = 1 << 20;

/// So much of a record does: a gap would spoil it.
const RECORD_RING: usize = 16 << 20;

/// A control socket that is served.
pub struct Control {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

/// Reads the agent's configuration again, and says what came of it; or why nothing did.
pub type Reload = dyn Fn() -> Result<Reloaded, String> + Send + Sync;

/// Who answers requests: what the server's thread needs of the rest.
trait Served: Send + Sync {
    fn answer(&self, ask: Ask, bell: &Arc<Bell>) -> Answer;
}

/// What came of a request.
enum Answer {
    Now(Reply),
    Later(Pending),
    Stream(Reply, Subscription),
}

/// What is served.
struct Desk {
    facts: Facts,
    board: Arc<Board>,
    reload: Arc<Reload>,
    /// It is being read.
    reloading: Arc<AtomicBool>,
    started: SystemTime,
}

impl Control {
    /// Serves the socket at `path`.
    ///
    /// # Errors
    /// When another agent has it, its folder is not this user's alone, or it cannot be made.
    pub fn start(path: &Path, facts: Facts, board: Arc<Board>, reload: Arc<Reload>) -> Result<Self> {
        let socket = Socket::bind(path)?;
        let bell = Bell::new().context("Cannot make the control socket's event")?;
        let started = SystemTime::now() - board.started().elapsed();
        let desk = Desk { facts, board, reload, reloading: Arc::default(), started };
        let server = Server::new(socket, Arc::new(desk), bell.clone());
        let thread = std::thread::Builder::new()
            .name("control".into())
            .stack_size(512 * 1024)
            .spawn(move || server.run())
            .context("Cannot start the thread that serves the control socket")?;
        tracing::info!(socket = %path.display(), "Control socket served");
        Ok(Self { bell, thread: Some(thread) })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.bell.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("The thread that serves the control socket panicked");
        }
    }
}

impl Served for Desk {
    fn answer(&self, ask: Ask, bell: &Arc<Bell>) -> Answer {
        match ask {
            Ask::Status => {
                let status = Status::of(&self.facts, &self.board);
                Answer::Now(Reply::new(Said::Status(Box::new(status))))
            }
            Ask::Trace { plugins } => match self.unknown(&plugins) {
                Some(refusal) => Answer::Now(refusal),
                None => {
                    let begins = Follows { started: since_epoch(self.started) };
                    let listener = listener(plugins, false, TRACE_RING, bell);
                    Answer::Stream(Reply::new(Said::Tracing(begins)), self.board.listen(listener))
                }
            },
            Ask::Record { plugins, contents } => match self.unknown(&plugins) {
                Some(refusal) => Answer::Now(refusal),
                None => self.record(plugins, contents, bell),
            },
            Ask::Reload => self.reload(bell),
        }
    }
}

impl Desk {
    /// Says so when one of the plugins is not known.
    fn unknown(&self, plugins: &Names) -> Option<Reply> {
        let known: Names = self.board.plugins().iter().map(|known| known.config.name.clone()).collect();
        let unknown = plugins.difference(&known).next()?;
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Some(Reply::new(Said::Error(format!("No plugin {unknown} is to run; there are: {known}"))))
    }

    fn record(&self, plugins: Names, contents: bool, bell: &Arc<Bell>) -> Answer {
        let (mut those, left_off): (Vec<_>, Vec<_>) =
            self.board.plugins().into_iter().partition(Known::can_be_recorded);
        let refused = |reason: String| Answer::Now(Reply::new(Said::Error(reason)));
        if let Some(known) = left_off.iter().find(|known| plugins.contains(&known.config.name)) {
            let reason = known.state.reason.as_deref().unwrap_or("it is about to start, or to end");
            return refused(format!("Plugin {} does not run: {reason}", known.config.name));
        }
        those.retain(|known| plugins.is_empty() || plugins.contains(&known.config.name));
        let names: Names = those.iter().map(|known| known.config.name.clone()).collect();
        // No names would mean all, and the agent.
        if names.is_empty() {
            return refused("No plugin runs that could be recorded".to_owned());
        }
        let header = Header {
            bellhop_record: RECORD_VERSION,
            agent: self.facts.version.clone(),
            contract: admission::contract_name(),
            driver: self.facts.driver.clone(),
            started: since_epoch(self.started),
            contents,
            plugins: those.iter().map(recorded).collect(),
        };
        let subscription = self.board.listen(listener(names, contents, RECORD_RING, bell));
        // Only now, so that nothing of the new incarnation is missed.
        those.iter().for_each(|known| known.mailbox.begin_anew());
        Answer::Stream(Reply::new(Said::Recording(header)), subscription)
    }

    /// Has the configuration read on a thread of its own: that takes as long as plugins take to start.
    fn reload(&self, bell: &Arc<Bell>) -> Answer {
        let refused = |reason: String| Answer::Now(Reply::new(Said::Error(reason)));
        if self.reloading.swap(true, Ordering::Relaxed) {
            return refused("The configuration is being read again already".to_owned());
        }
        let answer = Pending::default();
        let (reload, reloading) = (self.reload.clone(), self.reloading.clone());
        let (pending, bell) = (answer.clone(), bell.clone());
        let thread = std::thread::Builder::new().name("reload".into()).spawn(move || {
            let said = reload().map_or_else(Said::Error, Said::Reloaded);
            reloading.store(false, Ordering::Relaxed);
            *lock(&pending) = Some(Reply::new(said));
            bell.ring();
        });
        match thread {
            Ok(_) => Answer::Later(answer),
            Err(error) => {
                self.reloading.store(false, Ordering::Relaxed);
                refused(format!("There is no thread to read the configuration again: {error}"))
            }
        }
    }
}

/// What a record says of a plugin.
fn recorded(known: &Known) -> Recorded {
    let Known { state, config, .. } = known;
    let authority = &config.authority;
    let interfaces = authority.linked().filter(|interface| interface.key.is_some());
    let mut grants: Vec<_> = interfaces.map(admission::grant).collect();
    grants.extend(authority.denied().map(admission::denial));
    grants.push(format!("events = {}", authority.events));
    grants.push(format!("capabilities = {}", authority.capabilities));
    Recorded {
        name: config.name.clone(),
        sha256: state.sha256.clone().unwrap_or_default(),
        config: serde_json::from_str(&config.config).unwrap_or_default(),
        grants,
        memory: config.limits.memory.0,
    }
}

/// A listener that wakes the server's thread.
fn listener(plugins: Names, contents: bool, ring: usize, bell: &Arc<Bell>) -> Listener {
    let bell = bell.clone();
    Listener::new(plugins, contents, ring, move || bell.ring())
}

/// The control socket that the configuration at `config` names, or else the usual one. Only that key is
/// read: whatever else is wrong with the file is no reason not to be told how the agent is.
#[must_use]
pub fn path_for(config: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(config).ok();
    let table = text.and_then(|text| text.parse::<toml::Table>().ok()).unwrap_or_default();
    match table.get("control") {
        Some(toml::Value::String(path)) => Some(config.parent().unwrap_or(Path::new("")).join(path)),
        Some(toml::Value::Boolean(false)) => None,
        _ => default_path(),
    }
}
