//! The device behind a vfio-user socket, for a machine in QEMU: its guest finds a VMMDev on its PCI
//! bus, and its own kernel driver services it.
//!
//! The client, QEMU, sends each access of the guest to the device over the socket, hands over the
//! guest's memory as file descriptors, and an eventfd that becomes the guest's interrupt. So
//! nothing here waits but for the client, and nothing is polled.

mod intx;
mod layout;
mod machine;
mod windows;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::vfio_user::{Error, Server};

use crate::host::Host;
use machine::Machine;

/// A socket on which one machine at a time can have the device of a host.
pub struct VfioUser {
    host: Host,
    server: Server,
}

/// The socket cannot be served any longer.
#[derive(Debug, thiserror::Error)]
#[error("Cannot accept a machine on the vfio-user socket: the process may be out of file descriptors")]
pub struct ServeError(#[source] Error);

impl VfioUser {
    /// Offers the device of a host on a socket that listens already.
    pub fn new(host: &Host, listener: UnixListener) -> Self {
        let server =
            Server::from_owned_fd(OwnedFd::from(listener), true, layout::interrupts(), layout::regions());
        Self { host: host.clone(), server }
    }

    /// Serves one machine after the other, for ever. A machine that comes finds the device as after
    /// power-on; what the last one reported can be read until then.
    ///
    /// # Errors
    /// [`ServeError`] when the socket itself fails. What one machine does wrong ends its connection
    /// at most.
    pub fn serve(&self) -> Result<(), ServeError> {
        loop {
            let mut machine = Machine::new(&self.host);
            // The crate's server panics on a version message that is not text, and a client can send
            // one. Nothing of this machine is used afterwards.
            let left = catch_unwind(AssertUnwindSafe(|| self.server.run(&mut machine)));
            match left {
                Ok(Ok(())) => tracing::info!("Machine left"),
                Ok(Err(error @ Error::SocketAccept(_))) => return Err(ServeError(error)),
                Ok(Err(error)) => tracing::warn!(%error, "Machine's connection broke"),
                Err(_) => tracing::warn!("Machine broke the protocol"),
            }
        }
    }
}

impl std::fmt::Debug for VfioUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VfioUser").field("host", &self.host).finish_non_exhaustive()
    }
}
