//! The interrupt handler: acknowledge, latch.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::hgcm::Hgcm;
use super::latch::Latch;
use super::probe::probe;
use super::requester::Requester;
use super::session::{tell_capabilities, tell_filter};
use super::{Bus, Interrupt};
use crate::wire::{AcknowledgeEvents, Events, Request};
use crate::{Error, Result};

/// VMMDevMemory: non-zero when the device has events for this guest.
const HAVE_EVENTS: u32 = 8;

/// So many interrupts in a row without an event are somebody else's on a shared line, or noise.
const TOLERATED_STRAYS: u32 = 16;

/// How long a line that will not go down may keep the thread from the processor's other work.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// After a failure in a row of the device's own requests, how long until the next try: at first, and at
/// the most.
const AGAIN: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(1)];

/// Services interrupts until the bus is closed.
pub(super) fn service(bus: &dyn Bus, requester: &Requester, latch: &Latch, hgcm: &Hgcm) {
    let mut strays = 0_u32;
    let mut trouble = Trouble::default();
    // The device knows nothing of this guest since it was reset, as far as that could not be mended.
    let mut forgotten = false;
    loop {
        let interrupt = bus.wait_interrupt(forgotten.then(|| trouble.pause()));
        if interrupt == Interrupt::Closed {
            break;
        }
        if interrupt == Interrupt::Reset {
            tracing::warn!("Machine was reset; its device is taken up again");
            hgcm.reset();
            forgotten = true;
            trouble = Trouble::default();
        }
        if forgotten {
            match take_up(bus, requester, latch) {
                Ok(()) => (forgotten, trouble) = (false, Trouble::default()),
                Err(error) => trouble.add(&error),
            }
        }
        match interrupt {
            Interrupt::Raised if have_events(bus) => {
                strays = 0;
                match acknowledge(requester, latch, hgcm) {
                    Ok(()) => trouble = Trouble::default(),
                    // The line stays up, and with it would this thread run.
                    Err(error) => {
                        trouble.add(&error);
                        std::thread::sleep(trouble.pause().min(LONGEST_PAUSE));
                    }
                }
            }
            Interrupt::Raised => {
                strays = strays.saturating_add(1);
                quieten(strays, requester, latch, hgcm);
            }
            Interrupt::Closed | Interrupt::Reset | Interrupt::TimedOut => {}
        }
    }
    latch.close();
    hgcm.close();
}

/// Failures in a row of what must not fail.
#[derive(Default)]
struct Trouble {
    failures: u32,
}

impl Trouble {
    /// Counts one, and says so if it is the first.
    fn add(&mut self, error: &Error) {
        match self.failures {
            0 => tracing::error!("{error}; trying again"),
            _ => tracing::debug!("{error}"),
        }
        self.failures = self.failures.saturating_add(1);
    }

    /// How long until the next try.
    fn pause(&self) -> Duration {
        let [first, longest] = AGAIN;
        longest.min(first * 2_u32.saturating_pow(self.failures.min(16)))
    }
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

fn acknowledge(requester: &Requester, latch: &Latch, hgcm: &Hgcm) -> Result<()> {
    /// The unknown bits that were told of: a host may raise them without end.
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let bits = requester.interrupt(AcknowledgeEvents::new())?.events.get();
    let events = Events::from_bits_truncate(bits);
    let unknown = bits & !events.bits();
    if unknown & !TOLD.fetch_or(unknown, Ordering::Relaxed) != 0 {
        tracing::warn!(
            unknown = format_args!("{unknown:#x}"),
            "Host raised event bits that no protocol names"
        );
    }
    tracing::trace!(target: "bellhop::ring", step = 3u64, %events, "Interrupt acknowledged");
    if events.contains(Events::HGCM) {
        hgcm.completed();
    }
    latch.raise(events);
    Ok(())
}

/// Deals with an interrupt that announces nothing. The line is level triggered, so a device that
/// holds it up for no reason would otherwise keep this thread running for ever.
fn quieten(strays: u32, requester: &Requester, latch: &Latch, hgcm: &Hgcm) {
    tracing::debug!(strays, "Interrupt without an event");
    if strays > TOLERATED_STRAYS {
        if strays == TOLERATED_STRAYS + 1 {
            tracing::warn!("Interrupt line stays up without events; acknowledging at a slow pace");
        }
        if let Err(error) = acknowledge(requester, latch, hgcm) {
            tracing::debug!("{error}");
        }
        std::thread::sleep(LONGEST_PAUSE.min(Duration::from_micros(u64::from(strays) * 50)));
    }
}
