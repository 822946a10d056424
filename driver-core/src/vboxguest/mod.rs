//! A driver over the kernel's own, through one of its device nodes.
//!
//! What happens when the host rings: the kernel's driver takes the interrupt and latches the bits; a
//! wait (`waiting`) takes them by an ioctl. What happens when an agent asks: the packet goes out by
//! another ioctl, unless the driver is known to refuse it (`refused`).
//!
//! There are two sessions with the driver: one that only waits, since to cancel a wait is to give up
//! its session, and one for all else (`control`).

mod control;
#[cfg(test)]
mod fake;
mod handed_down;
mod header;
mod hgcm;
mod interruption;
mod ioctl;
mod node;
mod open;
mod refused;
#[cfg(test)]
mod tests;
mod waiting;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

pub use ioctl::IOCTL_TYPE;
pub use open::{InterfaceVersion, OpenError};

use crate::wire::{Capabilities, Events, MAX_REQUEST_SIZE, Status};
use crate::{Canceller, CapabilityState, Driver, Error, HgcmClient, HgcmParameter, Result, Wake};
use crate::{outgoing, outgoing_call};
use control::Control;
use header::Fault;
use node::{Device, DevicePath, Node, Nodes};
use open::DriverVersion;
use waiting::Waiting;

/// The nodes of the kernel's driver: the one that carries everything, and the one for any user.
pub const NODES: [&str; 2] = ["/dev/vboxguest", "/dev/vboxuser"];

/// The kernel's driver, with a filter and capabilities of this session's own. Dropping it withdraws
/// both, and ends its HGCM connections.
pub struct VboxGuest {
    path: PathBuf,
    for_users: bool,
    nodes: Box<dyn Nodes>,
    version: DriverVersion,
    control: Control,
    waiting: Waiting,
}

impl VboxGuest {
    /// Opens a session through the node at `path`, usually one of [`NODES`].
    ///
    /// # Errors
    /// When there is no such node, it may not be opened, or no driver that speaks this interface is
    /// behind it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let path = path.into();
        Self::over(Box::new(DevicePath(path.clone())), path)
    }

    fn over(nodes: Box<dyn Nodes>, path: PathBuf) -> Result<Self, OpenError> {
        let (node, version) = open::open(&*nodes, &path)?;
        Ok(Self {
            for_users: node::is_for_users(&path),
            path,
            nodes,
            version,
            control: Control::new(node),
            waiting: Waiting::default(),
        })
    }
}

/// The name by which a service manager keeps the session of the capabilities.
pub const KEPT: &str = "vboxguest-capabilities";

impl VboxGuest {
    /// Gives the shared capabilities a session of their own, which a service manager can keep while this
    /// process is not there: the one that it hands down, by the name of [`KEPT`], or a new one. To be called
    /// before any capability is announced.
    ///
    /// What an earlier process announced by it stays announced until [`Driver::change_capabilities`] takes
    /// it back. Nothing else of an earlier process is in it: no event filter, no HGCM client.
    ///
    /// # Errors
    /// When the device cannot be opened once more.
    pub fn announce_apart(&self) -> Result<OwnedFd, OpenError> {
        let handed_down = handed_down::take(KEPT).into_iter().map(|file| {
            let node: Arc<dyn Node> = Arc::new(Device(File::from(file)));
            node
        });
        let announcer = self.apart(handed_down)?;
        announcer.share().map_err(|error| OpenError::Failed { path: self.path.clone(), error })
    }

    /// Uses the first session that the driver still knows, or a new one.
    fn apart(&self, kept: impl Iterator<Item = Arc<dyn Node>>) -> Result<Arc<dyn Node>, OpenError> {
        let mut alive = kept.filter(|node| open::agree(&**node, &self.path).is_ok());
        let announcer = match alive.next() {
            Some(node) => node,
            None => open::open(&*self.nodes, &self.path)?.0,
        };
        self.control.announce_by(announcer.clone());
        Ok(announcer)
    }
}

/// One more session, for one that came to its end.
fn reopen(nodes: &dyn Nodes, path: &Path) -> Result<Arc<dyn Node>> {
    match open::open(nodes, path) {
        Ok((node, _)) => Ok(node),
        Err(error) => Err(Error::new(format!("open the device again ({error})"), Status::INVALID_STATE)),
    }
}

