//! X11: outputs by RandR, windows by what every client may see of the others', the clipboard by XFixes.
//!
//! | file | is |
//! |---|---|
//! | `connection` | reaching the server: its address; a failure told in words |
//! | `authority` | the cookie that lets us in |
//! | `stream` | the bytes to and from it, with a bound on every wait |
//! | `event_loop` | a thread that serves a connection: events, orders, a deadline, and connecting again |
//! | `windows` | the windows |
//! | `clipboard` | the selections |
//! | `snapshot` | all that RandR says about outputs at one moment |
//! | `arrangement` | which CRTC shows what where: as it is, and as a layout wants it |
//! | `modes` | modes of our own: their timings, making them, removing them |
//! | `transaction` | from one arrangement to another, or back |

mod arrangement;
mod authority;
mod clipboard;
mod connection;
mod event_loop;
mod modes;
mod snapshot;
mod stream;
mod transaction;
mod windows;

pub(crate) use connection::needs;

pub use clipboard::X11Clipboards;
pub use windows::X11Windows;

use std::sync::{Mutex, MutexGuard, PoisonError};

use connection::{Failure, Server};
use snapshot::Snapshot;

use crate::{Error, Outcome, Output, Outputs, Placement};

/// The outputs of an X server.
///
/// It connects when it is first asked something, keeps the connection, and connects again when the
/// server went away. Every wait is bounded: a server that says nothing for two seconds, or takes more
/// than ten for one call, is [`Error::Unavailable`], and its connection is dropped. A server that hangs
/// in the middle of a change will, should it ever wake up, carry out what it had received by then.
///
/// Authorization is as everywhere: the file that `XAUTHORITY` names, else `~/.Xauthority`.
#[derive(Debug)]
pub struct X11 {
    display: Option<String>,
    server: Mutex<Option<Server>>,
}

impl X11 {
    /// The X server on this display, as `:0`. Nothing is reached yet.
    #[must_use]
    pub fn new(display: Option<&str>) -> Self {
        Self { display: display.map(str::to_owned), server: Mutex::new(None) }
    }

    /// Does something with a server that was alive a moment ago.
    fn with<T>(&self, work: impl FnOnce(&Server) -> Result<T, Failure>) -> Result<T, Error> {
        let mut slot = self.slot();
        // A server that ended since the last call is told from one that ends in this call: only then
        // may the call be made on a new connection without doing half of it twice.
        let alive = match slot.take() {
            Some(server) => match server.refresh() {
                Ok(()) => Some(server),
                Err(failure) if failure.timed_out() => return Err(failure.told_by(&server)),
                Err(_) => None,
            },
            None => None,
        };
        let server = match alive {
            Some(server) => server,
            None => {
                let server = Server::connect(self.display.as_deref(), None)?;
                snapshot::check_randr(&server).map_err(|failure| failure.told_by(&server))?;
                server
            }
        };
        match work(&server) {
            Err(failure @ Failure::Lost(_)) => Err(failure.told_by(&server)),
            outcome => {
                let outcome = outcome.map_err(|failure| failure.told_by(&server));
                *slot = Some(server);
                outcome
            }
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Server>> {
        // Whoever panicked had taken the connection out.
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outputs for X11 {
    fn describe(&self) -> String {
        match &self.display {
            Some(display) => format!("X server {display}, by RandR"),
            None => "X server (no DISPLAY)".to_owned(),
        }
    }

    fn enumerate(&self) -> Result<Vec<Output>, Error> {
        self.with(|server| Ok(Snapshot::take(server)?.outputs()))
    }

    fn apply(&self, layout: &[Placement]) -> Result<Outcome, Error> {
        self.with(|server| transaction::apply(server, layout))
    }
}
