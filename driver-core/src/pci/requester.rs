//! One request packet, out to the device and back.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Bus, BusFault};
use crate::outgoing::{self, failed};
use crate::wire::{MAX_REQUEST_SIZE, Request, Status};
use crate::{Error, Result};

/// BAR0 offset of the request port.
const REQUEST_PORT: u16 = 0;

/// Room for the packets of the interrupt thread: one page.
const INTERRUPT_SLOT: u32 = 4096;

/// Carries request packets through DMA memory.
///
/// Two slots: one for everybody, in turn, and one for the interrupt thread alone, so that no
/// acknowledgement waits behind a request.
pub(super) struct Requester {
    bus: Arc<dyn Bus>,
    interrupt: Mutex<Slot>,
    common: Mutex<Slot>,
    rest: (u32, u32),
}

/// A piece of DMA memory that holds one packet at a time.
struct Slot {
    address: u32,
    length: usize,
}

impl Requester {
    pub(super) fn new(bus: Arc<dyn Bus>) -> Result<Self> {
        let (address, length) = bus.dma_range();
        if length < 2 * INTERRUPT_SLOT || address.checked_add(length).is_none() {
            return Err(Error::new(
                format!("use {length} bytes of DMA memory at {address:#x}"),
                Status::NO_MEMORY,
            ));
        }
        let common = (length - INTERRUPT_SLOT).min(MAX_REQUEST_SIZE);
        let used = INTERRUPT_SLOT + common;
        Ok(Self {
            bus,
            interrupt: Mutex::new(Slot { address, length: INTERRUPT_SLOT as usize }),
            common: Mutex::new(Slot { address: address + INTERRUPT_SLOT, length: common as usize }),
            rest: (address + used, length - used),
        })
    }

    /// What no packet takes of the memory that is always there: its address, page aligned, and its
    /// length in bytes.
    pub(super) fn rest(&self) -> (u32, u32) {
        self.rest
    }

    /// Submits a packet of anybody's.
    pub(super) fn submit(&self, packet: &mut [u8]) -> Result<Status> {
        self.carry(&self.common, packet)
    }

    /// Submits a typed packet and takes a failing status for an error.
    pub(super) fn typed<R: Request>(&self, mut packet: R) -> Result<R> {
        match self.submit(packet.as_mut_bytes())? {
            status if status.is_failure() => Err(failed(R::TYPE, status)),
            _ => Ok(packet),
        }
    }

    /// Submits a packet of the interrupt thread's.
    pub(super) fn interrupt<R: Request>(&self, mut packet: R) -> Result<R> {
        match self.carry(&self.interrupt, packet.as_mut_bytes())? {
            status if status.is_failure() => Err(failed(R::TYPE, status)),
            _ => Ok(packet),
        }
    }

    fn carry(&self, slot: &Mutex<Slot>, packet: &mut [u8]) -> Result<Status> {
        let for_interrupt = std::ptr::eq(slot, &self.interrupt);
        let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = outgoing::check(packet, slot.length)?;
        let request = sent.kind();
        if !for_interrupt {
            tracing::trace!(target: "bellhop::ring", step = 7u64, %request, "Request submitted");
        }
        let gone = |_: BusFault| failed(request, Status::INVALID_STATE);
        self.bus.dma_write(slot.address, packet).map_err(gone)?;
        self.bus.write_port(REQUEST_PORT, slot.address).map_err(gone)?;
        self.bus.dma_read(slot.address, packet).map_err(gone)?;
        outgoing::finish(packet, sent)
    }
}
