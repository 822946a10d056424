//! Being a service of systemd: what its manager is told, and what it keeps.
//!
//! The manager names a socket in `NOTIFY_SOCKET`, and takes lines of `NAME=value` there: sd_notify(3). It
//! may want to hear at times that all is well (`WATCHDOG_USEC`), and starts the service anew when it does
//! not. It keeps open files for the service across restarts (`FDSTORE`), and hands them down again.
//!
//! Without a manager nothing of this does anything, and the main thread sleeps until a signal comes.

use std::env;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::time::{ClockId, clock_gettime};

/// Who started this process and looks after it, if anybody does.
#[derive(Debug, Default)]
pub struct ServiceManager {
    /// Connected at the start, since a confined process may not reach it any more.
    socket: Option<UnixDatagram>,
    /// How long it waits for a word before it takes the service for hung.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The manager that the environment names. One that cannot be reached is done without, and that is
    /// logged.
    #[must_use]
    pub fn from_environment() -> Self {
        let Some(name) = env::var("NOTIFY_SOCKET").ok().filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let socket = match connect(&name) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!("Cannot reach the service manager at {name}: {error}; going on without");
                return Self::default();
            }
        };
        let number = |name| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
        let meant_for_us =
            number("WATCHDOG_PID").is_none_or(|process| process == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| meant_for_us && *micros > 0);
        Self { socket: Some(socket), watchdog: watchdog.map(Duration::from_micros) }
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// The service does what it is for, or does so again after a reload. `status` is for people.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", status.replace('\n', " ")));
    }

    /// The service reads its configuration anew; [`ready`](Self::ready) ends that.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    /// The service is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Gives the manager an open file to keep while this process is not there, under a name. Whether it
    /// does is its unit's to say (`FileDescriptorStoreMax`).
    pub fn keep(&self, file: BorrowedFd<'_>, name: &str) {
        let text = format!("FDSTORE=1\nFDNAME={name}");
        self.send(&text, &[ControlMessage::ScmRights(&[file.as_raw_fd()])]);
    }

    /// Waits for one of these signals, which every thread must block. Meanwhile the manager hears that all
    /// is well, if it wants to, for as long as `is_well` says so.
    ///
    /// # Errors
    /// When the system has no more files.
    pub fn wait(&self, signals: &SigSet, is_well: impl Fn() -> bool) -> nix::Result<Signal> {
        let Some(watchdog) = self.watchdog else { return signals.wait() };
        let signals = SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC)?;
        // Twice as often as it must be, as the manager's manual wants it.
        let pause = PollTimeout::try_from(watchdog / 2).unwrap_or(PollTimeout::MAX);
        loop {
            match poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], pause) {
                Ok(0) if is_well() => self.tell("WATCHDOG=1"),
                Ok(0) => tracing::error!("The agent hangs; the service manager will start it anew"),
                Ok(_) => {
                    let signal = signals.read_signal()?.and_then(|info| i32::try_from(info.ssi_signo).ok());
                    if let Some(signal) = signal {
                        return Signal::try_from(signal);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn tell(&self, text: &str) {
        self.send(text, &[]);
    }

    fn send(&self, text: &str, attached: &[ControlMessage<'_>]) {
        let Some(socket) = &self.socket else { return };
        let text = [IoSlice::new(text.as_bytes())];
        if let Err(error) = sendmsg::<()>(socket.as_raw_fd(), &text, attached, MsgFlags::MSG_NOSIGNAL, None) {
            tracing::warn!("Cannot tell the service manager: {error}");
        }
    }
}

/// A socket by its path or, after an `@`, by its abstract name.
fn connect(name: &str) -> std::io::Result<UnixDatagram> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::io::IoSliceMut;

    use nix::sys::socket::{ControlMessageOwned, recvmsg};

    use super::*;

    fn pair() -> (ServiceManager, UnixDatagram) {
        let (ours, theirs) = UnixDatagram::pair().expect("sockets");
        (ServiceManager { socket: Some(ours), watchdog: None }, theirs)
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).expect("something was said");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn the_manager_hears_how_the_service_fares() {
        let (manager, socket) = pair();

        manager.ready("2 of 3\nplugins run");
        assert_eq!(heard(&socket), "READY=1\nSTATUS=2 of 3 plugins run");
        manager.reloading();
        let reloading = heard(&socket);
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&reloading);
        assert!(since.parse::<u64>().is_ok_and(|micros| micros > 0), "{reloading}");
        manager.stopping();
        assert_eq!(heard(&socket), "STOPPING=1");
    }

    #[test]
    fn a_file_that_is_to_be_kept_comes_with_its_name() {
        let (manager, socket) = pair();
        let (kept, _end) = std::io::pipe().expect("a pipe");

        manager.keep(kept.as_fd(), "capabilities");

        let mut text = [0; 64];
        let mut slices = [IoSliceMut::new(&mut text)];
        let mut space = nix::cmsg_space!(std::os::fd::RawFd);
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty());
        let message = message.expect("something was said");
        let length = message.bytes;
        let files: Vec<_> = message.cmsgs().expect("whole").collect();
        assert!(
            matches!(&files[..], [ControlMessageOwned::ScmRights(files)] if files.len() == 1),
            "{files:?}"
        );
        assert_eq!(&text[..length], b"FDSTORE=1\nFDNAME=capabilities");
    }

    #[test]
    fn without_a_manager_nothing_is_said() {
        let manager = ServiceManager::default();

        manager.ready("");
        manager.stopping();

        assert!(!manager.is_there());
    }
}
