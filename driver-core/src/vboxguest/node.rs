//! The device node as the rest of this driver reaches it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use nix::errno::Errno;
use nix::libc;

/// An open node: one session of the kernel's driver, which ends when this is dropped.
pub(super) trait Node: Send + Sync {
    /// Carries out one ioctl on `buffer`.
    ///
    /// # Errors
    /// The errno; the buffer is then as it was.
    ///
    /// # Safety
    /// The buffer is the caller's to read and write until this returns. It begins with a header, and is
    /// at least as long as either size in it. Every address
    /// in the parameters of an HGCM call is that of as much memory as the parameter says, valid until
    /// this returns, and the caller's alone where the host may write.
    unsafe fn ioctl(&self, number: u32, buffer: NonNull<[u8]>) -> Result<(), Errno>;

    /// The session as an open file that somebody else may keep, where it is one.
    ///
    /// # Errors
    /// What the system says.
    fn share(&self) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Where sessions come from.
pub(super) trait Nodes: Send + Sync {
    /// Opens one more.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self) -> io::Result<Arc<dyn Node>>;
}

/// The path of a character device.
pub(super) struct DevicePath(pub(super) PathBuf);

impl Nodes for DevicePath {
    fn open(&self) -> io::Result<Arc<dyn Node>> {
        // The standard library opens everything close-on-exec.
        let file = OpenOptions::new().read(true).write(true).open(&self.0)?;
        Ok(Arc::new(Device(file)))
    }
}

/// A session with the real driver.
pub(super) struct Device(pub(super) File);

impl Node for Device {
    // SAFETY: the trait's promise is all that this relies on.
    unsafe fn ioctl(&self, number: u32, buffer: NonNull<[u8]>) -> Result<(), Errno> {
        let argument = buffer.as_ptr().cast::<u8>();
        // SAFETY: the file is open for as long as `self`. The driver reads and writes no more of the
        // buffer than the sizes in its header, which is no more than there is, and no other memory
        // than what the parameters of an HGCM call name, for which the caller vouches.
        let outcome = unsafe { libc::ioctl(self.0.as_raw_fd(), number as libc::Ioctl, argument) };
        Errno::result(outcome).map(drop)
    }

    fn share(&self) -> io::Result<OwnedFd> {
        self.0.try_clone().map(OwnedFd::from)
    }
}

/// Whether a node is the one that carries what any user may ask, and nothing else.
///
/// A node by any other name is taken for the trusted one: the driver itself says what it refuses.
pub(super) fn is_for_users(path: &Path) -> bool {
    let real = path.canonicalize();
    real.as_deref().unwrap_or(path).file_name().is_some_and(|name| name == "vboxuser")
}
