//! The interrupt handler: acknowledge, latch.

use std::time::Duration;

use super::hgcm::Hgcm;
use super::latch::Latch;
use super::probe::probe;
use super::requester::Requester;
use super::session::{tell_capabilities, tell_filter};
use super::{Bus, Interrupt};
use crate::Result;
use crate::wire::{AcknowledgeEvents, Events, Request};

/// VMMDevMemory: non-zero when the device has events for this guest.
const HAVE_EVENTS: u32 = 8;

/// So many interrupts in a row without an event are somebody else's on a shared line, or noise.
const TOLERATED_STRAYS: u32 = 16;

/// How long a line that will not go down may keep the thread from the processor's other work.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Services interrupts until the bus is closed.
pub(super) fn service(bus: &dyn Bus, requester: &Requester, latch: &Latch, hgcm: &Hgcm) {
    let mut strays = 0_u32;
    loop {
        match bus.wait_interrupt(None) {
            Interrupt::Reset => {
                tracing::warn!("Machine was reset; its device is taken up again");
                hgcm.reset();
                if let Err(error) = take_up(bus, requester, latch) {
                    tracing::error!("{error}");
                    break;
                }
            }
            Interrupt::Closed => break,
            Interrupt::TimedOut => {}
            Interrupt::Raised if have_events(bus) => {
                strays = 0;
                acknowledge(requester, latch, hgcm);
            }
            Interrupt::Raised => {
                strays = strays.saturating_add(1);
                quieten(strays, requester, latch, hgcm);
            }
        }
    }
    latch.close();
    hgcm.close();
}

/// Introduces the guest to a device that has forgotten it, and tells what its sessions want.
fn take_up(bus: &dyn Bus, requester: &Requester, latch: &Latch) -> Result<()> {
    probe(bus, requester)?;
    let state = latch.lock();
    tell_filter(requester, state.filter())?;
    tell_capabilities(requester, state.capabilities())
}

fn have_events(bus: &dyn Bus) -> bool {
    bus.read_memory(HAVE_EVENTS).is_ok_and(|word| word & 0xff != 0)
}

fn acknowledge(requester: &Requester, latch: &Latch, hgcm: &Hgcm) {
    let bits = match requester.interrupt(AcknowledgeEvents::new()) {
        Ok(answer) => answer.events.get(),
        Err(error) => return tracing::error!("{error}"),
    };
    let events = Events::from_bits_truncate(bits);
    if events.bits() != bits {
        tracing::warn!(
            unknown = format_args!("{:#x}", bits & !events.bits()),
            "Host raised event bits that no protocol names"
        );
    }
    tracing::trace!(target: "bellhop::ring", step = 3u64, %events, "Interrupt acknowledged");
    if events.contains(Events::HGCM) {
        hgcm.completed();
    }
    latch.raise(events);
}

/// Deals with an interrupt that announces nothing. The line is level triggered, so a device that
/// holds it up for no reason would otherwise keep this thread running for ever.
fn quieten(strays: u32, requester: &Requester, latch: &Latch, hgcm: &Hgcm) {
    tracing::debug!(strays, "Interrupt without an event");
    if strays > TOLERATED_STRAYS {
        if strays == TOLERATED_STRAYS + 1 {
            tracing::warn!("Interrupt line stays up without events; acknowledging at a slow pace");
        }
        acknowledge(requester, latch, hgcm);
        std::thread::sleep(LONGEST_PAUSE.min(Duration::from_micros(u64::from(strays) * 50)));
    }
}
