//! Ending in good order when the terminal or the system asks for it.
//!
//! The signals that ask are blocked in every thread, and one thread waits for them. It passes them on
//! to the children, whose end brings the main thread back to work, where [`check`] turns it into an
//! error. So everything that was started is ended by its owner's `Drop`, as after any other error. A
//! second signal waits for nobody.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::unistd::Pid;

/// Somebody asked for the end.
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// How a child is reached by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It leads a process group of its own, and is ended with all that it started.
    Group,
    /// It shares the terminal with us: the terminal's own signals reach it without our help, and what
    /// Ctrl-C means is for it to say.
    Terminal,
}

static HAPPENED: AtomicBool = AtomicBool::new(false);
static CHILDREN: Mutex<Vec<(Pid, Reach)>> = Mutex::new(Vec::new());

/// Starts to wait for signals. Call it first, while there is one thread.
pub fn watch() -> anyhow::Result<()> {
    signals().thread_block().context("Blocking signals")?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(|| {
            while let Ok(signal) = signals().wait() {
                receive(signal);
            }
        })
        .context("Starting the thread that waits for signals")?;
    Ok(())
}

/// Whether the end was asked for.
pub fn happened() -> bool {
    HAPPENED.load(Ordering::SeqCst)
}

/// An error once the end was asked for.
pub fn check() -> anyhow::Result<()> {
    if happened() { Err(Interrupted.into()) } else { Ok(()) }
}

/// Runs something that starts processes: a child inherits which signals are blocked, and one that
/// cannot be interrupted is of no use.
pub fn unblocked<T>(start: impl FnOnce() -> T) -> T {
    let lifted = signals().thread_unblock();
    let started = start();
    if lifted.is_ok() {
        // What could be lifted can be put back.
        let _ = signals().thread_block();
    }
    started
}

/// From now on signals are passed on to this child.
pub fn register(child: Pid, reach: Reach) {
    children().push((child, reach));
    if happened() {
        signal(child, reach, Signal::SIGTERM);
    }
}

/// This child has ended, and its number may soon be another's.
pub fn forget(child: Pid) {
    children().retain(|(known, _)| *known != child);
}

/// Sends a signal to a child, and to its group where it has one. That it is gone already is no error.
pub fn signal(child: Pid, reach: Reach, signal: Signal) {
    let _ = match reach {
        Reach::Group => killpg(child, signal),
        Reach::Terminal => kill(child, signal),
    };
}

fn receive(received: Signal) {
    let children = children();
    if received == Signal::SIGINT && children.iter().any(|(_, reach)| *reach == Reach::Terminal) {
        return;
    }
    let again = HAPPENED.swap(true, Ordering::SeqCst);
    let sent = if again { Signal::SIGKILL } else { Signal::SIGTERM };
    for &(child, reach) in children.iter() {
        signal(child, reach, sent);
    }
    if again {
        process::exit(130);
    }
}

fn signals() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

fn children() -> MutexGuard<'static, Vec<(Pid, Reach)>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}
