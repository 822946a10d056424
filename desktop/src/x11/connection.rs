//! Reaching an X server, and telling in words why it could not be reached.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use nix::sys::eventfd::EventFd;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use x11rb::connection::Connection as _;
use x11rb::errors::{ConnectError, ConnectionError, ReplyError};
use x11rb::protocol::xproto::{ConnectionExt as _, Window};
use x11rb::reexports::x11rb_protocol::parse_display::{ConnectAddress, parse_display};
use x11rb::reexports::x11rb_protocol::xauth::Family;
use x11rb::rust_connection::{DefaultStream, RustConnection};
use x11rb::x11_utils::X11Error;

use super::authority::{self, Authorization, authorization};
use super::stream::{Bounded, SILENCE};
use crate::{Error, Needs};

/// A display's TCP port is 6000 and its number, so larger numbers do not exist.
const LAST_DISPLAY: u16 = u16::MAX - 6000;

/// A connected server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) x: RustConnection<Bounded>,
    pub(super) root: Window,
    display: String,
}

/// Why a conversation with the server came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is of no more use.
    Lost(ConnectionError),
    /// The server refused a request; the connection is fine.
    Refused(String),
    /// It is clear already what the caller is to be told.
    Told(Error),
}

impl Failure {
    /// Whether the server did not end, but says nothing.
    pub(super) fn timed_out(&self) -> bool {
        matches!(self, Self::Lost(ConnectionError::IoError(error))
            if error.kind() == io::ErrorKind::TimedOut)
    }

    /// The failure, for the caller.
    pub(super) fn told_by(self, server: &Server) -> Error {
        let display = &server.display;
        match self {
            Self::Lost(_) if self.timed_out() => silent(display),
            Self::Lost(error) => Error::Unavailable(format!("X server {display} went away: {error}")),
            Self::Refused(what) => Error::Failed(format!("X server {display} refused: {what}")),
            Self::Told(error) => error,
        }
    }

    /// The failure in a few words, to be part of a sentence.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Lost(_) if self.timed_out() => "no answer".to_owned(),
            Self::Lost(error) => error.to_string(),
            Self::Refused(what) => what.clone(),
            Self::Told(error) => error.to_string(),
        }
    }
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        Self::Lost(error)
    }
}

impl From<ReplyError> for Failure {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(error) => Self::Lost(error),
            ReplyError::X11Error(error) => Self::Refused(refusal(&error)),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

impl Server {
    /// Connects, within [`SILENCE`] for each step. Once `stop` is not 0, every wait for the server ends
    /// at once, and the connection with it.
    pub(super) fn connect(display: Option<&str>, stop: Option<Arc<EventFd>>) -> Result<Self, Error> {
        let Some(display) = display else {
            return Err(unavailable(
                "No X server is named; set DISPLAY, or choose the headless desktop".to_owned(),
            ));
        };
        let nonsense = || unavailable(format!("'{display}' names no X server; one is named as :0"));
        let address = parse_display(Some(display)).map_err(|_| nonsense())?;
        if address.display > LAST_DISPLAY {
            return Err(nonsense());
        }
        let screen = usize::from(address.screen);
        // One address for each kind of name. The next would be the same server by TCP, which hands the
        // cookie to whoever listens there when the server itself is gone.
        let first = address.connect_instruction().next().ok_or_else(nonsense)?;
        let (stream, peer) = open(&first)
            .map_err(|error| unavailable(format!("No X server on {display}: {error}; it is tried again")))?;
        let Authorization { name, data, doubt } = authorization(peer, address.display);
        let stream = Bounded::new(stream, stop);
        let x = RustConnection::connect_to_stream_with_auth_info(stream, screen, name, data)
            .map_err(|error| setup_failure(display, &error, &doubt))?;
        let root = x.setup().roots.get(screen).map_or(x11rb::NONE, |screen| screen.root);
        Ok(Self { x, root, display: display.to_owned() })
    }

    /// Finds out whether the server still answers, and gives the call that begins time of its own.
    pub(super) fn refresh(&self) -> Result<(), Failure> {
        self.x.stream().begin_call();
        self.x.get_input_focus()?.reply()?;
        // Some events come unasked, as when the keyboard is mapped anew; nobody here wants them.
        while self.x.poll_for_event()?.is_some() {}
        Ok(())
    }

    /// The name of the display, for messages.
    pub(super) fn display(&self) -> &str {
        &self.display
    }
}

/// What a later connection to the server of this display takes. The cookie is read now.
pub(crate) fn needs(display: &str) -> Needs {
    let mut needs = Needs::default();
    let Ok(address) = parse_display(Some(display)) else { return needs };
    match address.connect_instruction().next() {
        Some(ConnectAddress::Socket(path)) => {
            authority::read_ahead(address.display);
            // The folder: a server that comes back makes another socket.
            needs.sockets.extend(Path::new(path.as_str()).parent().map(Path::to_owned));
        }
        Some(ConnectAddress::Hostname(_, port)) => needs.ports.push(port),
        _ => {}
    }
    needs.read.extend(authority::file().map(|file| authority::place(&file)));
    needs
}

/// What a server said no to, in a few words.
pub(super) fn refusal(error: &X11Error) -> String {
    let request = error.request_name.unwrap_or("a request");
    format!("{request}, {:?} (value {:#x})", error.error_kind, error.bad_value)
}

/// A stream, and who is at its other end as `.Xauthority` would name him.
type Opened = (DefaultStream, (Family, Vec<u8>));

fn open(address: &ConnectAddress<'_>) -> io::Result<Opened> {
    match address {
        ConnectAddress::Socket(path) => {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
            // A blocking connect would wait for ever once the queue of a hung server is full.
            connect(fd.as_raw_fd(), &UnixAddr::new(path.as_str())?)?;
            DefaultStream::from_unix_stream(UnixStream::from(fd))
        }
        ConnectAddress::Hostname(host, port) => {
            let mut outcome = Err(io::ErrorKind::NotFound.into());
            for address in (*host, *port).to_socket_addrs()? {
                outcome = TcpStream::connect_timeout(&address, SILENCE);
                if outcome.is_ok() {
                    break;
                }
            }
            DefaultStream::from_tcp_stream(outcome?)
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn setup_failure(display: &str, error: &ConnectError, doubt: &str) -> Error {
    let reason = match error {
        ConnectError::SetupFailed(refused) => &refused.reason,
        ConnectError::SetupAuthenticate(refused) => &refused.reason,
        ConnectError::IoError(error) if error.kind() == io::ErrorKind::TimedOut => {
            return silent(display);
        }
        other => {
            return unavailable(format!("X server {display} does not talk to us: {other}"));
        }
    };
    let reason = String::from_utf8_lossy(reason);
    let reason = reason.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    unavailable(format!("X server {display} does not let us in: '{reason}'; {doubt}"))
}

fn silent(display: &str) -> Error {
    unavailable(format!("X server {display} hangs: no answer within {} s", SILENCE.as_secs()))
}

fn unavailable(text: String) -> Error {
    Error::Unavailable(text)
}
