//! One session with the device: its filter, its capabilities, its waits.

use std::sync::Arc;
use std::time::Duration;

use super::PciDevice;
use super::latch::{Closed, SessionId, State};
use super::requester::Requester;
use crate::wire::{Capabilities, CtlGuestFilterMask, Events, Request, SetGuestCapabilities, Status};
use crate::{Canceller, CapabilityState, Driver, Error, HgcmClient, HgcmParameter, Result, Wake};

/// A session with a [`PciDevice`]. Dropping it ends its HGCM connections, and withdraws its filter and
/// its capabilities.
pub struct PciSession {
    device: Arc<PciDevice>,
    id: SessionId,
}

impl PciSession {
    pub(super) fn open(device: Arc<PciDevice>) -> Self {
        let id = device.latch.open_session();
        Self { device, id }
    }

    /// Changes the sessions' records by `change`, and tells the host; on failure nothing changed.
    ///
    /// The lock is held throughout, so that the host hears of two changes in the order in which they
    /// were made.
    fn update<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.device.latch.lock();
        let (filter, capabilities) = (state.filter(), state.capabilities());
        let before = state.session(self.id).clone();
        let outcome = change(&mut state)?;
        let (new_filter, new_capabilities) = (state.filter(), state.capabilities());
        let mut told = Ok(());
        if new_filter != filter {
            told = tell_filter(&self.device.requester, new_filter);
        }
        if told.is_ok() && new_capabilities != capabilities {
            told = tell_capabilities(&self.device.requester, new_capabilities);
        }
        if let Err(error) = told {
            *state.session(self.id) = before;
            return Err(error);
        }
        drop(state);
        self.device.latch.notify();
        Ok(outcome)
    }
}

impl Driver for PciSession {
    fn describe(&self) -> String {
        let host = &self.device.host;
        format!(
            "VMMDev serviced directly, host {}.{}.{} r{}",
            host.major, host.minor, host.build, host.revision
        )
    }

    fn wait(&self, mask: Events, timeout: Option<Duration>) -> Result<Wake> {
        self.device
            .latch
            .wait(self.id, mask, timeout)
            .map_err(|Closed| Error::new("wait for events (the device is gone)", Status::INVALID_STATE))
    }

    fn cancel_waits(&self) {
        self.device.latch.cancel(self.id);
    }

    fn change_filter(&self, add: Events, remove: Events) -> Result<()> {
        known("change the event filter", add.bits() | remove.bits(), Events::all().bits())?;
        self.update(|state| {
            let filter = &mut state.session(self.id).filter;
            *filter = (*filter - remove) | add;
            Ok(())
        })
    }

    fn acquire_capabilities(&self, add: Capabilities, remove: Capabilities) -> Result<()> {
        const DOING: &str = "acquire guest capabilities";
        known(DOING, add.bits() | remove.bits(), Capabilities::all().bits())?;
        self.update(|state| {
            if state.set_anywhere(add) {
                return Err(Error::new(DOING, Status::INVALID_PARAMETER));
            }
            if state.acquired_elsewhere(self.id, add) {
                return Err(Error::new(DOING, Status::RESOURCE_BUSY));
            }
            *state.acquire_mode() |= add;
            let session = state.session(self.id);
            let fresh = add - session.acquired;
            session.acquired = (session.acquired - remove) | add;
            // Whoever takes over seamless mode must learn where it stands.
            if fresh.contains(Capabilities::SEAMLESS) {
                state.pend(Events::SEAMLESS_MODE_CHANGE);
            }
            Ok(())
        })
    }

    fn change_capabilities(&self, add: Capabilities, remove: Capabilities) -> Result<CapabilityState> {
        const DOING: &str = "change guest capabilities";
        known(DOING, add.bits() | remove.bits(), Capabilities::all().bits())?;
        self.update(|state| {
            if state.acquire_mode().intersects(add) {
                return Err(Error::new(DOING, Status::RESOURCE_BUSY));
            }
            let session = state.session(self.id);
            session.set = (session.set - remove) | add;
            Ok(state.capability_state(self.id))
        })
    }

    fn request(&self, packet: &mut [u8]) -> Result<Status> {
        self.device.requester.submit(packet)
    }

    fn hgcm_connect(&self, service: &str) -> Result<HgcmClient> {
        self.device.hgcm.connect(self.id, service)
    }

    fn hgcm_call(
        &self,
        client: HgcmClient,
        function: u32,
        parameters: &mut [HgcmParameter],
        timeout: Option<Duration>,
        cancel: &Canceller,
    ) -> Result<Status> {
        self.device.hgcm.call(self.id, client, function, parameters, timeout, cancel)
    }

    fn hgcm_disconnect(&self, client: HgcmClient) -> Result<()> {
        self.device.hgcm.disconnect(self.id, client)
    }
}

impl Drop for PciSession {
    fn drop(&mut self) {
        self.device.hgcm.close_session(self.id);
        let withdrawn = self.update(|state| {
            let session = state.session(self.id);
            session.filter = Events::empty();
            session.set = Capabilities::empty();
            session.acquired = Capabilities::empty();
            Ok(())
        });
        if let Err(error) = withdrawn {
            tracing::debug!("{error}");
        }
        self.device.latch.close_session(self.id);
    }
}

/// Tells the host which events the guest wants.
pub(super) fn tell_filter(requester: &Requester, filter: Events) -> Result<()> {
    let mut packet = CtlGuestFilterMask::new();
    packet.or_mask.set(filter.bits());
    // What the host adds when HGCM is first used is not a session's to remove.
    packet.not_mask.set(!(filter | Events::HGCM).bits());
    requester.typed(packet).map(drop)
}

/// Tells the host what the guest can do.
pub(super) fn tell_capabilities(requester: &Requester, capabilities: Capabilities) -> Result<()> {
    let mut packet = SetGuestCapabilities::new();
    packet.or_mask.set(capabilities.bits());
    packet.not_mask.set(!capabilities.bits());
    requester.typed(packet).map(drop)
}

fn known(doing: &'static str, bits: u32, valid: u32) -> Result<()> {
    if bits & !valid == 0 { Ok(()) } else { Err(Error::new(doing, Status::INVALID_PARAMETER)) }
}
