//! Opening a session: the node, and agreement on the version of the interface.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use zerocopy::little_endian::U32;

use super::ioctl::{driver_version_info, transfer};
use super::node::{Node, Nodes};
use crate::wire::Status;

/// The version of the interface that this driver speaks, and the least that it can do with: 1.0.
const WANTED: InterfaceVersion = InterfaceVersion(0x0001_0000);

/// A version of the ioctl interface, which is not that of the driver's release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceVersion(pub u32);

impl InterfaceVersion {
    const fn major(self) -> u32 {
        self.0 >> 16
    }
}

impl fmt::Display for InterfaceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major(), self.0 & 0xffff)
    }
}

/// Why a device node cannot be driven. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such node.
    #[error(
        "Cannot find {path}: is this a VirtualBox machine, and is the kernel's driver loaded? \
         (`modprobe vboxguest` loads it; `dmesg` says what it found)"
    )]
    NoDevice {
        /// The node.
        path: PathBuf,
    },
    /// The node is there, for somebody else.
    #[error(
        "Cannot open {path}: permission denied. Run as root, or give this user the node: a udev rule such \
         as `KERNEL==\"vboxguest|vboxuser\", GROUP=\"vboxguest\", MODE=\"0660\"`, and the user in that group"
    )]
    NoPermission {
        /// The node.
        path: PathBuf,
    },
    /// A driver of another version.
    #[error(
        "Cannot agree with the driver behind {path}: its interface is version {version}, and version \
         {WANTED} is needed. Load the `vboxguest` module that belongs to the running kernel"
    )]
    WrongDriver {
        /// The node.
        path: PathBuf,
        /// The version of the interface that the driver has.
        version: InterfaceVersion,
    },
    /// The path leads to something else.
    #[error(
        "Cannot use {path}: no VirtualBox guest driver is behind it. The node is usually /dev/vboxguest \
         or /dev/vboxuser"
    )]
    NotADevice {
        /// The node.
        path: PathBuf,
    },
    /// Anything else that the system says.
    #[error("Cannot open {path}: {error}. `dmesg` may say more")]
    Failed {
        /// The node.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// What a driver said of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DriverVersion {
    pub(super) interface: InterfaceVersion,
    pub(super) revision: u32,
}

/// Opens a session at `path` and agrees on the version.
pub(super) fn open(nodes: &dyn Nodes, path: &Path) -> Result<(Arc<dyn Node>, DriverVersion), OpenError> {
    let node = nodes.open().map_err(|error| unopened(path.to_owned(), error))?;
    let version = agree(&*node, path)?;
    Ok((node, version))
}

/// Agrees on the version of a session.
pub(super) fn agree(node: &dyn Node, path: &Path) -> Result<DriverVersion, OpenError> {
    let path = || path.to_owned();
    let ask = driver_version_info::Ask {
        wanted: WANTED.0.into(),
        least: WANTED.0.into(),
        reserved: [U32::ZERO; 2],
    };
    let (status, answer) = transfer(node, &ask).map_err(|errno| match errno {
        Errno::ENOTTY => OpenError::NotADevice { path: path() },
        errno => unopened(path(), errno.into()),
    })?;
    let interface = InterfaceVersion(answer.driver.get());
    // What was agreed on, which a driver that cannot agree sets to all ones.
    let agreed = InterfaceVersion(answer.session.get());
    if status == Status::VERSION_MISMATCH || !status.is_failure() && agreed.major() != WANTED.major() {
        Err(OpenError::WrongDriver { path: path(), version: interface })
    } else if status.is_failure() {
        Err(OpenError::Failed { path: path(), error: io::Error::other(status) })
    } else {
        Ok(DriverVersion { interface, revision: answer.revision.get() })
    }
}

fn unopened(path: PathBuf, error: io::Error) -> OpenError {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENOTDIR | Errno::ENODEV | Errno::ENXIO) => OpenError::NoDevice { path },
        Some(Errno::EACCES | Errno::EPERM) => OpenError::NoPermission { path },
        _ => OpenError::Failed { path, error },
    }
}
