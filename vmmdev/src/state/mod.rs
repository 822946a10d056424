//! Everything that the device remembers between two requests.

mod displays;
mod events;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use driver_core::wire::{CpuEvent, Events, INTERFACE_VERSION, MouseButtons, MouseFeatures};

use crate::host::{Counters, Credentials};
use crate::report::GuestReport;
use crate::settings::Settings;
pub(crate) use displays::Displays;
pub(crate) use events::EventState;

/// The state of the machine as far as the device knows it: what a saved state would hold.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) events: EventState,
    pub(crate) guest: GuestReport,
    pub(crate) displays: Displays,
    /// Whether the host wants seamless mode.
    pub(crate) seamless: Wish<bool>,
    /// Seconds between statistics; 0 is off.
    pub(crate) statistics_interval: Wish<u32>,
    /// MiB that the host wants back.
    pub(crate) balloon: Wish<u32>,
    pub(crate) pointer: PointerDevice,
    /// Whether somebody looks from afar, and how much they should see.
    pub(crate) vrdp: (bool, u32),
    pub(crate) cpu: CpuRequest,
    /// For logging on.
    pub(crate) credentials: Option<Credentials>,
    /// To be judged.
    pub(crate) judged: Option<Credentials>,
    pub(crate) session_id: u64,
    /// What was done to this machine so far; neither a reset nor a saved state takes it back.
    pub(crate) counters: Counters,
}

/// Something that the host wants and the guest acknowledges.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wish<T> {
    pub(crate) wanted: T,
    acknowledged: T,
}

impl<T: Copy + Default + PartialEq> Wish<T> {
    /// Wants something; whether that is news to the guest.
    pub(crate) fn want(&mut self, wanted: T) -> bool {
        self.wanted = wanted;
        self.wanted != self.acknowledged
    }

    /// The guest knows now.
    pub(crate) fn acknowledge(&mut self) {
        self.acknowledged = self.wanted;
    }

    /// The guest has forgotten.
    fn forget(&mut self) {
        self.acknowledged = T::default();
    }
}

/// The host's pointing device.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PointerDevice {
    /// Bits of host and guest.
    pub(crate) features: MouseFeatures,
    pub(crate) x: i32,
    pub(crate) y: i32,
    /// Steps since they were last read.
    pub(crate) wheel: i32,
    pub(crate) tilt: i32,
    pub(crate) buttons: MouseButtons,
}

/// A processor that is to come or go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuRequest {
    pub(crate) event: CpuEvent,
    pub(crate) core: u32,
    pub(crate) package: u32,
}

impl CpuRequest {
    /// What a guest reads when there is nothing to be read.
    pub(crate) const NONE: Self = Self { event: CpuEvent::NONE, core: u32::MAX, package: u32::MAX };
}

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            events: EventState::default(),
            guest: GuestReport::default(),
            displays: Displays::new(),
            seamless: Wish::default(),
            statistics_interval: Wish::default(),
            balloon: Wish::default(),
            pointer: PointerDevice::default(),
            vrdp: (false, 0),
            cpu: CpuRequest::NONE,
            credentials: None,
            judged: None,
            session_id: new_session_id(),
            counters: Counters::default(),
        }
    }

    /// The machine is reset: what the guest said is void; what the host wants stays.
    pub(crate) fn reset(&mut self) {
        self.events.reset();
        self.guest = GuestReport::default();
        self.displays.reset();
        self.seamless.forget();
        self.statistics_interval.forget();
        self.balloon.forget();
        self.pointer.features -= MouseFeatures::GUEST_MASK;
        self.cpu = CpuRequest::NONE;
        self.session_id = new_session_id();
    }

    /// The machine came back from a saved state.
    pub(crate) fn restored(&mut self) {
        self.session_id = new_session_id();
        self.events.forget_notice();
        self.raise(Events::RESTORED);
    }

    /// Sets event bits, and with them perhaps the interrupt line.
    pub(crate) fn raise(&mut self, events: Events) {
        self.counters.events += 1;
        self.events.raise(events.bits());
    }

    /// Takes the events that are pending and wanted.
    pub(crate) fn acknowledge_events(&mut self) -> u32 {
        let events = self.events.acknowledge();
        self.guest.filter = self.events.filter();
        events
    }

    /// Changes the guest's event filter. Removing wins over adding.
    pub(crate) fn change_filter(&mut self, or_mask: u32, not_mask: u32) {
        self.events.change_filter(or_mask, not_mask);
        self.guest.filter = self.events.filter();
    }

    /// Whether reading the port acknowledges: only for a guest that reported an interface of 1.04.
    pub(crate) fn fast_ack_allowed(&self) -> bool {
        self.guest.info.is_some_and(|info| info.interface_version == INTERFACE_VERSION)
    }
}

/// A number that no earlier session of this process had. VirtualBox takes the time stamp counter.
fn new_session_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0));
    let next = |last: u64| now.max(last.wrapping_add(1));
    match LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last))) {
        Ok(last) | Err(last) => next(last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_never_repeat() {
        let mut ids: Vec<u64> = (0..1000).map(|_| new_session_id()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1000);
        assert!(ids.is_sorted());
    }
}
