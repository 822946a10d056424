//! A connection's bytes, with a bound on every wait, and on what is read at once.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::iter;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use x11rb::rust_connection::{DefaultStream, PollMode, Stream};
use x11rb::utils::RawFdContainer;

/// How long the server may be silent while it owes something. Real hardware takes some hundred
/// milliseconds to set a mode.
pub(super) const SILENCE: Duration = Duration::from_secs(2);

/// How long one call may take altogether.
const CALL: Duration = Duration::from_secs(10);

/// How many bytes are read before whoever reads looks at what came. Without it, a server that sends
/// faster than it is read would be read for ever, into memory that nobody has.
const AT_ONCE: usize = 64 * 1024;

/// A stream whose waits end.
#[derive(Debug)]
pub(super) struct Bounded {
    stream: DefaultStream,
    deadline: Cell<Instant>,
    readable: Cell<usize>,
    /// Ends a wait early, for good, once it is not 0 any more.
    stop: Option<Arc<EventFd>>,
}

impl Bounded {
    pub(super) fn new(stream: DefaultStream, stop: Option<Arc<EventFd>>) -> Self {
        Self { stream, deadline: Cell::new(Instant::now() + CALL), readable: Cell::new(AT_ONCE), stop }
    }

    /// A new call begins, with time of its own.
    pub(super) fn begin_call(&self) {
        self.deadline.set(Instant::now() + CALL);
        self.readable.set(AT_ONCE);
    }
}

impl AsFd for Bounded {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Stream for Bounded {
    fn poll(&self, mode: PollMode) -> io::Result<()> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, mode.readable());
        flags.set(PollFlags::POLLOUT, mode.writable());
        let until = self.deadline.get().min(Instant::now() + SILENCE);
        let stream = PollFd::new(self.stream.as_fd(), flags);
        let stop = self.stop.as_ref().map(|stop| PollFd::new(stop.as_fd(), PollFlags::POLLIN));
        let mut watched: Vec<_> = iter::once(stream).chain(stop).collect();
        self.readable.set(AT_ONCE);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            match poll(&mut watched, left) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) if watched.get(1).and_then(PollFd::any) == Some(true) => {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read(&self, buf: &mut [u8], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        let readable = self.readable.get();
        if readable == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = self.stream.read(buf, fds)?;
        self.readable.set(readable.saturating_sub(read));
        Ok(read)
    }

    fn write(&self, buf: &[u8], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.write(buf, fds)
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.write_vectored(bufs, fds)
    }
}
