//! A connection's bytes, with a bound on every wait.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use x11rb::rust_connection::{DefaultStream, PollMode, Stream};
use x11rb::utils::RawFdContainer;

/// How long the server may be silent while it owes something. Real hardware takes some hundred
/// milliseconds to set a mode.
pub(super) const SILENCE: Duration = Duration::from_secs(2);

/// How long one call may take altogether.
const CALL: Duration = Duration::from_secs(10);

/// A stream whose waits end.
#[derive(Debug)]
pub(super) struct Bounded {
    stream: DefaultStream,
    deadline: Cell<Instant>,
}

impl Bounded {
    pub(super) fn new(stream: DefaultStream) -> Self {
        Self { stream, deadline: Cell::new(Instant::now() + CALL) }
    }

    /// A new call begins, with time of its own.
    pub(super) fn begin_call(&self) {
        self.deadline.set(Instant::now() + CALL);
    }
}

impl Stream for Bounded {
    fn poll(&self, mode: PollMode) -> io::Result<()> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, mode.readable());
        flags.set(PollFlags::POLLOUT, mode.writable());
        let until = self.deadline.get().min(Instant::now() + SILENCE);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            match poll(&mut [PollFd::new(self.stream.as_fd(), flags)], left) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read(&self, buf: &mut [u8], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.read(buf, fds)
    }

    fn write(&self, buf: &[u8], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.write(buf, fds)
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.write_vectored(bufs, fds)
    }
}
