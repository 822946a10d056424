//! One request packet, out to the device and back.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Bus, BusFault};
use crate::wire::{MAX_REQUEST_SIZE, Request, RequestHeader, RequestType, Status, VERSION};
use crate::{Error, Result};

use zerocopy::FromBytes;

/// BAR0 offset of the request port.
const REQUEST_PORT: u16 = 0;

/// Room for the packets of the interrupt thread: one page.
const INTERRUPT_SLOT: u32 = 4096;

const HEADER: usize = size_of::<RequestHeader>();

/// Carries request packets through DMA memory.
///
/// Two slots: one for everybody, in turn, and one for the interrupt thread alone, so that no
/// acknowledgement waits behind a request.
pub(super) struct Requester {
    bus: Arc<dyn Bus>,
    interrupt: Mutex<Slot>,
    common: Mutex<Slot>,
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
        Ok(Self {
            bus,
            interrupt: Mutex::new(Slot { address, length: INTERRUPT_SLOT as usize }),
            common: Mutex::new(Slot { address: address + INTERRUPT_SLOT, length: common as usize }),
        })
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
        let sent = check(packet, slot.length)?;
        let request = RequestType(sent.request_type.get());
        if !for_interrupt {
            tracing::trace!(target: "bellhop::ring", step = 7u64, %request, "Request submitted");
        }
        let gone = |_: BusFault| failed(request, Status::INVALID_STATE);
        self.bus.dma_write(slot.address, packet).map_err(gone)?;
        self.bus.write_port(REQUEST_PORT, slot.address).map_err(gone)?;
        self.bus.dma_read(slot.address, packet).map_err(gone)?;
        // The packet's own description stays ours, whatever the device wrote over it.
        let answer = RequestHeader::mut_from_prefix(packet).map_err(|_| malformed(0))?.0;
        let status = Status(answer.rc.get());
        *answer = sent;
        answer.rc.set(status.0);
        Ok(status)
    }
}

/// Holds a packet against the header rules, which a device ignores or punishes silently, and presets
/// its status to a failure: a device that ignores a packet leaves it alone.
fn check(packet: &mut [u8], room: usize) -> Result<RequestHeader> {
    let length = packet.len();
    let header = RequestHeader::mut_from_prefix(packet).map_err(|_| malformed(length))?.0;
    if header.size.get() as usize != length || header.version.get() != VERSION {
        return Err(malformed(length));
    }
    if length > room {
        return Err(Error::new(
            format!("submit a request of {length} bytes (at most {room})"),
            Status::OUT_OF_RANGE,
        ));
    }
    header.rc.set(Status::GENERAL_FAILURE.0);
    Ok(header.clone())
}

fn failed(request: RequestType, status: Status) -> Error {
    Error::new(format!("submit {request}"), status)
}

fn malformed(length: usize) -> Error {
    Error::new(
        format!("submit a malformed packet ({length} bytes; its {HEADER}-byte header must say so)"),
        Status::INVALID_PARAMETER,
    )
}
