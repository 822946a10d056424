//! The device: its registers and what a guest's accesses to them do.

mod config_space;
mod registers;

use driver_core::wire::device as wire;
use driver_core::wire::{MAX_REQUEST_SIZE, RequestHeader, RequestType, Status, VERSION};

use crate::faults::{Fault, Faults};
use crate::hgcm::Hgcm;
use crate::journal::Journal;
use crate::memory::{GuestMemory, MemoryFault};
use crate::requests;
use crate::settings::Settings;
use crate::state::State;
use config_space::ConfigSpace;

/// The device model. Whatever carries it to a guest hands it the guest's accesses and looks at its
/// interrupt line; the [`Host`](crate::Host) above it holds it behind a lock.
#[derive(Debug)]
pub struct Device {
    config: ConfigSpace,
    pub(crate) state: State,
    pub(crate) hgcm: Hgcm,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    /// The request being handled, kept so that a small one costs no allocation.
    packet: Vec<u8>,
}

/// Where the status stands in a request, in bytes.
const RC_OFFSET: u64 = 12;

impl Device {
    /// A device as it is after power-on.
    pub fn new(settings: Settings) -> Self {
        let mut hgcm = Hgcm::default();
        hgcm.services.properties.store.announce(&settings);
        Self {
            config: ConfigSpace::new(),
            state: State::new(settings),
            hgcm,
            journal: Journal::new(),
            faults: Faults::default(),
            packet: Vec::new(),
        }
    }

    /// Reads PCI configuration space from `offset` bytes on. What lies beyond its 256 bytes reads
    /// as all ones.
    pub fn config_read(&self, offset: u32, bytes: &mut [u8]) {
        self.config.read(offset, bytes);
    }

    /// Writes PCI configuration space from `offset` bytes on. Only what a device lets be written
    /// changes.
    pub fn config_write(&mut self, offset: u32, bytes: &[u8]) {
        self.config.write(offset, bytes);
    }

    /// Writes 32 bits to BAR0 at `offset` bytes. At 0 and 8, `value` is the physical address of a
    /// request, which has been handled when this returns; elsewhere nothing happens.
    pub fn port_write(&mut self, offset: u16, value: u32, memory: &mut dyn GuestMemory) {
        if matches!(offset, wire::PORT_REQUEST | wire::PORT_FAST_ACK) {
            self.request(u64::from(value), memory);
            self.deliver(memory);
        }
    }

    /// Whether calls are answered and the guest has not heard of it: see [`deliver`](Self::deliver).
    pub(crate) fn has_answers(&self) -> bool {
        self.hgcm.has_answers()
    }

    /// Writes the answers to calls that waited to guest memory, and raises the event that says so.
    pub(crate) fn deliver(&mut self, memory: &mut dyn GuestMemory) {
        self.hgcm.deliver(&mut self.state, memory);
    }

    /// Reads 32 bits from BAR0 at `offset` bytes. At 8 this acknowledges the events; elsewhere it
    /// reads all ones.
    pub fn port_read(&mut self, offset: u16) -> u32 {
        if offset == wire::PORT_FAST_ACK && self.state.fast_ack_allowed() {
            self.state.acknowledge_events()
        } else {
            wire::FAST_ACK_REFUSED
        }
    }

    /// Reads BAR1, the VMMDevMemory, from `offset` bytes on. What is not modelled reads as zero.
    pub fn memory_read(&mut self, offset: u32, bytes: &mut [u8]) {
        let have_events = self.state.events.have_events();
        registers::read(have_events, offset, bytes);
        if registers::covers_have_events(offset, bytes.len()) {
            self.state.events.notice();
        }
    }

    /// Whether the interrupt line (INTA, level triggered) is up.
    pub fn interrupt_line(&self) -> bool {
        self.state.events.line()
    }

    /// Whether the line is up and the guest has not noticed. A carrier whose interrupts are edges
    /// sends one when this becomes true: between the guest's look at `fHaveEvents` and its
    /// acknowledgement a further one would be handled by nobody.
    pub fn interrupt_due(&self) -> bool {
        self.state.events.interrupt_due()
    }

    /// A reset of the whole machine: configuration space as after power-on, and the guest begins
    /// anew.
    pub fn reset(&mut self) {
        self.config = ConfigSpace::new();
        self.restart();
    }

    /// The guest begins anew.
    pub(crate) fn restart(&mut self) {
        self.state.reset();
        self.hgcm.reset();
    }

    /// Handles the request at a physical address.
    fn request(&mut self, address: u64, memory: &mut dyn GuestMemory) {
        let mut head = [0; RequestHeader::SIZE as usize];
        if memory.read(address, &mut head).is_err() {
            self.journal.add(RequestType(0), 0, None);
            return;
        }
        let Ok(header) = RequestHeader::parse(&head) else {
            return;
        };
        let (kind, size) = (header.kind(), header.size.get());
        let answer = if size < RequestHeader::SIZE || header.version.get() != VERSION {
            // The protocol has no word for this: the guest finds the status that it preset.
            Ok(None)
        } else if size > MAX_REQUEST_SIZE {
            let status = Status::NOT_SUPPORTED;
            memory.write(address + RC_OFFSET, &status.0.to_le_bytes()).map(|()| Some(status))
        } else {
            self.answer(address, kind, size, memory)
        };
        let status = answer.unwrap_or(None);
        self.journal.add(kind, size, status);
        if kind != RequestType::ACKNOWLEDGE_EVENTS
            && let Some(status) = status
        {
            tracing::trace!(
                target: "bellhop::ring",
                step = 8u64,
                request = kind.name().unwrap_or("unknown"),
                number = kind.0,
                %status,
                "Host answered"
            );
        }
    }

    /// Carries out a request whose header is sound and answers it in guest memory.
    fn answer(
        &mut self,
        address: u64,
        kind: RequestType,
        size: u32,
        memory: &mut dyn GuestMemory,
    ) -> Result<Option<Status>, MemoryFault> {
        let mut packet = std::mem::take(&mut self.packet);
        packet.resize(size as usize, 0);
        let answer = memory.read(address, &mut packet).and_then(|()| {
            let called = requests::function_called(&self.hgcm, kind, &packet);
            let fault = self.faults.strike(kind, called);
            let instead = fault.and_then(|fault| fault.before());
            if instead.is_some() && kind == RequestType::ACKNOWLEDGE_EVENTS {
                // The line is still up, and its guest has nothing more to do about it.
                self.state.events.forget_notice();
            }
            let status = match instead {
                Some(None) => return Ok(None),
                Some(Some(status)) => status,
                None => {
                    let parts = (&mut self.state, &mut self.hgcm);
                    let hgcm_fault = fault.and_then(Fault::hgcm);
                    let status = requests::dispatch(parts, kind, &mut packet, address, memory, hgcm_fault);
                    fault.map_or(status, |fault| fault.after(&mut packet, status))
                }
            };
            if let Some(rc) = packet.get_mut(RC_OFFSET as usize..).and_then(<[u8]>::first_chunk_mut) {
                *rc = status.0.to_le_bytes();
            }
            memory.write(address, &packet).map(|()| Some(status))
        });
        self.packet = packet;
        answer
    }
}