impl Driver for VboxGuest {
    fn describe(&self) -> String {
        format!(
            "the kernel's vboxguest driver, interface {} r{}, by {}",
            self.version.interface,
            self.version.revision,
            self.path.display()
        )
    }

    fn wait(&self, mask: Events, timeout: Option<Duration>) -> Result<Wake> {
        self.waiting.wait(&*self.nodes, &self.path, mask, timeout)
    }

    fn cancel_waits(&self) {
        self.waiting.cancel();
    }

    fn change_filter(&self, add: Events, remove: Events) -> Result<()> {
        known("change the event filter", add.bits() | remove.bits(), Events::all().bits())?;
        self.control.change_filter(&*self.nodes, &self.path, add, remove)
    }

    fn acquire_capabilities(&self, add: Capabilities, remove: Capabilities) -> Result<()> {
        known("acquire guest capabilities", add.bits() | remove.bits(), Capabilities::all().bits())?;
        self.waiting.acquire(&*self.nodes, &self.path, add, remove)
    }

    fn change_capabilities(&self, add: Capabilities, remove: Capabilities) -> Result<CapabilityState> {
        known("change guest capabilities", add.bits() | remove.bits(), Capabilities::all().bits())?;
        let told = self.control.change_capabilities(&*self.nodes, &self.path, add, remove)?;
        // To the driver the acquired ones are another session's.
        Ok(CapabilityState { session: told.session | self.waiting.acquired(), ..told })
    }

    fn request(&self, packet: &mut [u8]) -> Result<Status> {
        let sent = outgoing::check(packet, MAX_REQUEST_SIZE as usize)?;
        let request = sent.kind();
        refused::check(request, &self.path, self.for_users)?;
        tracing::trace!(target: "bellhop::ring", step = 7u64, %request, "Request submitted");
        let mut header = header::header(packet.len(), packet.len());
        // On whose behalf it is made is the driver's to say, not the packet's.
        header.request_type = sent.request_type;
        let outcome = self.control.with(&*self.nodes, &self.path, &format!("submit {request}"), |node| {
            submit(node, packet, &header)
        });
        let status = outgoing::finish(packet, sent)?;
        outcome.map(|()| status)
    }

    fn hgcm_connect(&self, service: &str) -> Result<HgcmClient> {
        let name = outgoing_call::name(service)?;
        let doing = format!("connect to the HGCM service {service:?}");
        self.control.connect(&*self.nodes, &self.path, &doing, name)
    }

    fn hgcm_call(
        &self,
        client: HgcmClient,
        function: u32,
        parameters: &mut [HgcmParameter],
        timeout: Option<Duration>,
        cancel: &Canceller,
    ) -> Result<Status> {
        let doing = format!("call HGCM function {function}");
        outgoing_call::check(&doing, parameters, hgcm::LARGEST_PARAMETER)?;
        self.control.own(&doing, client)?;
        self.control.with(&*self.nodes, &self.path, &doing, |node| {
            hgcm::call(node, client, function, parameters, timeout, cancel)
        })
    }

    fn hgcm_disconnect(&self, client: HgcmClient) -> Result<()> {
        self.control.disconnect(&*self.nodes, &self.path, "disconnect from an HGCM service", client)
    }
}

/// Carries a packet whose header is replaced by that of the ioctl: they are one and the same bytes.
fn submit(node: &dyn Node, packet: &mut [u8], header: &crate::wire::RequestHeader) -> Result<(), Fault> {
    use zerocopy::IntoBytes;
    packet[..header::HEADER].copy_from_slice(header.as_bytes());
    // SAFETY: the packet has the size in its header, and a request has no addresses in it that the
    // kernel follows.
    unsafe { node.ioctl(ioctl::request(packet.len()), NonNull::from(packet)) }.map_err(Fault::Refused)
}

fn known(doing: &'static str, bits: u32, valid: u32) -> Result<()> {
    if bits & !valid == 0 { Ok(()) } else { Err(Error::new(doing, Status::INVALID_PARAMETER)) }
}
