//! How the host misbehaves when it is told to.

use driver_core::wire::{Events, RequestType};

use super::Host;
use crate::faults::{Fault, Times};
use crate::hgcm::HgcmService;

impl Host {
    /// Makes something go wrong with requests of a type. Faults of the same type strike one after
    /// the other, in the order in which they were injected.
    pub fn inject(&self, request_type: RequestType, fault: Fault, times: Times) {
        self.with_device(|device| device.faults.arm(request_type, fault, times));
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.with_device(|device| device.faults.clear());
    }

    /// Makes a service go, as [`HgcmFault::Vanish`](crate::HgcmFault::Vanish) does at a call: all its
    /// clients are invalid, and their calls end. Who connects from now on finds it again.
    pub fn drop_service(&self, service: HgcmService) {
        self.with_device(|device| device.hgcm.vanish(service));
    }

    /// Sets event bits and nothing else: no display, no mode, no interval changes. Bits that the
    /// guest does not want stay pending, as ever.
    pub fn raise_events(&self, events: Events) {
        self.change(|state| state.raise(events));
    }

    /// Brings event bits to the guest whether or not it wants them, unknown ones included. None at
    /// all gives an interrupt that says it has events and has none.
    pub fn force_events(&self, bits: u32) {
        self.change(|state| {
            state.counters.events += 1;
            state.events.force(bits);
        });
    }

    /// Raises the interrupt line although the device has nothing to say, as another device on the
    /// same line would. It falls when the guest has looked.
    pub fn raise_stray_interrupt(&self) {
        self.change(|state| {
            state.counters.strays += 1;
            state.events.pulse();
        });
    }
}
