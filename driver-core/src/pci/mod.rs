//! A driver that services the VMMDev PCI device itself, where no kernel driver does.
//!
//! What happens when the host rings: the device raises its interrupt line; the thread `vmmdev-irq`
//! (`interrupt`) wakes from [`Bus::wait_interrupt`], acknowledges the events and latches their bits
//! (`latch`); a session's [`Driver::wait`](crate::Driver::wait) takes them. What happens when an
//! agent asks: `requester` carries the packet through DMA memory and the request port; a call to a
//! service of the host goes by `hgcm`.

mod bus;
mod hgcm;
mod interrupt;
mod latch;
mod pages;
mod probe;
mod requester;
mod session;

use std::sync::Arc;
use std::thread::JoinHandle;

pub use bus::{Bus, BusFault, Interrupt};
pub use pages::{PAGE, Pages, prefer_huge_pages};
pub use session::PciSession;

use crate::requests::HostVersion;
use crate::{Error, Result, wire::Status};
use hgcm::Hgcm;
use latch::Latch;
use requester::Requester;

/// A VMMDev device that was found in order and reported to, with its interrupt being serviced.
///
/// Dropping the last handle to it, sessions included, closes the bus.
pub struct PciDevice {
    bus: Arc<dyn Bus>,
    requester: Arc<Requester>,
    latch: Arc<Latch>,
    hgcm: Arc<Hgcm>,
    host: HostVersion,
    interrupt_thread: Option<JoinHandle<()>>,
}

impl PciDevice {
    /// Probes the device on `bus`, tells the host who the guest is, and starts servicing interrupts.
    ///
    /// # Errors
    /// When the device memory is not a VMMDev's, when a request fails without which no driver can
    /// work, or when there is not enough DMA memory or no thread to be had.
    pub fn probe(bus: Arc<dyn Bus>) -> Result<Arc<Self>> {
        let requester = Arc::new(Requester::new(bus.clone())?);
        let host = probe::probe(&*bus, &requester)?;
        let latch = Arc::new(Latch::default());
        let hgcm = Arc::new(Hgcm::new(bus.clone(), requester.clone()));
        let interrupt_thread = std::thread::Builder::new()
            .name("vmmdev-irq".into())
            .stack_size(64 * 1024)
            .spawn({
                let (bus, requester) = (bus.clone(), requester.clone());
                let (latch, hgcm) = (latch.clone(), hgcm.clone());
                move || interrupt::service(&*bus, &requester, &latch, &hgcm)
            })
            .map_err(|error| {
                Error::new(format!("start the interrupt thread ({error})"), Status::NO_MEMORY)
            })?;
        Ok(Arc::new(Self { bus, requester, latch, hgcm, host, interrupt_thread: Some(interrupt_thread) }))
    }

    /// Opens a session, with an empty filter and no capabilities.
    #[must_use]
    pub fn session(self: &Arc<Self>) -> PciSession {
        PciSession::open(self.clone())
    }
}

impl Drop for PciDevice {
    fn drop(&mut self) {
        self.bus.close();
        if let Some(thread) = self.interrupt_thread.take() {
            // A panic there was already reported on standard error by the runtime.
            let _ = thread.join();
        }
    }
}
